"""One watched system call, read from the memory and the folder in /proc of the process that waits in it."""
import os
import struct
from dataclasses import dataclass, field

from table import AT_FDCWD, CALLS, MAKES_A_FILE, NAMES, OPENS, WRITES

PATH_MAX = 4096


@dataclass
class Process:
    """Who makes a call. `kind`: `main` for the process that was started, the subcommand for another one of the program (such as
    `report-result`), `child` for a fork of it that has not started its program yet; else the name of another program."""

    tid: int
    pid: int
    kind: str


@dataclass
class Call:
    """`number` counts the calls of the program from 1. `name` is the system call. `target` is what is written or synced: `file`, `folder`,
    `socket`, `pipe`, `output` (what the program prints) or `other`. `paths` are absolute; those of a call with a descriptor are what /proc says of
    it. `size` is in bytes, or None. `flags` are those of an open. `args` are the six arguments."""

    number: int
    name: str
    process: Process
    args: tuple
    paths: tuple = ()
    target: str = "file"
    size: int | None = None
    flags: int = 0
    fd: int | None = None
    id: int = field(default=0, repr=False)

    @property
    def path(self):
        """The last path: of a rename or link the new name."""
        return self.paths[-1] if self.paths else ""

    def data(self, size):
        """The first bytes that this call would write."""
        shape = CALLS[self.name]
        if shape.vector is None:
            return memory(self.process.tid, self.args[1], size)
        bytes_left, data = size, b""
        vector = memory(self.process.tid, self.args[1], 16 * self.args[shape.vector])
        for address, length in struct.iter_unpack("QQ", vector):
            data += memory(self.process.tid, address, min(length, bytes_left))
            bytes_left = size - len(data)
        return data


def memory(tid, address, size):
    """Up to `size` bytes of a process; fewer at the end of a mapping."""
    with open(f"/proc/{tid}/mem", "rb", buffering=0) as file:
        file.seek(address)
        return file.read(size)


def text(tid, address):
    """A string that ends with NUL. Pages are read one by one, since the next one may be missing."""
    data = b""
    while b"\0" not in data and len(data) < PATH_MAX:
        page_end = PATH_MAX - (address + len(data)) % PATH_MAX
        data += memory(tid, address + len(data), page_end)
    return os.fsdecode(data.split(b"\0")[0])


def signed(argument):
    return struct.unpack("i", struct.pack("I", argument & 0xFFFFFFFF))[0]


def descriptor_path(tid, fd):
    try:
        return os.readlink(f"/proc/{tid}/fd/{fd}")
    except OSError:
        return ""


def resolve(tid, folder, address):
    """The absolute path of an argument, with `.` and `..` removed."""
    path = text(tid, address) if address else ""
    if path.startswith("/"):
        return os.path.normpath(path)
    base = os.readlink(f"/proc/{tid}/cwd") if folder == AT_FDCWD else descriptor_path(tid, folder)
    return os.path.normpath(os.path.join(base, path)) if path else base


def target_of(tid, fd, path):
    if path.startswith("socket:"):
        return "socket"
    if path.startswith("pipe:"):
        return "pipe"
    if path.startswith("/memfd:") or path.startswith("/dev/") and not path.startswith("/dev/shm/"):
        return "output"
    if not path.startswith("/"):
        return "other"
    return "folder" if os.path.isdir(f"/proc/{tid}/fd/{fd}") else "file"


def size_of(tid, shape, args):
    if shape.size is not None:
        return args[shape.size]
    if shape.vector is None:
        return None
    vector = memory(tid, args[1], 16 * args[shape.vector])
    return sum(length for _, length in struct.iter_unpack("QQ", vector))


def process_of(tid, main):
    with open(f"/proc/{tid}/status") as file:
        fields = dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)
    pid = int(fields["Tgid"])
    if pid == main:
        return Process(tid, pid, "main")
    command = command_line(pid)
    if command == command_line(int(fields["PPid"])):
        return Process(tid, pid, "child")
    words = [word for word in command[1:] if not word.startswith("-")]
    return Process(tid, pid, words[0] if words else "child")


def command_line(pid):
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return os.fsdecode(file.read()).split("\0")[:-1]
    except OSError:
        return []


def read_call(number, id, tid, syscall, args, main):
    """The call as it waits. Raises OSError if its process has died meanwhile."""
    name = NAMES[syscall]
    shape = CALLS[name]
    call = Call(number, name, process_of(tid, main), args, id=id)
    if shape.fd is not None:
        call.fd = signed(args[shape.fd])
        path = descriptor_path(tid, call.fd)
        call.paths, call.target = (path,), target_of(tid, call.fd, path)
    else:
        call.paths = tuple(
            resolve(tid, AT_FDCWD if folder is None else signed(args[folder]), args[path]) for folder, path in shape.paths
        )
    call.size = size_of(tid, shape, args)
    if name == "openat2":
        call.flags = struct.unpack("Q", memory(tid, args[2], 8))[0]
    elif shape.flags is not None:
        call.flags = args[shape.flags]
    return call


def is_durable(call):
    """Whether it changes what outlives the process, or tells another process something: neither an open for reading nor what the
    program prints."""
    if call.name in OPENS:
        return bool(call.flags & MAKES_A_FILE)
    if call.name in WRITES:
        return call.target in ("file", "socket")
    return True

"""The faults that a machine can have: which system calls they meet, and what those then return.

A fault meets calls of mesh itself, also of a fork that has not become a worker yet; workers, git and `mesh report-result` are other programs.
"""
import errno
import os
import struct
import sys
import time
from dataclasses import dataclass
from typing import Callable

from call import memory
from supervisor import CONTINUE, Fail, Return, Short
from table import CALLS, DURABLE, LOOKUPS, MEMORY, NAMES, OPENS, PROCESSES, READS, SOCKETS, WRITES, Shape

CALLS["clock_gettime"] = Shape(228)
NAMES[228] = "clock_gettime"
CLOCK_REALTIME, DAY = 0, 24 * 3600

# What takes space on a disk, and what a failing disk or a read-only file system can refuse.
TAKES_SPACE = WRITES | OPENS | {"ftruncate", "fallocate", "fsync", "fdatasync", "syncfs", "mkdir", "mkdirat", "rename", "renameat", "renameat2", "link", "linkat", "symlink", "symlinkat"}
CHANGES = TAKES_SPACE | {"unlink", "unlinkat", "rmdir", "chmod", "fchmod", "fchmodat", "fchmodat2"}
LOOKS = OPENS | READS | {"getdents64", "readlink", "readlinkat", "statx", "newfstatat"}
TAKES_DESCRIPTORS = OPENS | {"pipe2", "dup", "eventfd2", "epoll_create1", "pidfd_open", "memfd_create", "socket", "socketpair", "accept4"}
TAKES_MEMORY = {"clone3", "vfork", "execve", "pipe2", "epoll_create1", "eventfd2"}
# Not `clone` and `fork`, with which shells start their children: a signal that comes while they wait for the supervisor interrupts them.
STARTS = PROCESSES - {"clone", "fork"}


@dataclass(frozen=True)
class Fault:
    """`calls`: those that are watched; `meets`: whether it can meet this one of them, in a world; `act`: what follows. `lasts`: it meets all later
    calls of the command as well. `is_harmless`: the work must be done as if it had not
    been there. `unlike`: parts of what is left that may differ all the same. `before`: words in front of the command."""

    name: str
    calls: frozenset
    meets: Callable
    act: Callable
    lasts: bool = False
    is_harmless: bool = False
    unlike: tuple = ()
    before: tuple = ()


def in_world(call, world):
    return any(path.startswith(str(world.root)) for path in call.paths) and call.target in ("file", "folder")


def on_disk(*names):
    names = frozenset().union(*names)
    return lambda call, world: call.name in names and in_world(call, world)


def takes_descriptor(call, world):
    """Not what the loader opens before the program begins."""
    return call.name not in OPENS or in_world(call, world) or call.path.startswith("/proc/")


def is_written(call, world):
    return call.name in WRITES - {"sendfile", "splice"} and (call.size or 0) > 1 and call.target in ("file", "socket", "pipe")


def is_interrupted(call, world):
    return call.target != "output" and ".so" not in os.path.basename(call.path)


def fails(number):
    return lambda call: Fail(number)


def jump(seconds):
    """A clock that is off by `seconds`. The program must ask the kernel for it: see hidden_clock.py."""

    def act(call):
        if call.args[0] & 0xFFFFFFFF != CLOCK_REALTIME:
            return CONTINUE
        now = struct.pack("qq", *divmod(time.time_ns() + seconds * 10**9, 10**9))
        with open(f"/proc/{call.process.tid}/mem", "r+b", buffering=0) as file:
            file.seek(call.args[1])
            file.write(now)
        return Return(0)

    return act


def is_wall_clock(call, world):
    return call.args[0] & 0xFFFFFFFF == CLOCK_REALTIME


def clock(name, seconds, unlike=()):
    wrapper = os.path.join(os.path.dirname(os.path.abspath(__file__)), "hidden_clock.py")
    return Fault(name, frozenset({"clock_gettime"}), is_wall_clock, jump(seconds), lasts=True, is_harmless=True, unlike=unlike, before=(sys.executable, wrapper))


FAULTS = [
    Fault("ENOSPC", DURABLE, on_disk(TAKES_SPACE), fails(errno.ENOSPC)),
    Fault("EIO", DURABLE, on_disk(CHANGES), fails(errno.EIO)),
    Fault("EIO reading", LOOKUPS | READS | OPENS, on_disk(LOOKS), fails(errno.EIO)),
    Fault("EROFS from there on", DURABLE, on_disk(CHANGES), fails(errno.EROFS), lasts=True),
    Fault("ENOSPC from there on", DURABLE, on_disk(TAKES_SPACE), fails(errno.ENOSPC), lasts=True),
    Fault("EMFILE", OPENS | STARTS | SOCKETS | {"memfd_create"}, lambda call, world: call.name in TAKES_DESCRIPTORS and takes_descriptor(call, world), fails(errno.EMFILE)),
    Fault("ENOMEM", STARTS, lambda call, world: call.name in TAKES_MEMORY, fails(errno.ENOMEM)),
    Fault("ENOMEM mapping", MEMORY, lambda call, world: call.name in ("mmap", "mremap"), fails(errno.ENOMEM)),
    Fault("EINTR", READS | WRITES | {"poll", "ppoll", "wait4", "waitid", "accept4", "flock"}, is_interrupted, fails(errno.EINTR), is_harmless=True),
    Fault("short write", WRITES, is_written, lambda call: Short(call.size // 2), is_harmless=True),
    # The runs are as old as that clock said, so the garbage collection of today leaves them.
    clock("clock a day on", DAY, unlike=("names after gc",)),
    clock("clock a day back", -DAY, unlike=("names after gc", "names")),
]
BY_NAME = {fault.name: fault for fault in FAULTS}

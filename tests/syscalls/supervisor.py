"""Runs a program and decides about each of its system calls, with nothing in the program: a seccomp filter hands them over.

    session = Session("target/release/mesh")
    outcome = session.run(["mesh", "run", …], env, cwd, decide)      # decide(call) -> CONTINUE, Kill(…), Fail(errno) or Short(bytes)
    session.run(["mesh", "resume", …], env, cwd)                     # without `decide` everything continues
    session.drain()                                                  # until every descendant has ended

`decide` gets each durable call (`table.DURABLE`, without opens for reading and what the program prints) of every process whose executable
is the program, in one total order, before it takes place; calls of other programs continue. With another set as `calls=` it gets all of
those calls. It runs in the only thread there is, so it may look at files and change them. Needs Linux 5.19 on x86-64 and Python 3.11, no
privileges: children can't gain any.

A session is one trial: descendants that outlive a command are served by the next one, and belong to this process (it is their subreaper), so use
one process for each session at a time.
"""
import ctypes
import errno
import fcntl
import mmap
import os
import select
import signal
import struct
import time
from dataclasses import dataclass

from call import Call, is_durable, read_call
from filter import LIBC, compile_filter, install
from table import DURABLE, OPENS

NOTIFICATION = struct.Struct("QIIiIQ6Q")
RESPONSE = struct.Struct("QqiI")
RECEIVE, SEND, SET_FLAGS = 0xC0502100, 0xC0182101, 0x40082104
FLAG_CONTINUE, SYNC_WAKE_UP = 1, 1
SYS_PIDFD_GETFD = 438
PR_SET_CHILD_SUBREAPER = 36


@dataclass(frozen=True)
class Continue:
    """The call takes place."""


@dataclass(frozen=True)
class Kill:
    """Kills `before` the call takes place, or as soon as it has (`after`). `whom`: the `process` of the call; the `main` process, which was
    started; or `all` processes of the session, as when the power fails."""

    when: str = "before"
    whom: str = "process"


@dataclass(frozen=True)
class Fail:
    """The call does not take place and returns this error."""

    errno: int


@dataclass(frozen=True)
class Short:
    """A write takes place with the first `size` bytes only, and returns that number."""

    size: int


@dataclass(frozen=True)
class Return:
    """The call does not take place and returns this value."""

    value: int


CONTINUE = Continue()


@dataclass
class Outcome:
    """`code`: the exit code, 128+n after signal n, None after the time limit. `calls`: how many there were. `done`: the last action other than
    CONTINUE, with its call."""

    code: int | None
    out: str
    err: str
    calls: int
    seconds: float
    done: tuple | None = None


class Session:
    def __init__(self, program, others=()):
        """`others`: names of further programs whose calls are decided about, such as `git`."""
        self.program, self.others = os.path.realpath(program), frozenset(others)
        self.listeners, self.statuses = {}, {}
        self.poll = select.poll()
        LIBC.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        # A notification that was withdrawn would leave the receiving call waiting.
        signal.signal(signal.SIGALRM, lambda *_: None)
        signal.siginterrupt(signal.SIGALRM, True)

    def run(self, argv, env, cwd, decide=None, calls=DURABLE, timeout=120, stdin=None):
        """Runs a command to its end; see the module. `stdin`: bytes. Without `decide` it runs without a filter."""
        command = Command(self, decide, calls)
        began = time.monotonic()
        out, err = os.memfd_create("stdout"), os.memfd_create("stderr")
        command.start(argv, env, cwd, (stdin_of(stdin), out, err))
        ended = os.pidfd_open(command.pid)
        self.poll.register(ended, select.POLLIN)
        while not self.serve(ended, began + timeout):
            if time.monotonic() > began + timeout:
                self.kill_all()
                break
        self.poll.unregister(ended)
        os.close(ended)
        timed_out = time.monotonic() > began + timeout
        code = None if timed_out else self.exit_code(command.pid)
        return Outcome(code, text_of(out), text_of(err), command.number, time.monotonic() - began, command.done)

    def name_of_other(self, executable):
        """The name of another program whose calls are decided about; empty for the program itself, None for the rest."""
        if executable == self.program:
            return ""
        name = os.path.basename(executable)
        return name if name in self.others else None

    def serve(self, ended, until):
        """Serves what waits; whether `ended` has become readable."""
        over = False
        signal.setitimer(signal.ITIMER_REAL, 0.5, 0.5)
        for fd, events in self.poll.poll(max(0, min(1000, 1000 * (until - time.monotonic())))):
            if fd == ended:
                over = True
            elif events & select.POLLIN:
                self.listeners[fd].serve(fd)
            else:
                self.forget(fd)
        signal.setitimer(signal.ITIMER_REAL, 0)
        return over

    def forget(self, fd):
        self.poll.unregister(fd)
        del self.listeners[fd]
        os.close(fd)

    def drain(self, seconds=20):
        """Serves the descendants until all have ended; whether they have. Those that are left are killed."""
        until = time.monotonic() + seconds
        while self.reap() and time.monotonic() < until:
            self.serve(None, min(until, time.monotonic() + 0.01))
        left = self.reap()
        if left:
            self.kill_all()
        return not left

    def reap(self):
        """Collects ended children; whether any is left."""
        try:
            while (ended := os.waitpid(-1, os.WNOHANG))[0]:
                self.statuses[ended[0]] = ended[1]
        except ChildProcessError:
            return False
        return True

    def exit_code(self, pid):
        status = self.statuses.pop(pid, None)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1] if status is None else status)
        return code if code >= 0 else 128 - code

    def kill_all(self):
        """Kills all descendants, and waits for their end."""
        while pids := descendants(os.getpid()):
            for pid in pids:
                kill(pid)
            # What was started meanwhile is found next time.
            if not self.reap():
                break
            time.sleep(0.002)


class Command:
    """A command of a session, with the listener of its filter."""

    def __init__(self, session, decide, calls):
        self.session, self.decide, self.calls = session, decide, calls
        self.pid, self.number, self.done = None, 0, None

    def start(self, argv, env, cwd, streams):
        code = compile_filter(self.calls, every_open=self.calls >= OPENS and self.calls != DURABLE) if self.decide else None
        shared = mmap.mmap(-1, 8)
        gate, open_gate = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            child(argv, env, cwd, streams, code, shared, gate)
        os.close(gate)
        for fd in set(streams[:1]):
            os.close(fd)
        if code:
            self.listen(shared)
        os.write(open_gate, b".")
        os.close(open_gate)

    def listen(self, shared):
        """Takes the listener from the child, which waits at the gate meanwhile: it can't send it, since sending is watched."""
        while (fd := struct.unpack("q", shared[:8])[0]) == 0:
            time.sleep(0.0002)
        if fd < 0:
            raise OSError("no seccomp filter with a listener can be installed here")
        process = os.pidfd_open(self.pid)
        listener = copy_descriptor(process, fd)
        os.close(process)
        try:
            fcntl.ioctl(listener, SET_FLAGS, SYNC_WAKE_UP)
        except OSError:
            pass  # Before Linux 6.6; it is only slower.
        self.session.listeners[listener] = self
        self.session.poll.register(listener, select.POLLIN)

    def serve(self, listener):
        """Answers one call."""
        buffer = bytearray(NOTIFICATION.size)
        try:
            fcntl.ioctl(listener, RECEIVE, buffer, True)
        except OSError:
            return  # Its process has ended.
        id, tid, _, syscall, _, _, *args = NOTIFICATION.unpack(buffer)
        action = CONTINUE
        try:
            other = self.session.name_of_other(os.readlink(f"/proc/{tid}/exe"))
            if other is not None:
                call = read_call(self.number + 1, id, tid, syscall, tuple(args), self.pid)
                call.process.kind = other or call.process.kind
                if self.calls != DURABLE or is_durable(call):
                    self.number += 1
                    action = self.decide(call)
        except OSError:
            pass
        if action is not CONTINUE:
            self.done = (action, call)
        self.act(listener, id, action, call if action is not CONTINUE else None)

    def act(self, listener, id, action, call):
        match action:
            case Continue():
                respond(listener, id, flags=FLAG_CONTINUE)
            case Fail(number):
                respond(listener, id, error=-number)
            case Return(value):
                respond(listener, id, value=value)
            case Short(size):
                respond(listener, id, value=write_part(call, size))
            case Kill(when, whom):
                if when == "after":
                    respond(listener, id, flags=FLAG_CONTINUE)
                kill(self.pid if whom == "main" else call.process.pid)
                if whom == "all":
                    self.session.kill_all()
                elif when == "before":
                    # Of another process than the one that was killed.
                    respond(listener, id, flags=FLAG_CONTINUE)


def child(argv, env, cwd, streams, code, shared, gate):
    """The forked child up to its program. It must not make a watched call once the filter is there."""
    try:
        os.chdir(cwd)
        for number, fd in enumerate(streams):
            os.dup2(fd, number)
        if code:
            shared[:8] = struct.pack("q", install(code))
        os.read(gate, 1)
        os.execvpe(argv[0], argv, env)
    finally:
        os._exit(127)


def respond(listener, id, value=0, error=0, flags=0):
    try:
        fcntl.ioctl(listener, SEND, RESPONSE.pack(id, value, error, flags))
    except OSError as problem:
        if problem.errno not in (errno.ENOENT, errno.EINPROGRESS):
            raise


def write_part(call, size):
    """Writes the first bytes of a call to its descriptor, which keeps its offset; the number of bytes."""
    if call.name == "copy_file_range":
        return copy_part(call, size)
    process = os.pidfd_open(call.process.pid)
    fd = copy_descriptor(process, call.fd)
    os.close(process)
    try:
        data = call.data(min(size, call.size))
        return os.pwrite(fd, data, call.args[3]) if call.name.startswith("pwrite") else os.write(fd, data)
    finally:
        os.close(fd)


def copy_part(call, size):
    """The same for a copy within the kernel, of which both descriptors keep their offsets unless it names others."""
    process = os.pidfd_open(call.process.pid)
    descriptors = [copy_descriptor(process, call.args[at]) for at in (0, 2)]
    os.close(process)
    try:
        assert not call.args[1] and not call.args[3], "offsets that are the program's"
        return os.copy_file_range(*descriptors, min(size, call.size))
    finally:
        for fd in descriptors:
            os.close(fd)


def copy_descriptor(process, fd):
    """A descriptor of another process, by its pidfd."""
    copy = LIBC.syscall(SYS_PIDFD_GETFD, process, fd, 0)
    if copy < 0:
        raise OSError(ctypes.get_errno(), "pidfd_getfd")
    return copy


def stdin_of(data):
    fd = os.memfd_create("stdin")
    os.write(fd, data or b"")
    os.lseek(fd, 0, os.SEEK_SET)
    return fd


def text_of(fd):
    """What was written to a descriptor, which is closed."""
    with os.fdopen(fd, "rb") as file:
        file.seek(0)
        return file.read().decode(errors="replace")


def kill(pid):
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def descendants(pid):
    """All children of a process, and theirs; those that have ended do not count."""
    children = {}
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{name}/stat") as file:
                state, parent = file.read().rpartition(")")[2].split()[:2]
        except OSError:
            continue
        if state not in "ZX":
            children.setdefault(int(parent), []).append(int(name))
    found, new = [], [pid]
    while new:
        new = [child for parent in new for child in children.get(parent, [])]
        found += new
    return found

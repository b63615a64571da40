"""The system calls that can be watched: their numbers on x86-64, and which of their arguments name files.

`CALLS` maps a name to a `Shape`. The sets `DURABLE`, `LOOKUPS`, `READS`, `PROCESSES`, `MEMORY` and `SOCKETS` are what a caller chooses from.
"""
from dataclasses import dataclass

AT_FDCWD = -100
O_CREAT, O_TRUNC, O_TMPFILE = 0o100, 0o1000, 0o20000000
MAKES_A_FILE = O_CREAT | O_TRUNC | O_TMPFILE
FICLONE, FICLONERANGE = 0x40049409, 0x4020940D


@dataclass(frozen=True)
class Shape:
    """Indices of arguments: `fd`, one that is written or synced; `paths`, pairs of folder and path (the folder None: the working
    directory); `size`, a length in bytes; `vector`, the count of an array of buffers; `flags`, those of an open."""

    number: int
    fd: int | None = None
    paths: tuple = ()
    size: int | None = None
    vector: int | None = None
    flags: int | None = None


CALLS = {
    # What changes files, names, modes or mounts, or sends an answer.
    "write": Shape(1, fd=0, size=2),
    "pwrite64": Shape(18, fd=0, size=2),
    "writev": Shape(20, fd=0, vector=2),
    "pwritev": Shape(296, fd=0, vector=2),
    "pwritev2": Shape(328, fd=0, vector=2),
    "sendto": Shape(44, fd=0, size=2),
    "sendmsg": Shape(46, fd=0),
    "sendfile": Shape(40, fd=0, size=3),
    "copy_file_range": Shape(326, fd=2, size=4),
    "splice": Shape(275, fd=2, size=4),
    "ioctl": Shape(16, fd=0),
    "ftruncate": Shape(77, fd=0, size=1),
    "truncate": Shape(76, paths=((None, 0),), size=1),
    "fallocate": Shape(285, fd=0, size=3),
    "fsync": Shape(74, fd=0),
    "fdatasync": Shape(75, fd=0),
    "syncfs": Shape(306, fd=0),
    "sync": Shape(162),
    "sync_file_range": Shape(277, fd=0),
    "open": Shape(2, paths=((None, 0),), flags=1),
    "openat": Shape(257, paths=((0, 1),), flags=2),
    "openat2": Shape(437, paths=((0, 1),)),
    "creat": Shape(85, paths=((None, 0),)),
    "rename": Shape(82, paths=((None, 0), (None, 1))),
    "renameat": Shape(264, paths=((0, 1), (2, 3))),
    "renameat2": Shape(316, paths=((0, 1), (2, 3))),
    "link": Shape(86, paths=((None, 0), (None, 1))),
    "linkat": Shape(265, paths=((0, 1), (2, 3))),
    "symlink": Shape(88, paths=((None, 1),)),
    "symlinkat": Shape(266, paths=((1, 2),)),
    "unlink": Shape(87, paths=((None, 0),)),
    "unlinkat": Shape(263, paths=((0, 1),)),
    "mkdir": Shape(83, paths=((None, 0),)),
    "mkdirat": Shape(258, paths=((0, 1),)),
    "rmdir": Shape(84, paths=((None, 0),)),
    "chmod": Shape(90, paths=((None, 0),)),
    "fchmod": Shape(91, fd=0),
    "fchmodat": Shape(268, paths=((0, 1),)),
    "fchmodat2": Shape(452, paths=((0, 1),)),
    "mount": Shape(165, paths=((None, 1),)),
    "umount2": Shape(166, paths=((None, 0),)),
    "move_mount": Shape(429, paths=((2, 3),)),
    # What looks at files without changing them.
    "stat": Shape(4, paths=((None, 0),)),
    "lstat": Shape(6, paths=((None, 0),)),
    "fstat": Shape(5, fd=0),
    "newfstatat": Shape(262, paths=((0, 1),)),
    "statx": Shape(332, paths=((0, 1),)),
    "getdents64": Shape(217, fd=0, size=2),
    "readlink": Shape(89, paths=((None, 0),)),
    "readlinkat": Shape(267, paths=((0, 1),)),
    "flock": Shape(73, fd=0),
    "fcntl": Shape(72, fd=0),
    "read": Shape(0, fd=0, size=2),
    "pread64": Shape(17, fd=0, size=2),
    # What takes processes, memory or descriptors.
    "clone": Shape(56),
    "fork": Shape(57),
    "vfork": Shape(58),
    "clone3": Shape(435),
    "execve": Shape(59, paths=((None, 0),)),
    "wait4": Shape(61),
    "waitid": Shape(247),
    "poll": Shape(7),
    "ppoll": Shape(271),
    "pipe2": Shape(293),
    "dup": Shape(32, fd=0),
    "eventfd2": Shape(290),
    "epoll_create1": Shape(291),
    "memfd_create": Shape(319),
    "pidfd_open": Shape(434),
    "mmap": Shape(9, size=1),
    "mremap": Shape(25, size=2),
    "brk": Shape(12),
    "getrandom": Shape(318, size=1),
    "socket": Shape(41),
    "socketpair": Shape(53),
    "bind": Shape(49, fd=0),
    "listen": Shape(50, fd=0),
    "connect": Shape(42, fd=0),
    "accept4": Shape(288, fd=0),
    "recvfrom": Shape(45, fd=0, size=2),
    "recvmsg": Shape(47, fd=0),
}

NAMES = {shape.number: name for name, shape in CALLS.items()}
OPENS = frozenset({"open", "openat", "openat2"})
WRITES = frozenset({"write", "pwrite64", "writev", "pwritev", "pwritev2", "sendto", "sendmsg", "sendfile", "copy_file_range", "splice"})
DURABLE = frozenset(list(CALLS)[: list(CALLS).index("stat")])
LOOKUPS = frozenset({"stat", "lstat", "fstat", "newfstatat", "statx", "getdents64", "readlink", "readlinkat", "flock", "fcntl"})
READS = frozenset({"read", "pread64", "recvfrom", "recvmsg"})
PROCESSES = frozenset({"clone", "fork", "vfork", "clone3", "execve", "wait4", "waitid", "pipe2", "dup", "eventfd2", "epoll_create1", "pidfd_open"})
MEMORY = frozenset({"mmap", "mremap", "brk", "memfd_create"})
SOCKETS = frozenset({"socket", "socketpair", "bind", "listen", "connect", "accept4"})

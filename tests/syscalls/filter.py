"""The seccomp filter of a watched process: which of its system calls the kernel hands to the supervisor.

The kernel decides by number; for `open` and `openat` by the flags as well, unless every open is watched, and for `ioctl` by the
request. A filter is inherited by all children, so the supervisor sees their calls too.
"""
import ctypes
import struct

from table import CALLS, FICLONE, FICLONERANGE, MAKES_A_FILE

ARCH_X86_64 = 0xC000003E
LOAD, JUMP_EQUAL, JUMP_ANY_BIT, RETURN = 0x20, 0x15, 0x45, 0x06
NOTIFY, ALLOW = 0x7FC00000, 0x7FFF0000
OFFSET_NUMBER, OFFSET_ARCH, OFFSET_ARGS = 0, 4, 16

SYS_SECCOMP, SET_MODE_FILTER = 317, 1
NEW_LISTENER, WAIT_KILLABLE = 1 << 3, 1 << 5
PR_SET_NO_NEW_PRIVS = 38
LIBC = ctypes.CDLL(None, use_errno=True)


class Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("code", ctypes.c_void_p)]


def instruction(code, value, if_true=0, if_false=0):
    return struct.pack("HBBI", code, if_true, if_false, value)


def argument(index):
    """Loads the lower half of an argument."""
    return instruction(LOAD, OFFSET_ARGS + 8 * index)


def conditional(number, test):
    """Hands over the call `number` if `test`, which is two instructions, holds; else allows it."""
    body = test + [instruction(RETURN, ALLOW), instruction(RETURN, NOTIFY)]
    return [instruction(JUMP_EQUAL, number, 0, len(body)), *body]


def compile_filter(calls, every_open):
    """The filter for these names, as bytes of `struct sock_filter`."""
    code = [
        instruction(LOAD, OFFSET_ARCH),
        instruction(JUMP_EQUAL, ARCH_X86_64, 1, 0),
        instruction(RETURN, ALLOW),
        instruction(LOAD, OFFSET_NUMBER),
    ]
    for name in sorted(calls):
        shape = CALLS[name]
        if shape.flags is not None and not every_open:
            code += conditional(shape.number, [argument(shape.flags), instruction(JUMP_ANY_BIT, MAKES_A_FILE, 1, 0)])
        elif name == "ioctl":
            test = [argument(1), instruction(JUMP_EQUAL, FICLONE, 2, 0), instruction(JUMP_EQUAL, FICLONERANGE, 1, 0)]
            code += conditional(shape.number, test)
        else:
            code += [instruction(JUMP_EQUAL, shape.number, 0, 1), instruction(RETURN, NOTIFY)]
    code.append(instruction(RETURN, ALLOW))
    return b"".join(code)


def install(code):
    """Installs the filter in this process and returns the descriptor of its listener. No watched call may follow before another
    process serves that."""
    memory = ctypes.create_string_buffer(code, len(code))
    program = Program(len(code) // 8, ctypes.addressof(memory))
    if LIBC.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        return -1
    return LIBC.syscall(SYS_SECCOMP, SET_MODE_FILTER, NEW_LISTENER | WAIT_KILLABLE, ctypes.byref(program))

"""Becomes another program that has to ask the kernel what time it is: `hidden_clock.py PROGRAM ARGUMENT…`.

A program finds the kernel's shared page of times by an entry of its auxiliary vector. A helper waits until this process has become the
program, changes the type of that entry into one that is ignored, and lets go. Linux on x86-64.
"""
import ctypes
import os
import struct
import sys

LIBC = ctypes.CDLL(None, use_errno=True)
LIBC.ptrace.argtypes = (ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p)
LIBC.ptrace.restype = ctypes.c_long
DETACH, GETREGS, SEIZE, OPTION_EXEC = 17, 12, 0x4206, 1 << 4
EXEC_STOP = 4
REGISTERS, STACK_POINTER = 27, 19
PR_SET_PTRACER, ANY = 0x59616D61, -1
AT_NULL, AT_IGNORE, AT_SYSINFO_EHDR = 0, 1, 33


def ptrace(request, pid, address=0, data=0):
    if LIBC.ptrace(request, pid, address, data) < 0:
        raise OSError(ctypes.get_errno(), f"ptrace {request}")


def watch(pid, ready):
    """Waits until the process has become the program, and hides the clock from it."""
    ptrace(SEIZE, pid, 0, OPTION_EXEC)
    os.write(ready, b".")
    _, status = os.waitpid(pid, 0)
    while status >> 16 != EXEC_STOP:
        ptrace(7, pid, 0, status >> 8 & 0xFF)
        _, status = os.waitpid(pid, 0)
    registers = (ctypes.c_ulonglong * REGISTERS)()
    ptrace(GETREGS, pid, 0, ctypes.addressof(registers))
    hide(pid, registers[STACK_POINTER])
    ptrace(DETACH, pid)


def hide(pid, stack):
    """On the stack are the count of arguments, these, 0, the environment, 0, and pairs of type and value."""
    with open(f"/proc/{pid}/mem", "r+b", buffering=0) as memory:

        def word(address):
            memory.seek(address)
            return struct.unpack("Q", memory.read(8))[0]

        place = stack + 8 * (word(stack) + 2)
        while word(place):
            place += 8
        place += 8
        while (kind := word(place)) != AT_NULL:
            if kind == AT_SYSINFO_EHDR:
                memory.seek(place)
                memory.write(struct.pack("Q", AT_IGNORE))
            place += 16


def main():
    pid = os.getpid()
    # Where only a parent may look into a process.
    LIBC.prctl(PR_SET_PTRACER, ctypes.c_ulong(ANY & 2**64 - 1), 0, 0, 0)
    is_ready, ready = os.pipe()
    child = os.fork()
    if child == 0:
        # The helper is no child of the program, which knows nothing of it.
        if os.fork() == 0:
            try:
                watch(pid, ready)
            finally:
                os._exit(0)
        os._exit(0)
    os.waitpid(child, 0)
    os.close(ready)
    if os.read(is_ready, 1) != b".":
        sys.exit("the clock can't be hidden here")
    os.execv(sys.argv[1], sys.argv[1:])


if __name__ == "__main__":
    main()

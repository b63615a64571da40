"""What a process leaves on the machine: other processes, zombies, descriptors, mounts. Read from /proc."""
import os
import time
from pathlib import Path

# How long what has been ended may take to be gone, in seconds.
SETTLE = 10


class Process:
    """One line of /proc/PID/stat; a zombie has one too."""

    def __init__(self, pid):
        text = Path(f"/proc/{pid}/stat").read_text(errors="replace")
        name, _, rest = text.partition("(")[2].rpartition(")")
        fields = rest.split()
        self.pid, self.name, self.state = pid, name, fields[0]
        self.parent, self.group, self.session = map(int, fields[1:4])

    def __str__(self):
        return f"{self.pid} ({self.name}) state {self.state}, parent {self.parent}, session {self.session}"


def processes():
    found = []
    for name in os.listdir("/proc"):
        try:
            found.append(Process(int(name)))
        except (ValueError, OSError):
            pass  # Not a process, or one that has ended meanwhile.
    return found


def has_mark(pid, mark):
    try:
        return mark in Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return False


def left_behind(sessions, mark, spared=()):
    """Processes and zombies of `sessions`, and processes with `mark` in their environment wherever they are."""
    return [one for one in processes() if one.pid not in spared and (one.session in sessions or has_mark(one.pid, mark))]


def settled(look):
    """What `look` still finds after it had time to find nothing."""
    until = time.monotonic() + SETTLE
    while (found := look()) and time.monotonic() < until:
        time.sleep(0.1)
    return found


def children(pid):
    return [one for one in processes() if one.parent == pid]


def zombies(pid):
    return [one for one in children(pid) if one.state == "Z"]


def descriptors(pid):
    """What the open descriptors of a process are, sorted; None if it has ended."""
    kinds = []
    try:
        for name in os.listdir(f"/proc/{pid}/fd"):
            try:
                kinds.append(os.readlink(f"/proc/{pid}/fd/{name}").split(":[")[0])
            except OSError:
                pass  # Closed meanwhile.
    except OSError:
        return None
    return sorted(kinds)


def peak_memory(pid):
    """The peak of the resident memory of one process, without its children, in MiB; None if it has ended."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return None
    line = status.partition("VmHWM:")[2].split()
    return int(line[0]) / 1024 if line else None


def mounts_beneath(folder):
    return [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if str(folder) in line]


def files_beneath(folder):
    """Every path beneath `folder`, relative to it; folders end with a slash."""
    paths = []
    for where, folders, files in os.walk(folder):
        base = os.path.relpath(where, folder)
        paths += [os.path.normpath(os.path.join(base, name)) for name in files]
        paths += [os.path.normpath(os.path.join(base, name)) + "/" for name in folders]
    return sorted(paths)

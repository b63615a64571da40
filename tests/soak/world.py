"""What all jobs of a soak share: the program, the folder, the seed, the deadline, and what was counted and found."""
import collections
import os
import random
import subprocess
import threading
import time
import uuid
from pathlib import Path

HERE = Path(__file__).resolve().parent
# How long an orderly stop, or a job that is not disturbed, may take, in seconds.
PATIENCE = 300


class Fault(Exception):
    """Something is not as it should be."""


def check(holds, what, *shown):
    if not holds:
        raise Fault("\n    ".join([what, *(str(one)[:2000] for one in shown)]))


class World:
    def __init__(self, mesh, folder, seed, seconds):
        self.mesh, self.folder, self.seed = mesh, folder, seed
        self.deadline = time.monotonic() + seconds
        self.mark = f"SOAK_MARK={uuid.uuid4()}".encode()
        self.counts, self.faults = collections.Counter(), []
        # The log of each process that was started, by its id, which is that of its session.
        self.sessions = {}
        self.figures = []
        self.lock = threading.Lock()
        self.tmp, self.state = folder / "tmp", folder / "state"
        # The socket of a run is in its folder, or, where that path is too long for one, in the temporary folder.
        self.homes = [folder / "home", folder / ("home-with-a-name-that-is-too-long-for-a-socket-" + "x" * 60)]
        for one in (self.tmp, self.state, *self.homes):
            one.mkdir()

    def random(self, *names):
        return random.Random("/".join(map(str, (self.seed, *names))))

    def is_over(self):
        return time.monotonic() >= self.deadline

    def count(self, what, number=1):
        with self.lock:
            self.counts[what] += number

    def add_fault(self, where, error):
        with self.lock:
            self.faults.append(f"{where}: {error}")

    def environment(self, home):
        name, _, mark = self.mark.decode().partition("=")
        git = {"GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": "/dev/null"}
        person = {f"GIT_{who}_{what}": "soak@example.invalid" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
        base = {key: os.environ[key] for key in ("PATH", "LANG") if key in os.environ}
        own = {"HOME": str(self.folder), "TMPDIR": str(self.tmp), "MESH_HOME": str(home), "SOAK_STATE": str(self.state), "SOAK_MESH": self.mesh}
        return {**base, **git, **person, **own, name: mark}

    def start(self, arguments, cwd, home, log, **more):
        """Starts mesh in a session of its own, so that whatever it leaves can be told; its messages are added to `log`."""
        with open(log, "ab") as said:
            more = {"stdin": subprocess.DEVNULL, "stdout": said, **more}
            process = subprocess.Popen([self.mesh, *map(str, arguments)], cwd=cwd, env=self.environment(home), stderr=said, start_new_session=True, **more)
        with self.lock:
            self.sessions[process.pid] = log
        return process

    def call(self, *arguments, cwd, home, codes=(0,)):
        """Runs mesh to its end and returns its standard output."""
        done = subprocess.run([self.mesh, *map(str, arguments)], cwd=cwd, env=self.environment(home), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE)
        check(done.returncode in codes, f"mesh {' '.join(map(str, arguments))[:200]}: exit code {done.returncode}", done.stdout, done.stderr)
        return done.stdout


def wait(process, what):
    try:
        return process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        raise Fault(f"has not ended {PATIENCE} s after {what}") from None


def log_end(log):
    return log.read_text(errors="replace")[-1500:] if log.exists() else ""

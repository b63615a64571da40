"""The folder of one trial, with a home, a state folder, a temporary folder and a repository of its own, and the commands that run in it."""
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "syscalls"))
from supervisor import CONTINUE, Session  # noqa: E402

RUN = "R"


class Died(Exception):
    """A command of the scenario was killed by the trial."""


class World:
    """`decide(world, command, call)` is asked before each durable call, where `command` is the first word of a command line; None
    lets everything continue."""

    def __init__(self, mesh, decide=None):
        self.mesh_path = mesh
        self.root = Path(tempfile.mkdtemp(prefix="mesh-crash-", dir=folder_of_worlds()))
        self.session = Session(mesh, others=["git"])
        self.decide = decide
        self.said, self.printed = [], ""
        for name in ("home", "work", "state", "tmp"):
            (self.root / name).mkdir()
        (self.root / "home/gitconfig").write_text("[user]\nname = Test\nemail = test@example.invalid\n[gc]\nauto = 0\n[maintenance]\nauto = false\n")
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.root / "home"),
            "MESH_HOME": str(self.root / "state"),
            "MESH": mesh,
            "TMPDIR": str(self.root / "tmp"),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": str(self.root / "home/gitconfig"),
            "LANG": "C",
        }

    @property
    def work(self):
        return self.root / "work"

    @property
    def run(self):
        """The id of the run of the scenario: the one that is on record, else one that is free, since what was killed before its record
        has left a folder."""
        ids = [RUN, *(f"{RUN}-{number}" for number in range(2, 9))]
        return next((id for id in ids if self.started(id)), None) or next(id for id in ids if not self.run_folder(id).exists())

    def run_folder(self, run):
        return self.root / "state/runs" / run

    def write(self, name, text, mode=None):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        if mode:
            path.chmod(mode)

    def git(self, *args):
        """What git prints. It has to succeed."""
        done = subprocess.run(["git", *args], cwd=self.work, env=self.environment, capture_output=True, text=True)
        if done.returncode != 0:
            raise RuntimeError(f"git {args}: {done.stderr}")
        return done.stdout

    def mesh(self, *args, allowed=(0,)):
        """Runs a command that belongs to the scenario. Raises `Died` if the trial killed it, `Unexpected` for another exit code."""
        # What a command has left running is still watched when nothing is decided any more.
        decide = (lambda call: self.decide(self, args[0], call) if self.decide else CONTINUE) if self.decide else None
        outcome = self.session.run([self.mesh_path, *args], self.environment, self.work, decide)
        self.printed = outcome.err
        self.said.append(f"$ mesh {' '.join(args)}\n{outcome.err}exit code {outcome.code}")
        if outcome.code == 137:
            raise Died
        if outcome.code not in allowed:
            raise Unexpected(f"exit code {outcome.code} of `mesh {' '.join(args)}`")
        return outcome

    def quietly(self, *args, allowed=(0,)):
        """Runs a command that prepares the scenario."""
        decide, self.decide = self.decide, None
        try:
            return self.mesh(*args, allowed=allowed)
        finally:
            self.decide = decide

    def look(self, *args):
        """Runs a command that only looks; its exit code and what it printed."""
        outcome = self.session.run([self.mesh_path, *args], self.environment, self.work)
        return outcome.code, outcome.out

    def json(self, *args):
        code, out = self.look(*args)
        try:
            return code, json.loads(out.splitlines()[-1]) if out.count("\n") <= 1 else json.loads(out)
        except (ValueError, IndexError):
            return code, out

    def relative(self, path):
        """The name of a path in all trials: relative to the world, without what is chosen at random."""
        path = path.removeprefix(str(self.root) + "/").removesuffix(" (deleted)")
        if path.startswith("socket:"):
            return "socket"
        return normalise(path)

    def plain(self, text):
        """A text without the folder of the world and what is random."""
        return normalise(text.replace(str(self.root), "ROOT"))

    def started(self, run=None):
        """Whether a run is on record; by default, that of the scenario."""
        ledger = self.run_folder(run or self.run) / "ledger.jsonl"
        return ledger.exists() and b"\n" in ledger.read_bytes()

    def remove(self):
        self.session.kill_all()
        shutil.rmtree(self.root, ignore_errors=True)


class Unexpected(Exception):
    """A command of the scenario ended with an exit code that it should not have."""


RANDOM_PARTS = [
    (re.compile(r"\bobjects/[0-9a-f]{2}(/(tmp_obj_\w{6}|[0-9a-f]{38}))?$"), "objects/HASH"),
    (re.compile(r"\.[A-Za-z0-9]{6}\.tmp\b"), ".*.tmp"),
    (re.compile(r"\b(slices/\d+)\.\d+\.jsonl"), r"\1.jsonl"),
    (re.compile(r"\bwaves/(\.?)\d{3}-"), r"waves/\1NNN-"),
    (re.compile(rf"\b{RUN}-\d\b"), RUN),
    (re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b"), "UUID"),
    (re.compile(r"\b\d{8}T\d{6}Z\b"), "TIME"),
    (re.compile(r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00)"), "TIME"),
    (re.compile(r"\blrn-TIME-[0-9a-f]{8}\b"), "lrn-ID"),
    (re.compile(r"\b[0-9a-f]{32}\b"), "ID"),
    (re.compile(r"\bmesh-[0-9a-f]{20}\b"), "mesh-ID"),
    (re.compile(r"\b[0-9a-f]{40}\b|\b[0-9a-f]{64}\b"), "HASH"),
]


def normalise(text):
    for pattern, replacement in RANDOM_PARTS:
        text = pattern.sub(replacement, text)
    return text


def folder_of_worlds():
    """In memory where the machine has it, since nothing here depends on the disk; `TMPDIR` goes before."""
    return os.environ.get("TMPDIR") or ("/dev/shm" if os.access("/dev/shm", os.W_OK) else None)

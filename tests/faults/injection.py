"""One injection: a scenario of the kill tests meets one fault at one operation, goes on without it, and is compared with an undisturbed run."""
import errno
import functools
import os
import re
import time
from collections import Counter
from dataclasses import dataclass, field

from call import is_durable
from comparison import differences, left_behind
from faults import BY_NAME as FAULTS
from scenarios import BY_NAME as SCENARIOS
from supervisor import CONTINUE
from table import DURABLE
from world import Died, Unexpected, World

TIMEOUT = 100
# Exit codes that say that the machine or the service prevents the work (docs/exit-codes.md), and those of a row or a task that failed.
REFUSED, EARLY, WORK_FAILED = 3, 4, 1
# How the loader (127, or 139 without a word), the allocator and a thread that begins (134, abort) end for lack of memory, which mesh can't catch.
NO_MEMORY = {127: "cannot map|failed to map|cannot create|cannot allocate", 134: "memory allocation of|Cannot allocate memory", 139: r"\A\Z"}
# What a call makes of an error: the start of a thread reports a lack of memory like a limit of processes.
SAID_AS = {errno.ENOMEM: (errno.ENOMEM, errno.EAGAIN)}


@dataclass(frozen=True)
class Injection:
    scenario: str
    fault: str
    operation: str

    def __str__(self):
        return f"{self.scenario} | {self.fault} | {self.operation}"

    @staticmethod
    def parse(text):
        return Injection(*(part.strip() for part in text.split("|")))


@dataclass
class Result:
    """`outcome`: `not reached`, `no effect`, `same result`, `resumed` or `failed`, with the reasons in `wrong`. `code` and `message`: of the command
    that failed, if one did."""

    injection: Injection
    outcome: str = ""
    code: int | None = None
    message: str = ""
    wrong: list = field(default_factory=list)
    said: list = field(default_factory=list)
    seconds: float = 0.0


class Operations:
    """Gives the calls that a fault meets their names: command, process unless it is the main one, system call, path, and which of that name."""

    def __init__(self, fault):
        self.fault, self.counts, self.all = fault, Counter(), []

    def name(self, world, command, call):
        """None for a call that the fault does not meet."""
        is_seen = call.name in self.fault.calls and (self.fault.calls != DURABLE or is_durable(call))
        if not is_seen or call.process.kind not in ("main", "child") or not self.fault.meets(call, world):
            return None
        kind = command if call.process.kind == "main" else f"{command}.{call.process.kind}"
        name = f"{kind}/{call.name}:{world.relative(call.path)}"
        self.counts[name] += 1
        self.all.append(f"{name}:{self.counts[name]}")
        return self.all[-1]


class Injector:
    """Decides about each call: injects the fault at the due operation, and if it lasts at all later ones."""

    def __init__(self, fault, operation):
        self.fault, self.operation, self.operations = fault, operation, Operations(fault)
        self.active, self.reached = False, None

    def decide(self, world, command, call):
        name = self.operations.name(world, command, call)
        if name is None or not self.active and name != self.operation:
            return CONTINUE
        if not self.active:
            self.reached, self.active = call, self.fault.lasts
        return self.fault.act(call)


class FaultyWorld(World):
    """A world whose commands are watched for the calls of faults."""

    def __init__(self, mesh, *faults):
        super().__init__(mesh)
        run = self.session.run
        calls = frozenset().union(*(fault.calls for fault in faults))
        before = max((fault.before for fault in faults), key=len)

        @functools.wraps(run)
        def watched(argv, env, cwd, decide=None, **more):
            words = list(before) if decide else []
            return run([*words, *argv], env, cwd, decide, calls=calls, timeout=TIMEOUT, **more)

        self.session.run = watched


@dataclass
class Survey:
    """An undisturbed run of a scenario: the operations that each fault can meet, and what is left. `problem`: why there is none."""

    scenario: str
    operations: dict = field(default_factory=dict)
    seen: dict = field(default_factory=dict)
    problem: str = ""


def survey(mesh, name, faults):
    """Drives the scenario without a fault."""
    scenario, found = SCENARIOS[name], Survey(name)
    known = {fault: Operations(FAULTS[fault]) for fault in faults}
    world = FaultyWorld(mesh, *(operations.fault for operations in known.values()))

    def note(world, command, call):
        for operations in known.values():
            operations.name(world, command, call)
        return CONTINUE

    try:
        scenario.prepare(world)
        world.decide = note
        scenario.drive(world)
        world.decide = None
        found.seen = left_behind(world, scenario)
        found.operations = {fault: operations.all for fault, operations in known.items()}
    except Exception as problem:  # Whatever it is, nothing can be compared with it.
        found.problem = f"{type(problem).__name__}: {problem}\n" + "\n".join(world.said[-1:])
    finally:
        world.remove()
    return found


def inject(mesh, injection, expected):
    """Drives the scenario with the fault, then without it until it has ended, and compares with what a survey has seen."""
    began = time.monotonic()
    result = Result(injection)
    scenario, fault = SCENARIOS[injection.scenario], FAULTS[injection.fault]
    world = FaultyWorld(mesh, fault)
    try:
        scenario.prepare(world)
        injector = Injector(fault, injection.operation)
        world.decide = injector.decide
        try:
            drive(scenario, world, injector, result)
        except Exception as problem:  # Whatever it is, it is wrong.
            result.wrong.append(f"{type(problem).__name__}: {problem}")
        result.said = world.said
        judge(scenario, world, injector, result, expected)
    finally:
        world.remove()
    result.seconds = time.monotonic() - began
    return result


def drive(scenario, world, injector, result):
    try:
        scenario.drive(world)
        world.decide = None
    except (Unexpected, Died):
        said = world.said[-1]
        world.decide = None
        result.message, _, code = said.rpartition("exit code ")
        result.code = int(code) if code.isdigit() else None
        result.wrong += unclear(injector, result, world.printed)
        result.wrong += unbegun(world, injector.fault)
        scenario.drive(world)


def unbegun(world, fault):
    """Folders of runs that could not begin, of which nothing should be left; where everything is read-only they are."""
    if fault.lasts and fault.name.startswith("EROFS"):
        return []
    folders = world.root.glob("state/runs/*")
    return [f"{folder.name} has not begun, and its folder is there" for folder in folders if not world.started(folder.name)]


def unclear(injector, result, text):
    """What is wrong with the exit code of a command that met the fault, and with what it printed."""
    fault, call = injector.fault, injector.reached
    if call is None:
        return [f"exit code {result.code} without a fault"]
    if result.code is None:
        return [f"it has not ended after {TIMEOUT} s"]
    if fault.is_harmless:
        return [f"exit code {result.code} after {fault.name}"]
    if fault.name == "ENOMEM mapping" and re.search(NO_MEMORY.get(result.code, "^$"), text):
        return []
    wrong = []
    if result.code not in (REFUSED, EARLY, WORK_FAILED):
        wrong.append(f"exit code {result.code}")
    if "panicked" in text or "internal error" in text:
        wrong.append("a panic")
    if not is_clear(text, call, fault):
        wrong.append(f"the message names neither the file nor the fault: {call.name} {call.path}")
    return wrong


def is_clear(text, call, fault):
    number = getattr(fault.act(call), "errno", None)
    reasons = [os.strerror(said) for said in SAID_AS.get(number, (number,)) if said]
    files = [os.path.basename(path) for path in call.paths]
    return any(words and words in text for words in reasons + files)


def judge(scenario, world, injector, result, expected):
    if not result.wrong:
        said = "\n".join(world.said)
        unlike = {*injector.fault.unlike, *excused(said, injector.reached)}
        known = lambda seen: {part: lines for part, lines in seen.items() if part not in unlike}
        found = without_named(left_behind(world, scenario), expected, said)
        result.wrong += differences(known(expected), known(found))
    if result.wrong:
        result.outcome = "failed"
    elif injector.reached is None:
        result.outcome = "not reached"
    else:
        result.outcome = "no effect" if result.code is None else outcome_of(result)


def without_named(found, expected, said):
    """What is left, without the files that are left too many and that a message has named."""
    named = {name for name in re.findall(r"[\w.-]+", said) if name.endswith(".mesh-lock")}
    is_named = lambda line: any(name in line for name in named)
    return {part: [line for line in lines if line in expected.get(part, []) or not is_named(line)] for part, lines in found.items()}


NAMES = ("names", "names after gc")
# Parts that may differ where a message says what was not done.
EXCUSES = {"nothing was added to the learnings": ("learnings", "learnings in the report", "plan", "git", *NAMES), "kept: ": NAMES}


def excused(said, call):
    """The parts that may differ since a message says why, or since the call that failed was to remove files, or to look what there is to remove."""
    for excuse, parts in EXCUSES.items():
        if excuse in said:
            yield from parts
    if call is not None and (call.name in ("unlink", "unlinkat", "rmdir") or any(re.search("/(scratch|snapshot|trial|branch)", path) for path in call.paths)):
        yield from NAMES


def outcome_of(result):
    if result.code == REFUSED:
        return "refused, then done"
    return f"ended with {result.code}, then resumed" if re.search("resume", result.message) else f"ended with {result.code}, then done"

"""One injection: a scenario of the kill tests meets one fault at one operation, goes on without it, and is compared with an undisturbed run."""
import functools
import os
import re
import time
from collections import Counter
from dataclasses import dataclass, field

from comparison import differences, left_behind
from faults import BY_NAME as FAULTS
from scenarios import BY_NAME as SCENARIOS
from supervisor import CONTINUE
from world import Died, Unexpected, World

TIMEOUT = 100
# Exit codes that say that the machine or the service prevents the work (docs/exit-codes.md), and those of a row or a task that failed.
REFUSED, EARLY, WORK_FAILED = 3, 4, 1
# How the loader (127), the allocator and the start of a thread (134, abort) say that there is no memory, which mesh can't catch.
NO_MEMORY = {127: "cannot map|failed to map|cannot create|cannot allocate", 134: "memory allocation of|Cannot allocate memory"}


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
    operations: list = field(default_factory=list)
    seen: dict = field(default_factory=dict)
    seconds: float = 0.0


class Injector:
    """Decides about each call: counts those of a name that the fault meets, and injects it at the due one."""

    def __init__(self, fault, operation):
        self.fault, self.operation = fault, operation
        self.counts, self.operations, self.active, self.reached = Counter(), [], False, None

    def decide(self, world, command, call):
        if call.process.kind not in ("main", "child") or not self.fault.meets(call, world):
            return CONTINUE
        if self.active:
            return self.fault.act(call)
        kind = command if call.process.kind == "main" else f"{command}.{call.process.kind}"
        name = f"{kind}/{call.name}:{world.relative(call.path)}"
        self.counts[name] += 1
        operation = f"{name}:{self.counts[name]}"
        self.operations.append(operation)
        if operation != self.operation:
            return CONTINUE
        self.reached, self.active = call, self.fault.lasts
        return self.fault.act(call)


class FaultyWorld(World):
    """A world whose commands are watched for the calls of a fault."""

    def __init__(self, mesh, fault):
        super().__init__(mesh)
        run = self.session.run

        @functools.wraps(run)
        def watched(argv, env, cwd, decide=None, **more):
            words = list(fault.before) if decide else []
            return run([*words, *argv], env, cwd, decide, calls=fault.calls, timeout=TIMEOUT, **more)

        self.session.run = watched


def inject(mesh, injection, expected=None):
    """Drives the scenario with the fault, then without it until it has ended, and compares."""
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
        result.operations, result.said = injector.operations, world.said
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
        result.wrong += unclear(injector, result)
        scenario.drive(world)


def unclear(injector, result):
    """What is wrong with the exit code and the message of a command that met the fault."""
    fault, call, text = injector.fault, injector.reached, result.message
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
    action = fault.act(call)
    reason = os.strerror(action.errno) if hasattr(action, "errno") else ""
    return bool(reason and reason in text) or any(os.path.basename(path) and os.path.basename(path) in text for path in call.paths)


def judge(scenario, world, injector, result, expected):
    if not result.wrong:
        result.seen = left_behind(world, scenario)
        if expected is not None:
            unlike = (*injector.fault.unlike, *(("names", "names after gc") if may_leave(injector.reached) else ()))
            known = lambda seen: {part: lines for part, lines in seen.items() if part not in unlike}
            result.wrong += differences(known(expected), known(result.seen))
    if result.wrong:
        result.outcome = "failed"
    elif injector.reached is None:
        result.outcome = "not reached"
    else:
        result.outcome = "no effect" if result.code is None else outcome_of(result)


def may_leave(call):
    """Whether files may be left, since the call that failed was to remove them, or to look what there is to remove."""
    return call is not None and (call.name in ("unlink", "unlinkat", "rmdir") or any("/scratch" in path for path in call.paths))


def outcome_of(result):
    if result.code == REFUSED:
        return "refused, then done"
    return f"ended with {result.code}, then resumed" if re.search("resume", result.message) else f"ended with {result.code}, then done"

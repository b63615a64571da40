"""One trial: a scenario in a world of its own, which dies at one or more points and is driven on after each.

A `Point` names an operation so that it can be found again: the command and, unless it is the main one, the process, then the system call,
its path without what is random, and which of the calls of that name it is.
"""
import time
from collections import Counter
from dataclasses import dataclass, field

from comparison import differences, left_behind
from losses import Cache
from scenarios import BY_NAME
from supervisor import CONTINUE, Kill
from world import Died, World

DEATHS_MAX = 5


@dataclass(frozen=True)
class Point:
    """`when`: `before` or `after` the operation."""

    when: str
    operation: str

    def __str__(self):
        return f"{self.when} {self.operation}"


@dataclass(frozen=True)
class Trial:
    """`losses`: a seed that chooses what was not on disk, or None if nothing is lost."""

    scenario: str
    points: tuple = ()
    losses: int | None = None

    def __str__(self):
        text = " then ".join([f"{self.scenario} {self.points[0]}", *map(str, self.points[1:])]) if self.points else self.scenario
        return text if self.losses is None else f"{text} losing {self.losses}"

    @staticmethod
    def parse(text):
        text, _, losses = text.partition(" losing ")
        scenario, _, points = text.partition(" ")
        points = [Point(*point.split(" ", 1)) for point in points.split(" then ") if point]
        return Trial(scenario, tuple(points), int(losses) if losses else None)


@dataclass
class Result:
    """`reached`: whether every death took place. `operations`: those of the undisturbed run, or of the last recovery."""

    trial: Trial
    reached: bool = True
    operations: list = field(default_factory=list)
    differences: list = field(default_factory=list)
    lost: list = field(default_factory=list)
    seen: dict = field(default_factory=dict)
    said: list = field(default_factory=list)
    seconds: float = 0.0


class Deaths:
    """Decides about each operation: counts those of a name, and kills at the next point."""

    def __init__(self, trial, cache):
        self.left, self.cache = list(trial.points), cache
        self.counts, self.operations = Counter(), []
        self.whom = "main" if trial.losses is None else "all"

    def decide(self, world, command, call):
        kind = command if call.process.kind == "main" else f"{command}.{call.process.kind}"
        name = f"{kind}/{call.name}:{world.relative(call.path)}"
        self.counts[name] += 1
        operation = f"{name}:{self.counts[name]}"
        self.operations.append(operation)
        is_due = self.left and self.left[0].operation == operation
        if self.cache and call.process.kind != "git" and not (is_due and self.left[0].when == "before"):
            self.cache.note(call)
        if not is_due:
            return CONTINUE
        point = self.left.pop(0)
        self.counts, self.operations = Counter(), []
        # A git that goes on would complete what it does.
        return Kill(point.when, "all" if call.process.kind == "git" else self.whom)


def run_trial(mesh, trial, expected=None):
    """Drives a scenario to its end, however often it dies, and compares it with `expected` unless that is None."""
    began = time.monotonic()
    result = Result(trial)
    scenario = BY_NAME[trial.scenario]
    world = World(mesh)
    try:
        scenario.prepare(world)
        cache = Cache(world.root) if trial.losses is not None else None
        deaths = Deaths(trial, cache)
        world.decide = deaths.decide
        try:
            drive(scenario, world, trial, cache, result)
            result.seen = left_behind(world, scenario)
            if expected is not None:
                result.differences = differences(expected, result.seen)
        except Exception as problem:  # Whatever it is, it is a difference.
            result.differences = [f"{type(problem).__name__}: {problem}"]
        result.reached, result.operations, result.said = not deaths.left, deaths.operations, world.said
    finally:
        world.remove()
    result.seconds = time.monotonic() - began
    return result


def drive(scenario, world, trial, cache, result):
    for _ in range(DEATHS_MAX):
        try:
            return scenario.drive(world)
        except Died:
            if cache:
                result.lost += cache.lose(trial.losses)
    raise RuntimeError("killed too often")

"""What a scenario has left behind, without what differs from run to run, and how two of them differ.

Compared are the work tree (bytes and modes), the output CSV, the plan, git's objects and index, `runs show --json`, `audit`, the names of all files of the
world, and mounts. Removed are times, ids, commit ids, and how often something was tried: an attempt that was under way is made again.
"""
import csv
import difflib
import json
import os
import re
import stat
from pathlib import Path

from scenarios import PLAN
from world import normalise

TIMES = ("job_id", "reported_at", "completed_at", "attempt_count")
# The check without a patch is made for the first candidate that is tried.
OF_ANY_CANDIDATE = re.compile(r"/candidates/\w+/before-\d+\.log$")
LEARNINGS = "work/.learnings.jsonl"
# Of a report: durations, and counts of attempts. `moved_aside` names what a restore has kept.
VARYING = {"duration_ms", "workers_spawned", "workers_retried", "workers_timed_out", "stragglers", "straggler_rows", "usage", "folder"}


def left_behind(world, scenario):
    """A dictionary from what was looked at to its lines."""
    seen = {"names": names(world), "mounts": mounts(world), "processes": [] if world.session.drain() else ["left running"]}
    for run in scenario.runs:
        seen["report"], seen["learnings in the report"] = report(world, run or world.run)
        seen["audit"] = audit(world, run or world.run)
    for output in scenario.outputs:
        seen[output] = table(world.root / output)
    if (world.work / ".git").is_dir():
        seen["git"] = git(world)
        seen["plan"] = plan(world.root / PLAN)
    seen["tree"] = tree(world, {*scenario.outputs, PLAN, LEARNINGS})
    seen["learnings"] = learnings(world.root / LEARNINGS, world)
    world.look("runs", "gc", "--older-than", "0s")
    seen["names after gc"] = names(world, is_final=True)
    return seen


def differences(expected, found):
    """The lines of a unified diff for each part that differs."""
    lines = []
    for part in sorted(expected.keys() | found.keys()):
        before, after = expected.get(part, []), found.get(part, [])
        if before != after:
            lines.append(f"{part}:")
            diff = difflib.unified_diff(before, after, "undisturbed", "recovered", n=1, lineterm="")
            lines += [f"  {line}" for line in list(diff)[2:]]
    return lines


def tree(world, elsewhere):
    """Mode, path and content of every file of the work tree, and folders."""
    lines = []
    for path in below(world.work, skip={".git", "logs"}):
        name = str(path.relative_to(world.root))
        if name in elsewhere:
            continue
        mode = path.lstat().st_mode
        content = f"-> {os.readlink(path)}" if path.is_symlink() else "" if stat.S_ISDIR(mode) else content_of(path, world)
        lines.append(f"{mode:o} {world.plain(name)} {content}")
    return lines


def content_of(path, world):
    if path.parent.name == "slices":
        return slice_results(path)
    return repr(world.plain(path.read_bytes().decode(errors="backslashreplace")))


def learnings(path, world):
    """The records of the learnings, sorted."""
    return sorted(learning(world.plain(line)) for line in path.read_text().splitlines()) if path.exists() else ["missing"]


def learning(line):
    """Without the paths that had changed by then, which depend on which task ended first."""
    record = json.loads(line)
    record.get("context", {}).pop("paths", None)
    return json.dumps(record)


def slice_results(path):
    """How each row of a slice ended, and its result."""
    rows = {}
    for line in path.read_text().splitlines():
        event = json.loads(line)
        kept = {key: event[key] for key in ("result", "end") if key in event}
        if kept:
            rows.setdefault(event["item_id"], {}).update(kept)
    return json.dumps(rows, sort_keys=True)


def names(world, is_final=False):
    """Every file and folder of the world but git's objects, the logs of attempts, what a restore has kept, and the record of children, and the
    scratch folder of a slice in the temporary folder, which is removed when the same slice is started again. The answers
    and the world's own files are not written by mesh. Until the end, runs that were killed before they began may be there."""
    skip = {"objects", "answers", "saved", "logs", "aside", "writers", "stores"}
    if not is_final:
        skip |= {folder.name for folder in world.root.glob("state/runs/*") if not world.started(folder.name)}
    found = {world.relative(str(path)) for path in below(world.root, skip)}
    return sorted(name for name in found if not name.startswith("tmp/mesh-") and not OF_ANY_CANDIDATE.search(name))


def below(folder, skip):
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        if entry.name in skip:
            continue
        yield Path(entry.path)
        if entry.is_dir(follow_symlinks=False):
            yield from below(entry.path, skip)


def mounts(world):
    return [line for line in Path("/proc/self/mounts").read_text().splitlines() if str(world.root) in line]


def table(path):
    if not path.exists():
        return ["missing"]
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file))
    return [json.dumps({key: cell for key, cell in row.items() if key not in TIMES}) for row in rows]


def plan(path):
    """The items of the plan, an indented line for each value."""
    record = json.loads(path.read_text().splitlines()[-1])
    return lines_of(without_times(record["items"], normalise))


def report(world, run):
    """Of what the run reports the lines without learnings, and those. The order of waves and of the plan's changes is not fixed with two tasks in flight; of the slots it counts that all were closed."""
    code, said = world.json("runs", "show", run, "--json")
    if isinstance(said, dict):
        said.get("plan_mutations", []).sort(key=str)
        said["waves"] = sorted(map(world.plain, said.get("waves", [])))
        slots = said.get("slots", {})
        slots["open"] = slots.pop("spawned", 0) - slots.pop("closed", 0)
    said = without_times(said, world.plain)
    learned = said.pop("learnings", []) if isinstance(said, dict) else []
    return [f"exit code {code}", *lines_of(said)], lines_of(learned)


def audit(world, run):
    code, said = world.json("audit", run, "--json")
    if not isinstance(said, dict):
        return [f"exit code {code}", str(said)]
    found = [f"{check['name']}: {finding}" for check in said["checks"] for finding in check["findings"]]
    return [f"exit code {code}", f"finished: {said['is_finished']}", *found]


def git(world):
    """Messages of the commits, sorted, since the order of two tasks is not fixed; what the last ones contain; index, branches, state."""
    lines = [f"HEAD {world.git('symbolic-ref', 'HEAD').strip()}"]
    for branch in world.git("for-each-ref", "--format=%(refname)").split():
        commits = world.plain(world.git("log", "--format=%an <%ae>%n%B%x00", branch)).split("\0")
        lines.append(branch.replace(f"mesh/{world.run}", "mesh/R"))
        lines += sorted(" | ".join(commit.split("\n")).strip(" |") for commit in commits)
        lines += world.git("ls-tree", "-r", branch).splitlines()
    lines += ["index", *world.git("ls-files", "--stage").splitlines()]
    lines += ["status", *world.git("status", "--porcelain", "--ignored").splitlines()]
    lines += ["check", *world.git("fsck", "--no-dangling", "--no-progress").splitlines()]
    return lines


def without_times(value, plain):
    if isinstance(value, dict):
        return {key: without_times(item, plain) for key, item in value.items() if key not in VARYING}
    if isinstance(value, list):
        return [without_times(item, plain) for item in value]
    return plain(value) if isinstance(value, str) else value


def lines_of(value):
    return json.dumps(value, indent=1, ensure_ascii=False).splitlines()

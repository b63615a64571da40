"""What is done in a trial. A `Scenario` prepares a world and then drives it to its end by commands, from whatever state it is in:
driving it again is what the manual says to do after a kill (`mesh resume`, or the same command once more).
"""
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable

from world import Unexpected, World

PLAN = "work/.step/st-plan.jsonl"
READ_PROMPT = "cat >/dev/null"


@dataclass(frozen=True)
class Scenario:
    """`outputs`: files of the world with results, compared cell by cell. `runs`: ids of runs that are reported and audited; None: the one of
    the scenario."""

    name: str
    prepare: Callable[[World], None]
    drive: Callable[[World], None]
    outputs: tuple = ()
    runs: tuple = (None,)


# A repository with a plan

ANSWERS = {
    "proposal": {"plan": ["edit"], "assumptions": [], "risk": "low", "risks": []},
    "critique": {"findings": ["none"], "must_fix": [], "flip_conditions": [], "risk": "low"},
    "vote": {"vote": "agree", "reason": "it is right"},
}


def edit(path):
    return f"diff --git a/{path} b/{path}\n--- a/{path}\n+++ b/{path}\n@@ -1 +1 @@\n-old\n+new\n"


def create(path):
    return f"diff --git a/{path} b/{path}\nnew file mode 100644\n--- /dev/null\n+++ b/{path}\n@@ -0,0 +1 @@\n+made\n"


def remove(path):
    return f"diff --git a/{path} b/{path}\ndeleted file mode 100644\n--- a/{path}\n+++ /dev/null\n@@ -1 +0,0 @@\n-gone\n"


def item(task, validation):
    notes = (
        f"Words.\n\n```mesh\nscope: [\"{task}*\", \"{task}/**\"]\nacceptance: [it is new]\n"
        f"validation: {json.dumps(validation)}\n```\n"
    )
    return {"id": task, "step": f"Do {task}", "status": "pending", "deps": [], "notes": notes, "comments": []}


def plan_text(items):
    shared = {"v": 3, "ts": "2026-02-13T01:50:00Z", "seq": 2}
    mutation = {"allow_multiple_in_progress": False, "actor": "test", "pid": 1}
    event = {**shared, "lane": "event", "op": "replace", "items": items, "mutation": mutation}
    checkpoint = {**shared, "lane": "checkpoint", "items": items}
    return json.dumps(event) + "\n" + json.dumps(checkpoint) + "\n"


def with_plan(world, failing=False):
    """Tasks a and b, each of which edits a file, makes one in a new folder and removes one; the validation of b fails if it should."""
    for task in "ab":
        world.write(f"work/{task}.txt", "old\n")
        world.write(f"work/{task}/gone.txt", "gone\n")
        patch = edit(f"{task}.txt") + create(f"{task}/new/made.txt") + remove(f"{task}/gone.txt")
        world.write(f"answers/{task}/synthesis.json", json.dumps({"decision_log": [], "patch": patch, "validation": [], "residual_risk": "low"}))
        for round, answer in ANSWERS.items():
            world.write(f"answers/{task}/{round}.json", json.dumps(answer))
    world.write("work/.gitignore", "*.lock\n")
    world.git("init", "--quiet", "--initial-branch=work", "--template=")
    world.git("add", "--all")
    world.git("commit", "--quiet", "-m", "start")
    world.write("work/mine.txt", "not committed\n")
    check = ["grep -q new {0}.txt && test -f {0}/new/made.txt"]
    tasks = [item("a", [check[0].format("a")]), item("b", ["echo >made-by-validation; false" if failing else check[0].format("b")])]
    world.write(PLAN, plan_text(tasks))


def worker(world):
    """A worker that gives the answers."""
    return ["--", "sh", "-c", f'{READ_PROMPT}; cat "{world.root}/answers/$0/$1.json"', "{unit}", "{round}"]


def drive_run(*options, allowed=(0,)):
    def drive(world):
        if world.started():
            world.mesh("resume", world.run, allowed=allowed)
        else:
            world.mesh("run", "--run-id", world.run, "max_tasks=2", "parallel_tasks=2", *options, *worker(world), allowed=allowed)

    return drive


def run(name, *options, failing=False):
    allowed = (1,) if failing else (0,)
    return Scenario(f"run/{name}", lambda world: with_plan(world, failing), drive_run(*options, allowed=allowed))


# One step a command


def drive_steps(world):
    """Waves are handed out, answered from outside, collected and integrated until nothing is left."""
    for _ in range(30):
        start = ["--run", world.run] if world.started() else ["--run-id", world.run, "max_tasks=2", "parallel_tasks=2", "protocol=duo"]
        said = world.mesh("wave", "next", "--json", *start, allowed=(0, 3))
        if not said.out:
            raise Unexpected(f"`mesh wave next` printed nothing, exit code {said.code}")
        handed = json.loads(said.out.splitlines()[-1])
        if "waves" not in handed or "plan_mutations" in handed:
            # It also removes what a step has left that was killed after the last record.
            world.mesh("resume", world.run)
            return
        for wave in handed.get("waves", []):
            answer_wave(world, Path(wave["csv_path"]))
            world.mesh("collect", world.run, "--wave", str(wave["wave"]))
        if handed.get("to_integrate"):
            world.mesh("integrate", world.run)
    raise RuntimeError("the steps do not end")


def answer_wave(world, csv):
    """Works a wave with another program than mesh, which writes the answers beside it."""
    import csv as tables

    with open(csv, newline="") as file:
        rows = list(tables.DictReader(file))
    with open(csv.with_suffix(".out.csv"), "w", newline="") as file:
        writer = tables.writer(file, lineterminator="\n")
        added = ["job_id", "item_id", "row_index", "source_id", "status", "attempt_count", "last_error", "result_json", "reported_at", "completed_at"]
        writer.writerow([*rows[0], *added])
        for index, row in enumerate(rows):
            answer = json.dumps(json.loads((world.root / f"answers/{row['unit']}/{row['round']}.json").read_text()))
            time = "2026-02-13T01:55:00+00:00"
            writer.writerow([*row.values(), "job", row["id"], index, row["id"], "completed", 1, "", answer, time, time])


# A CSV

SCHEMA = {"type": "object", "required": ["n"], "properties": {"n": {"type": "integer"}}}
ROW_WORKER = """\
cat >/dev/null
case "$0" in
1) echo '{"n": 1}' | "$MESH" report-result --result - >/dev/null ;;
2) if [ "$MESH_ATTEMPT" = 1 ]; then echo '{"n": "two"}'; else echo '{"n": 2}'; fi ;;
3) echo '{"n": 3}' >"$MESH_RESULT_FILE" ;;
4) echo '{"n": 4}' ;;
esac
"""


def with_rows(world):
    world.write("work/rows.csv", "id,word\n1,one\n2,two\n3,three\n4,four\n")
    world.write("work/schema.json", json.dumps(SCHEMA))


ROW_COMMAND = ["--", "sh", "-c", ROW_WORKER, "{id}"]
SPAWN = ["spawn", "rows.csv", "--id-column", "id", "--instruction", "do {word}", "--output-schema", "schema.json"]
SPAWN += ["--env", "MESH", "-j", "2", "-o", "out.csv"]


def drive_spawn(world):
    if world.started():
        world.mesh("resume", world.run)
    else:
        world.mesh(*SPAWN, "--run-id", world.run, *ROW_COMMAND)


def stopped_spawn(world):
    """A job that a budget of two rows has ended early."""
    with_rows(world)
    world.quietly(*SPAWN, "--run-id", world.run, "--max-rows", "2", *ROW_COMMAND, allowed=(4,))


def drive_resume_spawn(world):
    world.mesh("resume", world.run, "--max-rows", "100")


def stopped_run(world):
    """A run that a budget of rows has ended before its votes."""
    with_plan(world)
    options = ["max_tasks=2", "parallel_tasks=2", "protocol=duo", "sandbox=none", "max_rows=2"]
    world.quietly("run", "--run-id", world.run, *options, *worker(world), allowed=(4,))


def drive_resume_run(world):
    world.mesh("resume", world.run, "--max-rows", "100")


# Taking patches back


def completed_run(world):
    with_plan(world)
    options = ["max_tasks=2", "parallel_tasks=2", "protocol=solo", "sandbox=none"]
    world.quietly("run", "--run-id", world.run, *options, *worker(world))


def drive_undo(world):
    """Exit code 2: nothing is left to take back."""
    world.mesh("undo", world.run, allowed=(0, 2))


# Removing old runs


def with_old_runs(world):
    """A run that has ended with all rows, and one that a budget has ended."""
    with_rows(world)
    world.quietly(*SPAWN, "--run-id", world.run, *ROW_COMMAND)
    rest = [*SPAWN[:-1], "../open.csv", "--run-id", "open", "--max-rows", "2", *ROW_COMMAND]
    world.quietly(*rest, allowed=(4,))


def drive_gc(world):
    world.mesh("runs", "gc", "--older-than", "0s")


# Slices


def with_slices(world):
    """A wave of four rows in two slices."""
    rows = "".join(f"item-{n},do {n},{n}\n" for n in range(1, 5))
    call = {"csv_path": "w.csv", "instruction": "{prompt}", "id_column": "id", "max_concurrency": 4, "max_runtime_seconds": 30}
    world.write("work/w.csv", f"id,prompt,n\n{rows}")
    world.write("work/w.call.json", json.dumps({**call, "output_schema": SCHEMA}))
    export = ["wave", "export", "w.csv", "job", "--to", "shell", "--rows-per-task", "2", "--env", "MESH"]
    world.quietly(*export, "--", "sh", "-c", ROW_WORKER, "{n}")


def drive_slices(world):
    for index in "12":
        world.mesh("wave", "exec", "job", "--index", index)


SCENARIOS = [
    Scenario("spawn", with_rows, drive_spawn, outputs=("work/out.csv",)),
    run("patch-tree", "protocol=duo", "sandbox=none"),
    run("patch-worktree", "protocol=duo", "sandbox=none", "isolation=worktree", "validation_parallel=2"),
    run("commit-tree", "protocol=duo", "sandbox=none", "delivery=commit"),
    run("commit-worktree", "protocol=duo", "sandbox=none", "delivery=commit", "isolation=worktree"),
    run("branch-tree", "protocol=duo", "sandbox=none", "delivery=branch"),
    run("branch-worktree", "protocol=duo", "sandbox=none", "delivery=branch", "isolation=worktree"),
    run("restored", "protocol=duo", "sandbox=none", failing=True),
    run("sandboxed", "protocol=duo", "sandbox=namespace"),
    run("swarm", "sandbox=none"),
    run("candidates", "protocol=race", "sandbox=none"),
    run("joined", "protocol=duo", "sandbox=none", "--join"),
    Scenario("resume/spawn", stopped_spawn, drive_resume_spawn, outputs=("work/out.csv",)),
    Scenario("resume/run", stopped_run, drive_resume_run),
    Scenario("collect", with_plan, drive_steps),
    Scenario("undo", completed_run, drive_undo),
    Scenario("gc", with_old_runs, drive_gc, runs=()),
    Scenario("slices", with_slices, drive_slices, runs=()),
]
BY_NAME = {scenario.name: scenario for scenario in SCENARIOS}

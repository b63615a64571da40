"""A plan in a repository of its own, and what must have come of each of its tasks."""
import json
import os
import subprocess
from machine import files_beneath
from world import HERE, check

# What a task is, and the status that it ends with.
TASKS = {"good": "completed", "slow": "completed", "fork": "completed", "refused": "blocked", "wrong": "blocked", "foreign": "blocked"}
VALIDATION = {"slow": "sleep 0.5; grep -q new {0}", "fork": "(sleep 600 &) ; grep -q new {0}", "wrong": "! grep -q new {0}"}
ROUNDS = {
    "proposal": {"plan": ["Edit the file"], "assumptions": [], "risk": "low", "risks": []},
    "critique": {"findings": [], "must_fix": [], "flip_conditions": [], "risk": "low"},
    "vote": {"vote": "agree", "reason": "it is right"},
}
# Protocols under which nobody votes: of candidates that are equal one remains.
VOTELESS = ("solo", "race", "best")
MORE = ([], ["--prevalidate"], ["--dispatch", "barrier"], ["--early-vote"], ["--validation-parallel", "2"], ["--join"])
# What may be left in git's folder.
LOCKS = ("mesh.lock", "mesh.runs", "mesh.join")


def patch(path):
    return f"diff --git a/{path} b/{path}\n--- a/{path}\n+++ b/{path}\n@@ -1 +1 @@\n-old\n+new\n"


class PlanJob:
    kind = "run"

    def __init__(self, world, name, rng, kinds=tuple(TASKS)):
        self.world, self.name, self.run_id = world, name, name
        self.home = rng.choice(world.homes)
        self.cwd = world.folder / name
        self.log = world.folder / f"{name}.log"
        self.answers = world.folder / f"{name}.answers"
        self.tasks = {f"t{number}": rng.choice(kinds) for number in range(1, rng.randint(2, 7) if kinds else 1)}
        self.protocol = rng.choice(("solo", "duo", "swarm3", "race", "best"))
        self.delivery = rng.choice(("patch", "commit", "branch"))
        self.isolation = rng.choice(("tree", "worktree"))
        self.more = rng.choice([more for more in MORE if self.takes(*more)])
        self.write_repository()
        self.write_plan()

    def takes(self, option=None, *_):
        """Whether mesh takes an option beside the others."""
        if option is None or option == "--dispatch":
            return True
        if self.protocol in ("race", "best"):
            return False
        if option == "--join":
            return self.isolation == "tree" and self.delivery != "branch"
        return option != "--validation-parallel" or self.isolation == "worktree"

    def git(self, *arguments):
        done = subprocess.run(["git", *arguments], cwd=self.cwd, env=self.world.environment(self.home), capture_output=True, text=True, check=True)
        return done.stdout

    def write_repository(self):
        (self.cwd / ".step").mkdir(parents=True)
        (self.cwd / ".gitignore").write_text(".step/\n.learnings.jsonl\n")
        for task in self.tasks:
            (self.cwd / f"{task}.txt").write_text("old\n")
        self.git("init", "-q", "-b", "work")
        self.git("add", ".")
        self.git("commit", "-qm", "files")

    def write_plan(self):
        self.answers.mkdir()
        for name, answer in ROUNDS.items():
            (self.answers / f"{name}.json").write_text(json.dumps(answer))
        items = []
        for task, kind in self.tasks.items():
            path = f"{task}.txt"
            validation = VALIDATION.get(kind, "grep -q new {0}").format(path)
            block = {"scope": [path], "acceptance": ["it is new"], "validation": [validation]}
            items.append({"id": task, "step": f"Renew {path}", "deps": [], "notes": f"Do it.\n\n```mesh\n{json.dumps(block)}\n```\n"})
            change = patch("t0.txt" if kind == "foreign" else path)
            answer = {"decision_log": [], "patch": change, "validation": [], "residual_risk": "low"}
            (self.answers / f"{task}.synthesis.json").write_text(json.dumps(answer))
            if kind == "refused":
                (self.answers / f"{task}.vote.json").write_text(json.dumps({"vote": "disagree", "reason": "it is wrong"}))
        (self.answers / "plan.json").write_text(json.dumps(items))
        self.world.call("st", "init", cwd=self.cwd, home=self.home)
        self.world.call("st", "import-plan", "--input", self.answers / "plan.json", cwd=self.cwd, home=self.home)

    def begin(self):
        how = ["--protocol", self.protocol, "--delivery", self.delivery, "--isolation", self.isolation, *self.more]
        limits = ["-j", 4, "--max-runtime-seconds", 60, "--grace-seconds", 1, "parallel_tasks=2", "max_tasks=auto"]
        passed = ["--env", "SOAK_MARK,SOAK_STATE", "--writable", self.world.state]
        return ["run", "--run-id", self.run_id, *how, *limits, *passed, "--", HERE / "author", self.answers]

    def end_of(self, task):
        """The status that a task ends with."""
        kind = self.tasks[task]
        return "completed" if kind == "refused" and self.protocol in VOTELESS else TASKS[kind]

    def codes(self):
        """The exit codes of a job that has run to its end."""
        return (int(any(self.end_of(task) == "blocked" for task in self.tasks)),)

    def check(self):
        plan = json.loads(self.world.call("st", "export", cwd=self.cwd, home=self.home))
        statuses = {item["id"]: item["status"] for item in (plan["items"] if isinstance(plan, dict) else plan)}
        expected = {task: self.end_of(task) for task in self.tasks}
        check(statuses == expected, f"tasks {self.tasks}: statuses {statuses}")
        done = sorted(f"{task}.txt" for task, status in expected.items() if status == "completed")
        self.check_tree(done)
        self.check_repository()
        self.world.count("tasks", len(self.tasks))

    def check_tree(self, done):
        in_tree = [] if self.delivery == "branch" else done
        for task in self.tasks:
            path = f"{task}.txt"
            content = (self.cwd / path).read_text()
            check(content == ("new\n" if path in in_tree else "old\n"), f"{path} is {content!r}, delivery {self.delivery}")
        changed = sorted(line[3:] for line in self.git("status", "--porcelain").splitlines())
        check(changed == (done if self.delivery == "patch" else []), "changed files", changed)
        branches = self.git("for-each-ref", "--format=%(refname:short)", "refs/heads").split()
        own = [f"mesh/{self.run_id}"] if self.delivery == "branch" and done else []
        check(branches == sorted([*own, "work"]), "branches", branches)
        if self.delivery != "patch":
            tip = own[0] if own else "work"
            committed = self.git("diff", "--name-only", f"{self.git('rev-list', '--max-parents=0', 'work').strip()}..{tip}").split()
            check(committed == done, "committed files", committed)

    def check_repository(self):
        trees = self.git("worktree", "list").splitlines()
        check(len(trees) == 1, "work trees", trees)
        left = [name for name in os.listdir(self.cwd / ".git") if (name.startswith("mesh.") or name.endswith(".lock")) and name not in LOCKS]
        check(not left, "files in git's folder", left)
        shared = [path for path in files_beneath(self.cwd / ".git/mesh.join") if not path.endswith("/") and path != "lock"]
        check(not shared, "files that joined runs share", shared)
        runs = self.cwd / ".git/mesh.runs"
        check(not runs.exists() or not runs.read_text().strip(), "runs that hold tasks", runs.exists() and runs.read_text())

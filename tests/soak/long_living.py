"""Processes of mesh that live as long as the soak: their open descriptors must not grow, and they must leave no zombies.

Descriptors are compared where a process is idle: a spawn with one row at work, a server between two calls, a run that follows
its plan with nothing ready.
"""
import csv
import json
import re
import signal
import subprocess
import time
import urllib.error
import urllib.request
from machine import children, descriptors, settled, zombies
from plan_job import PlanJob
from world import HERE, PATIENCE, check, log_end, wait

# Rows of the long spawn that a second of the soak takes, with 8 at once.
ROWS_PER_SECOND = 25


class Watched:
    """The descriptors of one process over time."""

    def __init__(self, world, name, process):
        self.world, self.name, self.process = world, name, process
        self.first, self.last, self.most = None, None, 0

    def sample(self):
        """While it is at work: how many there are at most."""
        self.most = max(self.most, len(descriptors(self.process.pid) or ()))

    def sample_idle(self):
        """Where it is idle: waits until nothing changes any more."""
        self.last = stable_descriptors(self.process.pid) or self.last
        self.first = self.first or self.last
        left = settled(lambda: zombies(self.process.pid))
        check(not left, f"{self.name}: zombies", *left)

    def judge(self):
        self.world.figures.append((f"open descriptors of {self.name}: first, last, most", f"{len(self.first)}, {len(self.last)}, {self.most}"))
        check(len(self.last) <= len(self.first), f"{self.name}: descriptors are leaked", self.first, self.last)


def stable_descriptors(pid):
    """The descriptors, once they are the same for a while; the fewest seen, if they never are."""
    seen = []
    for _ in range(100):
        seen.append(descriptors(pid))
        if len(seen) >= 5 and all(one == seen[-1] for one in seen[-5:]):
            return seen[-1]
        time.sleep(0.05)
    return min(filter(None, seen), key=len, default=None)


def long_spawn(world):
    """A short job and a long one with the same settings: with the last row at work, both have the same descriptors open."""
    few = spawn_with_last_row(world, "long-spawn-few", 16)
    seconds = max(world.deadline - time.monotonic(), 5)
    many = spawn_with_last_row(world, "long-spawn-many", int(seconds * ROWS_PER_SECOND))
    many.first = few.last
    many.judge()


def spawn_with_last_row(world, name, rows):
    cwd = world.folder / name
    cwd.mkdir()
    does = ["good", "file", "report", "fail", "bad", "limit", "none", "fork", "late"]
    rng = world.random(name)
    # One that hangs in the second half would end after the last row.
    drawn = [rng.choices(does, [20, 2, 2, 2, 1, 1, 1, 2, 0.2 if number < rows / 2 - 8 else 0])[0] for number in range(rows)]
    with open(cwd / "rows.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["do", "n", "nap"])
        writer.writerows([do, number, 0.2] for number, do in enumerate(drawn))
        writer.writerow(["good", rows, 6])
    options = ["--instruction", "Do {do}.", "-o", "out.csv", "-j", 8, "--max-runtime-seconds", 12, "--retries", 2, "--env", "SOAK_MARK,SOAK_STATE,SOAK_MESH"]
    (cwd / "schema.json").write_text('{"properties":{"n":{"type":"integer"}}}')
    arguments = ["spawn", "rows.csv", "--run-id", name, *options, "--output-schema", "schema.json", "--", HERE / "worker", "{do}", "{n}", "{nap}"]
    process = world.start(arguments, cwd, world.homes[0], world.folder / f"{name}.log")
    watched = Watched(world, "a long spawn", process)
    while process.poll() is None:
        watched.sample()
        if len(children(process.pid)) == 1 and is_last(cwd, world, name, rows):
            watched.sample_idle()
        time.sleep(0.2)
    check(process.returncode in (0, 1), f"{name}: exit code {process.returncode}", log_end(world.folder / f"{name}.log"))
    check(watched.last, f"{name}: its last row was never seen alone")
    world.count("rows", rows + 1)
    return watched


def is_last(cwd, world, name, rows):
    """Whether only the last row has no end: then nothing else is going on."""
    ledger = world.homes[0] / "runs" / name / "ledger.jsonl"
    text = ledger.read_text() if ledger.exists() else ""
    ended = re.findall(r'"event":"attempt_finished".*?"row_index":(\d+).*?"end":"(\w+)"', text)
    return len({row for row, end in ended if end in ("completed", "failed")}) == rows


class Server:
    """A client of `mesh mcp`."""

    def __init__(self, world, cwd):
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        worker = ["--env", "SOAK_MARK,SOAK_STATE,SOAK_MESH", "--", HERE / "worker", "{do}", "{n}", "{nap}"]
        self.process = world.start(["mcp", *worker], cwd, world.homes[0], world.folder / "mcp.log", **pipes)
        self.last = 0
        self.ask("initialize", {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "soak", "version": "1"}})
        self.write({"method": "notifications/initialized"})

    def write(self, message):
        self.process.stdin.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
        self.process.stdin.flush()

    def ask(self, method, params):
        self.last += 1
        self.write({"id": self.last, "method": method, "params": params})
        while True:
            answer = json.loads(self.process.stdout.readline())
            if answer.get("id") == self.last:
                return answer["result"]

    def call(self, tool, **arguments):
        return self.ask("tools/call", {"name": tool, "arguments": arguments})["structuredContent"]


def mcp_server(world):
    """Job after job through the tools of one server."""
    cwd = world.folder / "mcp"
    cwd.mkdir()
    server = Server(world, cwd)
    watched = Watched(world, "`mesh mcp`", server.process)
    turn = 0
    while turn < 3 or not world.is_over():
        turn += 1
        (cwd / f"rows-{turn}.csv").write_text("do,n,nap\n" + "".join(f"{do},{n},0.1\n" for n, do in enumerate(["good", "report", "fail", "bad"] * 3)))
        job = server.call("spawn_agents_on_csv", csv_path=f"rows-{turn}.csv", instruction="Do {do}.", max_concurrency=4)
        watched.sample()
        if turn % 3 == 0:
            server.call("cancel_agent_job", job_id=job["job_id"])
        while job["status"] == "running":
            job = server.call("get_agent_job", job_id=job["job_id"], wait_seconds=5)
        if turn % 3:
            counts = job["total_items"], job["completed_items"], job["failed_items"]
            check(counts == (12, 9, 3), f"job {turn} of `mesh mcp`", job)
        server.call("get_failed_rows", job_id=job["job_id"])
        server.call("inspect_row", job_id=job["job_id"], item_id="row-1")
        if turn > 1:
            watched.sample_idle()
    world.count("jobs of `mesh mcp`", turn)
    watched.judge()
    server.process.stdin.close()
    check(wait(server.process, "the end of its input") == 0, "`mesh mcp` ends with another exit code than 0")


def following_run(world):
    """A run that follows its plan, which gets a task again and again."""
    job = PlanJob(world, "following", world.random("following"), kinds=())
    arguments = ["run", "--follow", "--run-id", job.run_id, "--protocol", "solo", "parallel_tasks=2", "-j", 4, "--grace-seconds", 1]
    process = world.start([*arguments, "--env", "SOAK_MARK,SOAK_STATE", "--writable", world.state, "--", HERE / "author", job.answers], job.cwd, job.home, job.log)
    watched = Watched(world, "`mesh run --follow`", process)
    turn = 0
    while turn < 4 or not world.is_over():
        turn += 1
        add_task(world, job, f"x{turn}")
        until = time.monotonic() + PATIENCE
        while any(item["status"] in ("pending", "in_progress") for item in plan_items(world, job)):
            check(time.monotonic() < until and process.poll() is None, "a task of the followed plan is not worked", log_end(job.log))
            watched.sample()
            time.sleep(0.2)
        if turn > 1:
            watched.sample_idle()
    process.send_signal(signal.SIGINT)
    code = wait(process, "Ctrl-C")
    check(code == 130, f"`mesh run --follow` ends with {code} after Ctrl-C", log_end(job.log))
    check(all(item["status"] == "completed" for item in plan_items(world, job)), "tasks of the followed plan", plan_items(world, job))
    world.count("tasks", turn)
    watched.judge()


def add_task(world, job, task):
    """All of it first as a deferred task, so that the run sees it whole."""
    path = f"{task}.txt"
    block = {"scope": [path], "acceptance": ["it is there"], "validation": [f"test -e {path}"]}
    change = f"diff --git a/{path} b/{path}\nnew file mode 100644\n--- /dev/null\n+++ b/{path}\n@@ -0,0 +1 @@\n+new\n"
    answer = {"decision_log": [], "patch": change, "validation": [], "residual_risk": "low"}
    (job.answers / f"{task}.synthesis.json").write_text(json.dumps(answer))
    plan = {"cwd": job.cwd, "home": job.home}
    world.call("st", "add", "--id", task, "--step", f"Write {path}", "--status", "deferred", **plan)
    world.call("st", "set-notes", "--id", task, "--notes", f"Do it.\n\n```mesh\n{json.dumps(block)}\n```\n", **plan)
    world.call("st", "set-status", "--id", task, "--status", "pending", **plan)


def plan_items(world, job):
    plan = json.loads(world.call("st", "export", cwd=job.cwd, home=job.home))
    items = plan["items"] if isinstance(plan, dict) else plan
    return [item for item in items if item["id"].startswith("x")]


def page_server(world):
    """`mesh watch` of all runs, read again and again, also by clients that leave in the middle of an answer."""
    log = world.folder / "watch.log"
    process = world.start(["watch"], world.folder, world.homes[0], log)
    until = time.monotonic() + PATIENCE
    while not (found := re.search(r"http://\S+", log_end(log))):
        check(time.monotonic() < until and process.poll() is None, "`mesh watch` prints no address", log_end(log))
        time.sleep(0.05)
    watched = Watched(world, "`mesh watch`", process)
    turn = 0
    while turn < 4 or not world.is_over():
        turn += 1
        read_page(found[0], rounds=5)
        watched.sample()
        time.sleep(0.3)
        if turn > 1:
            watched.sample_idle()
    watched.judge()
    world.count("pages of `mesh watch`", turn * 5)
    process.send_signal(signal.SIGINT)
    wait(process, "Ctrl-C")


def read_page(address, rounds):
    for number in range(rounds):
        try:
            answer = urllib.request.urlopen(address, timeout=30)
            text = answer.read(100 if number % 2 else None).decode(errors="replace")
            answer.close()
        except urllib.error.HTTPError as error:
            check(False, f"`mesh watch` answers {error.code}")
        check("<" in text, "`mesh watch` serves no page", text)


def reader(world):
    """Commands that only read, while everything is going on."""
    while not world.is_over():
        for home in world.homes:
            world.call("runs", "list", cwd=world.folder, home=home)
            world.call("stats", cwd=world.folder, home=home)
            world.count("reads beside", 2)
        time.sleep(0.5)


ALL = {"long spawn": long_spawn, "mcp server": mcp_server, "following run": following_run, "page server": page_server, "reader": reader}

"""Clients of `mesh mcp`: the agent programs codex and claude, whose model calls spawn_agents_on_csv and watches the job, and the
command line of the MCP inspector, which lists and calls every tool.
"""
import csv
import json
import shlex
import shutil
import subprocess
import time
from pathlib import Path

import run

ROWS = 3
INSPECTOR = run.HERE / "inspector"
PROMPT = 'Run the rows of rows.csv and say how it ended. {"model_does": "jobs"}\n'


def parts(names):
    """What --mcp runs."""
    followers = [(skill, name) for name in names if name == "codex"]
    return [(agent, name) for name in names if name in COMMANDS] + followers + [(inspector, "inspector")]


def place(world, name, does):
    """A folder with rows, each of which takes its worker two seconds or no time."""
    folder = world.folder / f"client-{name}"
    folder.mkdir()
    (folder / "mesh.yaml").write_text(world.config())
    with open(folder / "rows.csv", "w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerows([("id", "model_does"), *((f"r{number}", does) for number in range(1, ROWS + 1))])
    return folder


def server(world, adapter):
    """The arguments of a server whose answers come before its jobs have ended."""
    return ["mcp", "--block-seconds", "1", "--adapter", adapter]


def codex(world, folder):
    def setting(key, value):
        return ["-c", f"mcp_servers.mesh.{key}={json.dumps(value)}"]

    provider = json.loads(world.config())["adapters"]["codex"]["args"]
    return [
        *["codex", "exec", "--json", "--skip-git-repo-check", "--ephemeral", "--ignore-user-config", "--ignore-rules"],
        *["-s", "read-only", "-m", "mock", *provider],
        *setting("command", str(world.mesh)),
        *setting("args", server(world, "codex")),
        *setting("env_vars", sorted(world.env)),
        *setting("required", True),
        *setting("default_tools_approval_mode", "approve"),
        "-",
    ]


def claude(world, folder):
    config = {"mcpServers": {"mesh": {"command": str(world.mesh), "args": server(world, "claude"), "env": world.env}}}
    (folder / "mcp.json").write_text(json.dumps(config))
    return [
        *["claude", "-p", "--output-format", "json", "--permission-mode", "dontAsk", "--strict-mcp-config"],
        *["--setting-sources", "", "--mcp-config", "mcp.json", "--tools", "Read", "--allowedTools", "mcp__mesh"],
    ]


COMMANDS = {"codex": codex, "claude": claude}


def agent(world, name):
    """An agent whose rows are worked by the same agent: it calls the tool, waits, and says how the job ended."""
    began = time.monotonic()
    folder = place(world, name, "slow")
    command = COMMANDS[name](world, folder)
    env = {**world.env, "MESH": str(world.mesh)}
    ended = subprocess.run(command, cwd=folder, env=env, input=PROMPT, capture_output=True, text=True, timeout=180)
    shown = (ended.stdout[-4000:], ended.stderr[-4000:])
    run.check(ended.returncode == 0, f"exit code {ended.returncode}", *shown)
    said = f"JOB completed {ROWS} after "
    run.check(said in ended.stdout, f"it does not say `{said}…`", *shown)
    calls = int(ended.stdout.split(said)[1].split()[0])
    run.check(calls >= 2, "it got the result without waiting for the job", *shown)
    with open(folder / "out.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    run.check([row["status"] for row in rows] == ["completed"] * ROWS, "the output", rows)
    say_result = [json.loads(row["result_json"])["answer"] for row in rows]
    run.check(say_result == [f"A-{row['id']}" for row in rows], "the answers", rows)
    took = time.monotonic() - began
    run.say(f"{name}: a job of {ROWS} rows through mesh mcp in {took:.1f} s and {calls} calls")


def skill(world, name):
    """The agent is offered the installed skill, reads it, and does what it says: the task that the user asks for is completed."""
    began = time.monotonic()
    folder = world.folder / f"skill-{name}"
    plan(world, folder)
    (folder / "mesh.yaml").write_text(world.config())
    # The agent's commands run in a login shell, which sets a PATH of its own.
    path = shlex.quote(world.env["PATH"])
    Path(world.env["HOME"], ".bash_profile").write_text(f"export PATH={path}\n")
    code, out, err = world.run(["skill", "install", "--for", name, "--project"], folder)
    run.check(code == 0, "mesh skill install", out, err)
    git = ["git", "-c", "user.name=t", "-c", "user.email=t@example.invalid"]
    for command in (["add", "-A"], ["commit", "-qm", "start"]):
        subprocess.run([*git, *command], cwd=folder, check=True, env=world.env)
    command = COMMANDS[name](world, folder)
    command[command.index("read-only")] = "danger-full-access"
    prompt = '$mesh ids=st-001 {"model_does": "skill"}\n'
    ended = subprocess.run(command, cwd=folder, env=world.env, input=prompt, capture_output=True, text=True, timeout=180)
    shown = (ended.stdout[-6000:], ended.stderr[-2000:])
    run.check(ended.returncode == 0, f"exit code {ended.returncode}", *shown)
    run.check("SKILL ['mesh st ready', 'mesh run ids=']" in ended.stdout, "it does not follow the skill", *shown)
    code, out, err = world.run(["st", "show", "--format", "json"], folder)
    items = {item["id"]: item["status"] for item in json.loads(out)["items"]}
    run.check(items["st-001"] == "completed", "the task", items, *shown)
    took = time.monotonic() - began
    run.say(f"{name}: from the skill to a completed task in {took:.1f} s")


def inspector(world, _):
    """The MCP inspector's command line: every tool is listed and called, and a resource read."""
    began = time.monotonic()
    ended = subprocess.run(["npm", "ci", "--no-audit", "--no-fund", "--loglevel=error"], cwd=INSPECTOR, capture_output=True, text=True, timeout=600)
    run.check(ended.returncode == 0, "npm ci", ended.stdout, ended.stderr)
    folder = place(world, "inspector", "good")
    # Needs none of the agent programs.
    worker = {"good": {"command": [str(run.HERE / "fake-agent"), "--good"]}}
    (folder / "mesh.yaml").write_text(json.dumps({"adapters": worker}))
    plan(world, folder)
    program = INSPECTOR / "node_modules" / ".bin" / "mcp-inspector"
    # The inspector passes on few variables.
    variables = [part for name, value in world.env.items() for part in ("-e", f"{name}={value}")]
    served = [world.mesh, "-C", folder, "mcp", "--allow-run", "--adapter", "good"]

    def ask(method, *options):
        command = [program, "--cli", *variables, *served, "--method", method, *options]
        asked = subprocess.run(list(map(str, command)), cwd=folder, env=world.env, capture_output=True, text=True, timeout=120)
        # 5: the tool refused.
        run.check(asked.returncode in (0, 5), f"{method} {options}: exit code {asked.returncode}", asked.stdout, asked.stderr)
        return json.loads(asked.stdout)

    def call(tool, **arguments):
        called.add(tool)
        options = [part for name, value in arguments.items() for part in ("--tool-arg", f"{name}={value}")]
        answer = ask("tools/call", "--tool-name", tool, *options)
        if "taskId" in answer:
            # The inspector knows tasks, and shows the one that a job becomes.
            return call("get_agent_job", job_id=answer["taskId"], wait_seconds=50)
        return answer["structuredContent"]

    called = set()
    listed = {tool["name"] for tool in ask("tools/list")["tools"]}
    job = call("spawn_agents_on_csv", csv_path="rows.csv", instruction="Answer for {id}.", id_column="id")
    run.check(job.get("status") == "completed" and job["completed_items"] == ROWS, "the job", job)
    of_job = {"job_id": job["job_id"]}
    for tool in ("get_agent_job", "retry_failed_rows", "cancel_agent_job"):
        run.check(call(tool, **of_job)["status"] == "completed", tool)
    run.check(call("get_failed_rows", **of_job)["rows"] == [], "failed rows")
    run.check(call("inspect_row", **of_job, item_id="r2")["row"]["status"] == "completed", "a row")
    run.check(call("report_agent_job_result", **of_job, item_id="r1", result="{}")["accepted"] is False, "a report")
    run.check([task["id"] for task in call("list_ready_tasks")["tasks"]], "ready tasks")
    next_wave = call("compile_wave")
    run.check(next_wave["waves"], "waves", next_wave)
    of_run = {"mesh_run_id": next_wave["mesh_run_id"]}
    run.check("next" in call("collect_wave", **of_run), "a wave without answers")
    call("cancel_agent_job", job_id=of_run["mesh_run_id"])
    run.check(call("run_ready_tasks", ids='["none"]').get("error"), "an unknown task is refused")
    run.check(called == listed, "tools that were not called", listed - called)
    resources = [one["uri"] for one in ask("resources/list")["resources"]]
    run.check(f"mesh://runs/{job['mesh_run_id']}/output" in resources, "resources", resources)
    took = time.monotonic() - began
    run.say(f"inspector: {len(listed)} tools listed and called in {took:.1f} s")


def plan(world, folder):
    """The demo's repository and plan, in the folder."""
    shutil.copytree(run.ROOT / "examples" / "demo" / "repo", folder, dirs_exist_ok=True)
    (folder / ".step").mkdir()
    shutil.copy(run.ROOT / "examples" / "demo" / "plan.jsonl", folder / ".step" / "st-plan.jsonl")
    git = ["git", "-c", "user.name=t", "-c", "user.email=t@example.invalid"]
    for command in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "start"]):
        subprocess.run([*git, *command], cwd=folder, check=True, env=world.env)

"""One job, disturbed at random moments and resumed each time, until it has ended; then judged from what it left."""
import json
import shutil
import signal
import time
from machine import files_beneath, left_behind, mounts_beneath, settled
from world import Fault, check, log_end, wait

# How a job is disturbed, how often, and the exit codes that follow. One may always end by itself a moment before, and a signal that
# comes before mesh handles signals, or when it has done everything, ends it as any program.
DISTURBANCES = {
    "kill": (8, (-signal.SIGKILL,)),
    "Ctrl-C": (3, (130, -signal.SIGINT)),
    "Ctrl-C twice": (3, (130, -signal.SIGINT)),
    "TERM": (1, (143, -signal.SIGTERM)),
    "cancel": (2, (4,)),
    "cancel --now": (2, (4,)),
    "pause": (1, ()),
}
# What a run that has ended may leave in its folder.
KEPT = ("ledger.jsonl", "input.csv", "waves/", "units/", "logs/", "kept/", "violations/", "results.csv", "summary.json", "writers")


def play(world, job, rng):
    arguments = disturb_and_resume(world, job, rng)
    process = world.start(arguments, job.cwd, job.home, job.log)
    code = wait(process, "its last start")
    check(code in job.codes(), f"exit code {code}, not one of {job.codes()}", log_end(job.log))
    world.count(f"{job.kind} jobs")
    judge(world, job)


def disturb_and_resume(world, job, rng):
    """Starts and disturbs a job a few times; gives the command with which it goes on."""
    arguments = job.begin()
    for _ in range(rng.choice((0, 1, 1, 2, 3, 4, 6))):
        process = world.start(arguments, job.cwd, job.home, job.log)
        has_ended = ended_alone(world, process, rng.expovariate(1 / 1.5))
        if not has_ended:
            disturb(world, job, process, rng)
        arguments = resume(job)
        if has_ended:
            break
    return arguments


def ended_alone(world, process, seconds):
    until = min(time.monotonic() + seconds, world.deadline)
    while process.poll() is None and time.monotonic() < until:
        time.sleep(0.02)
    return process.poll() is not None


def disturb(world, job, process, rng):
    names = list(DISTURBANCES)
    how = rng.choices(names, [often for often, _ in DISTURBANCES.values()])[0]
    act(world, job, process, how, rng)
    code = wait(process, how)
    allowed = (*job.codes(), *DISTURBANCES[how][1])
    check(code in allowed, f"exit code {code} after {how}, not one of {allowed}", log_end(job.log))
    world.count(how if code in DISTURBANCES[how][1] or how == "pause" else "ended by itself")


def act(world, job, process, how, rng):
    if how.startswith("cancel"):
        now = ["--now"] if how.endswith("--now") else []
        # 2: there is no such run yet; 3: it can't be told whether it is running.
        codes = (0, 2, 3)
        world.call("cancel", job.run_id, *now, cwd=job.cwd, home=job.home, codes=codes)
    elif how == "Ctrl-C twice":
        process.send_signal(signal.SIGINT)
        time.sleep(rng.random())
        process.send_signal(signal.SIGINT)
    elif how == "pause":
        process.send_signal(signal.SIGSTOP)
        time.sleep(rng.random())
        process.send_signal(signal.SIGCONT)
    else:
        process.send_signal({"kill": signal.SIGKILL, "Ctrl-C": signal.SIGINT, "TERM": signal.SIGTERM}[how])


def resume(job):
    """How the job goes on; one that was killed before it had begun is begun again, under another name if it has a folder."""
    folder = run_folder(job)
    ledger = folder / "ledger.jsonl"
    if ledger.exists() and b"\n" in ledger.read_bytes():
        return ["resume", job.run_id]
    if folder.exists():
        job.run_id += "-again"
    return job.begin()


def run_folder(job):
    return job.home / "runs" / job.run_id


def judge(world, job):
    job.check()
    judge_run(world, job)


def judge_run(world, job):
    """What a run has left: its ledger and its folder."""
    check_ledger(world, job)
    world.call("audit", job.run_id, cwd=job.cwd, home=job.home)
    world.count("audits")
    left = sorted({path.split("/")[0] + ("/" if "/" in path else "") for path in files_beneath(run_folder(job))})
    strange = [name for name in left if name not in KEPT]
    temporary = [path for path in files_beneath(run_folder(job)) if path.endswith((".tmp", ".sock"))]
    check(not strange and not temporary, "files in the run's folder", strange, temporary)


def check_ledger(world, job):
    """Every attempt that was started is closed, and no row was worked twice at once."""
    running, started = set(), 0
    for line in (run_folder(job) / "ledger.jsonl").read_text().splitlines():
        event = json.loads(line)
        row = (event.get("wave"), event.get("item_id"))
        if event["event"] == "attempt_started":
            check(row not in running, "a row was started twice at once", line)
            running.add(row)
            started += 1
        elif event["event"] == "attempt_finished":
            check(row in running, "an attempt ended that had not started", line)
            running.remove(row)
    check(not running, "attempts that were started and not closed", running)
    world.count("attempts", started)


def play_lane(world, number, make, play=play):
    """Jobs one after another until the time is over."""
    turn = 0
    while not world.is_over():
        turn += 1
        name = f"{make.kind}-{number}-{turn}"
        rng = world.random(name)
        job = None
        try:
            job = make(world, name, rng)
            play(world, job, rng)
        except (Fault, OSError, ValueError, KeyError, AssertionError) as error:
            world.add_fault(name, f"{type(error).__name__}: {error}")
            if job:
                keep_ledger(world, job)


def keep_ledger(world, job):
    """The homes are emptied at the end, so the ledger of a job that is at fault is copied."""
    ledger = run_folder(job) / "ledger.jsonl"
    if ledger.exists():
        (world.folder / "at-fault").mkdir(exist_ok=True)
        shutil.copy(ledger, world.folder / "at-fault" / f"{job.run_id}.jsonl")


def check_left(world):
    """Nothing of any job is left on the machine, and nothing of any run once it is removed."""
    left = settled(lambda: left_behind(world.sessions, world.mark))
    check(not left, f"{len(left)} processes are left", *(f"{one}: {world.sessions.get(one.session)}" for one in left))
    check(not mounts_beneath(world.folder), "mounts are left", mounts_beneath(world.folder))
    for home in world.homes:
        world.call("runs", "gc", "--older-than", "0s", cwd=world.folder, home=home)
        check(not files_beneath(home / "runs"), "files in a home after `mesh runs gc`", files_beneath(home))
    check(not files_beneath(world.tmp), "temporary files are left", files_beneath(world.tmp))

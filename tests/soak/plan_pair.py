"""Two runs that share one plan (`--join`), each disturbed and resumed by itself; then judged together."""
import copy
import threading
from plan_job import PlanJob
from play import disturb_and_resume, judge_run, keep_ledger
from world import check, log_end, wait

# A run has a blocked task or not, by what it took.
CODES = (0, 1)


class SharedPlan(PlanJob):
    kind = "pair"

    def __init__(self, world, name, rng):
        super().__init__(world, name, rng)
        self.protocol, self.delivery = rng.choice(("solo", "duo")), rng.choice(("patch", "commit"))
        self.isolation, self.more = "tree", ["--join"]

    def codes(self):
        return CODES

    def of_run(self, letter):
        """The same plan, worked by a run of its own."""
        one = copy.copy(self)
        one.run_id = f"{self.name}-{letter}"
        one.log = self.world.folder / f"{one.run_id}.log"
        return one


def play_pair(world, job, rng):
    pair = [job.of_run(letter) for letter in "ab"]
    faults = []
    threads = [threading.Thread(target=play_one, args=(world, one, world.random(one.run_id), faults)) for one in pair]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for one in pair if not faults else ():
        # What one was killed with, the other may have waited for.
        end(world, ["resume", one.run_id], one)
    try:
        check(not faults, "one of a pair", *faults)
        job.check()
        for one in pair:
            judge_run(world, one)
    except Exception:
        for one in pair:
            keep_ledger(world, one)
        raise
    world.count("pairs of joined runs")


def play_one(world, job, rng, faults):
    try:
        end(world, disturb_and_resume(world, job, rng), job)
    except Exception as error:  # Shown by the thread that judges the pair.
        faults.append(f"{job.run_id}: {type(error).__name__}: {error}")


def end(world, arguments, job):
    code = wait(world.start(arguments, job.cwd, job.home, job.log), "its last start")
    check(code in CODES, f"exit code {code}, not one of {CODES}", log_end(job.log))

"""A spawned CSV whose rows do all that workers do, and what must have come of each of them."""
import csv
import json
from world import HERE, check

# The behaviours of `worker`: how often they are drawn, and how the last error of the row begins; None for a row that completes.
BEHAVIOURS = {
    "good": (40, None),
    "file": (6, None),
    "report": (6, None),
    "large": (2, None),
    "fork": (4, None),
    "group": (2, None),
    "bad": (4, None),
    "late": (2, None),
    "limit": (4, None),
    "fail": (6, "worker_exit: exit code 3"),
    "none": (4, "no_response"),
    "hang": (1, "timeout"),
    "deaf": (1, "timeout"),
}
csv.field_size_limit(1 << 20)
SCHEMA = {"type": "object", "required": ["n"], "properties": {"n": {"type": "integer"}}}


class CsvJob:
    kind = "spawn"

    def __init__(self, world, name, rng):
        self.world, self.name, self.run_id = world, name, name
        self.home = rng.choice(world.homes)
        self.cwd = world.folder / name
        self.cwd.mkdir()
        self.log = world.folder / f"{name}.log"
        self.rows = self.draw(rng)
        self.concurrency = rng.choice((2, 4, 8, 16))
        self.sandbox = rng.choice(("none", "none", "auto"))
        self.write_input()

    def draw(self, rng):
        names, weights = list(BEHAVIOURS), [weight for weight, _ in BEHAVIOURS.values()]
        does = rng.choices(names, weights, k=rng.choice((1, 20, 60, 120)))
        base = rng.randrange(1_000_000) * 1000
        return [{"id": f"r{number}", "do": do, "n": base + number, "nap": round(rng.expovariate(5), 2)} for number, do in enumerate(does, 1)]

    def write_input(self):
        with open(self.cwd / "rows.csv", "w", newline="") as file:
            writer = csv.DictWriter(file, ["id", "do", "n", "nap"])
            writer.writeheader()
            writer.writerows(self.rows)
        (self.cwd / "schema.json").write_text(json.dumps(SCHEMA))

    def begin(self):
        options = ["--id-column", "id", "--instruction", "Do {do}.", "--output-schema", "schema.json", "-o", "out.csv", "--sandbox", self.sandbox]
        limits = ["-j", self.concurrency, "--max-runtime-seconds", 4, "--grace-seconds", 1]
        passed = ["--env", "SOAK_MARK,SOAK_STATE,SOAK_MESH", "--writable", self.world.state]
        return ["spawn", "rows.csv", "--run-id", self.run_id, *options, *limits, *passed, "--", HERE / "worker", "{do}", "{n}", "{nap}"]

    def codes(self):
        """The exit codes of a job that has run to its end."""
        return (int(any(BEHAVIOURS[row["do"]][1] for row in self.rows)),)

    def check(self):
        with open(self.cwd / "out.csv", newline="") as file:
            output = list(csv.DictReader(file))
        check(len(output) == len(self.rows), f"{len(output)} rows in the output, {len(self.rows)} in the input")
        for row, out in zip(self.rows, output):
            self.check_row(row, out)
        left = sorted(path.name for path in self.cwd.iterdir())
        check(left == ["out.csv", "rows.csv", "schema.json"], "files beside the input", left)
        self.world.count("rows", len(output))

    def check_row(self, row, out):
        error = BEHAVIOURS[row["do"]][1]
        same = all(out[key] == str(value) for key, value in row.items())
        right = out["status"] == "failed" and out["last_error"].startswith(error) if error else out["status"] == "completed"
        result = json.loads(out["result_json"] or "{}").get("n")
        check(same and right and result == (None if error else row["n"]), f"row {row}", out)

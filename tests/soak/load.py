"""Large jobs: many rows, large answers, many runs in one home. Each gives figures, as (what, figure)."""
import csv
import json
import os
import time
from machine import peak_memory
from world import check, log_end

ROWS, AT_ONCE = 100_000, 200
ANSWERS, ANSWER_BYTES, ANSWERS_MIB_MAX = 10_000, 1 << 20, 200
RUNS = 500


def measured(world, name, arguments, cwd, home):
    """Seconds and the peak of memory of one call of mesh, in MiB, which must end with exit code 0."""
    log = world.folder / f"{name}.log"
    began, peak = time.monotonic(), 0
    process = world.start(arguments, cwd, home, log)
    while process.poll() is None:
        peak = peak_memory(process.pid) or peak
        time.sleep(0.02)
    check(process.returncode == 0, f"{name}: exit code {process.returncode}", log_end(log))
    return time.monotonic() - began, peak


def folder_of(world, name):
    cwd, home = world.folder / name, world.folder / f"{name}-home"
    cwd.mkdir()
    home.mkdir()
    return cwd, home


def write_rows(cwd, rows):
    (cwd / "rows.csv").write_text("n\n" + "".join(f"{n}\n" for n in range(rows)))


def check_output(cwd, rows, length=None):
    """Every row has its own answer, in order; `length`: bytes of an answer."""
    csv.field_size_limit(4 * ANSWER_BYTES)
    number = 0
    with open(cwd / "out.csv", newline="") as file:
        for number, row in enumerate(csv.DictReader(file), 1):
            result = row["result_json"]
            right = row["status"] == "completed" and row["n"] == str(number - 1) and json.loads(result)["n"] == number - 1
            check(right and length in (None, len(result)), f"row {number} of {cwd.name}", {**row, "result_json": result[:200]})
    check(number == rows, f"{cwd.name}: {number} rows in the output, {rows} in the input")


def audited(world, name, cwd, home):
    began = time.monotonic()
    world.call("audit", name, cwd=cwd, home=home)
    return time.monotonic() - began


def many_rows(world):
    cwd, home = folder_of(world, "many-rows")
    write_rows(cwd, ROWS)
    arguments = ["spawn", "rows.csv", "--run-id", "many", "--instruction", "x", "-o", "out.csv", "-j", AT_ONCE, "--", "echo", '{"n":{n}}']
    seconds, peak = measured(world, "many-rows", arguments, cwd, home)
    check_output(cwd, ROWS)
    audit = audited(world, "many", cwd, home)
    yield f"{ROWS:,} rows, {AT_ONCE} at once", f"{seconds:.1f} s"
    yield "  rows a second", f"{ROWS / seconds:,.0f}"
    yield "  peak memory of mesh", f"{peak:.0f} MiB"
    yield "  its audit", f"{audit:.1f} s"


def large_answers(world):
    cwd, home = folder_of(world, "large-answers")
    write_rows(cwd, ANSWERS)
    # All answers have the same length: the text fills up what the number leaves.
    (cwd / "text").write_text("x" * (ANSWER_BYTES - len('{"n":1234,"text":""}')))
    script = 'printf \'{"n":%4s,"text":"\' "$1"; cat "$2"; printf \'"}\''
    arguments = ["spawn", "rows.csv", "--run-id", "large", "--instruction", "x", "-o", "out.csv", "-j", 16, "--", "sh", "-c", script, "sh", "{n}", cwd / "text"]
    seconds, peak = measured(world, "large-answers", arguments, cwd, home)
    check_output(cwd, ANSWERS)
    size = os.stat(cwd / "out.csv").st_size
    check(size > ANSWERS * (ANSWER_BYTES - 8), f"the output has only {size} bytes")
    check(peak < ANSWERS_MIB_MAX, f"{peak:.0f} MiB for {ANSWERS} answers of 1 MiB, not under {ANSWERS_MIB_MAX}")
    yield f"{ANSWERS:,} answers of 1 MiB, 16 at once", f"{seconds:.0f} s"
    yield "  peak memory of mesh", f"{peak:.0f} MiB"
    yield "  its output", f"{size / 1e9:.1f} GB"
    for path in (cwd / "out.csv", home / "runs/large/ledger.jsonl"):
        path.unlink()


def many_runs(world):
    cwd, home = folder_of(world, "many-runs")
    write_rows(cwd, 5)
    began = time.monotonic()
    for number in range(RUNS):
        world.call("spawn", "rows.csv", "--run-id", f"run-{number:03}", "--instruction", "x", "-o", f"out-{number}.csv", "--", "echo", '{"n":{n}}', cwd=cwd, home=home)
    seconds = time.monotonic() - began
    times = []
    for _ in range(5):
        began = time.monotonic()
        listed = world.call("runs", "list", "--json", cwd=cwd, home=home)
        times.append(time.monotonic() - began)
    check(all(f"run-{number:03}" in listed for number in range(RUNS)), f"`mesh runs list` doesn't have {RUNS} runs")
    yield f"{RUNS} runs in one home, 5 rows each", f"{seconds:.0f} s"
    yield "  `mesh runs list`, the best of 5", f"{min(times) * 1000:.0f} ms"


ALL = [many_rows, large_answers, many_runs]

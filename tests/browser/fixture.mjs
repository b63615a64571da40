// Pages without a run: the same kind of data that the program hands to the page, made from a seed.
//     node fixture.mjs demo|wide|hostile|empty|live FILE
import { readFileSync, writeFileSync } from "node:fs";

const TEMPLATE = new URL("../../src/report/page/page.html", import.meta.url);
const STARTED = "2026-03-02T09:15:00.000Z";
const ESCAPES = { "<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029" };

export function page(data) {
  const json = JSON.stringify(data).replace(/[<>&\u2028\u2029]/g, (char) => ESCAPES[char]);
  return readFileSync(TEMPLATE, "utf8").replace("/*MESH_DATA*/null", () => json);
}

/** mulberry32: numbers from 0 to 1, the same for the same seed. */
function random(seed) {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}
const sum = (rows, of) => rows.reduce((total, row) => total + (of(row) ?? 0), 0);

function totals(rows, wall_ms) {
  const attempts = rows.flatMap((row) => row.attempts);
  const status = (name) => rows.filter((row) => row.status === name).length;
  return {
    rows: rows.length, pending: status("pending"), running: status("running"), completed: status("completed"), failed: status("failed"), attempts: attempts.length,
    retries: attempts.filter((a) => a.n > 1).length, timeouts: rows.filter((row) => row.code === "timeout").length, wall_ms, worker_ms: sum(attempts, (a) => a.end - a.start),
    cost_usd: sum(rows, (row) => row.cost_usd), input_tokens: sum(rows, (row) => row.tokens) * 0.8, output_tokens: sum(rows, (row) => row.tokens) * 0.2,
  };
}
function groups(rows, of) {
  const names = [...new Set(rows.map(of).filter(Boolean))];
  return names.map((name) => [name, rows.filter((row) => of(row) === name)]).map(([name, rows]) => ({ name, rows: rows.length, failed: rows.filter((row) => row.status === "failed").length, worker_ms: sum(rows, (row) => row.wall_ms), cost_usd: sum(rows, (row) => row.cost_usd) }));
}
const by = (rows) => ({ status: groups(rows, (r) => r.status), code: groups(rows, (r) => r.code), role: groups(rows, (r) => r.role), adapter: groups(rows, (r) => r.adapter) });

/** Fills slots one row after the other, as an executor would; some attempts fail and are tried again. */
function schedule(rows, slots, from, next, duration) {
  const free = Array(slots).fill(from);
  for (const row of rows) {
    const failures = next() < 0.04 ? 2 : next() < 0.06 ? 1 : 0;
    row.attempts = [];
    for (let n = 1; n <= Math.min(failures + 1, 2); n++) {
      const slot = free.indexOf(Math.min(...free));
      const start = Math.round(Math.max(free[slot], (row.attempts.at(-1)?.end ?? 0) + (n > 1 ? 400 : 0)) + next() * 20), end = Math.round(start + duration(row) * (0.5 + next()));
      free[slot] = end;
      const failed = n <= failures, code = next() < 0.5 ? "timeout" : "exit_status";
      const error = code === "timeout" ? "timeout: worker exceeded max runtime of 30s" : "exit_status: worker exited with status 2";
      row.attempts.push({ n, start, end, outcome: !failed ? "completed" : n === 2 ? "failed" : "retry", exit_code: failed ? (code === "timeout" ? null : 2) : 0, signal: failed && code === "timeout" ? 15 : null,
        via: failed ? null : "stdout", cost_usd: 0.002 + next() * 0.01, tokens: Math.round(800 + next() * 4000), ...(failed ? { error, log: "reading the input\nconnecting\nfatal: no answer from the service\n", log_path: `logs/${row.id}.${n}.log` } : {}) });
      if (failed && n === 2) Object.assign(row, { status: "failed", code, error, retry: "mesh resume 20260302T091500Z --retry-failed" });
      else if (!failed) row.status = "completed";
    }
    row.wall_ms = sum(row.attempts, (a) => a.end - a.start);
    row.cost_usd = sum(row.attempts, (a) => a.cost_usd);
    row.tokens = sum(row.attempts, (a) => a.tokens);
    if (row.status === "failed") delete row.result;
  }
  return Math.max(...free);
}

const CITIES = ["Lisbon", "Nairobi", "Osaka", "Quito", "Tromsø", "Zürich", "Hanoi", "Perth", "Łódź", "Recife"];
export function wide(count = 10_000, seed = 1) {
  const next = random(seed);
  const rows = Array.from({ length: count }, (_, index) => {
    const city = CITIES[Math.floor(next() * CITIES.length)], id = `city-${String(index + 1).padStart(5, "0")}`;
    return { id, index, status: "completed", adapter: index % 7 ? "codex" : "claude", input: { city, country: `country ${Math.floor(next() * 40)}`, population: String(Math.floor(next() * 1e6)) },
      prompt: `Classify the district ${index + 1} of ${city} by what its shops sell. Answer with one JSON object.\n\n`.repeat(3), result: { category: ["food", "books", "tools"][index % 3], confidence: Math.round(next() * 100) / 100, note: `District ${index + 1} of ${city}` } };
  });
  const end = schedule(rows, 32, 300, next, () => 6000);
  return {
    v: 1, live: false,
    run: { id: "20260302T091500Z", kind: "spawn", status: "completed", exit_code: 1, started: STARTED, ended: new Date(+new Date(STARTED) + end).toISOString(), root: "/home/ada/cities", adapter: "codex", concurrency: 32,
      mesh_version: "0.1.0", input: "districts.csv", instruction: "Classify {district} of {city} by what its shops sell.", resume: "mesh resume 20260302T091500Z --retry-failed" },
    totals: totals(rows, end), by: by(rows), rows, tasks: [], waves: [],
    marks: [{ at: end * 0.3, kind: "backpressure", text: "concurrency 32 -> 16" }, { at: end * 0.31, until: end * 0.33, kind: "rate_limited", text: "the service asked to wait for 20 s" }, { at: end * 0.4, kind: "backpressure", text: "concurrency 16 -> 32" }],
    violations: [],
  };
}

const TITLES = ["slug: one hyphen for a run of separators, none at the ends", "csv: quote fields that hold a comma, a quote or a line break", "csv: an empty record is written as a line of its own", "index: one entry for each file, in the order of their names", "README: a table of all commands", "stats: the mean of the prices, rounded to two places", "dates: ISO weeks at the turn of the year"];
const DEPS = [[], [], [1], [0, 2], [3], [1], [3, 5]];
const PATCH = `diff --git a/lib/csv.sh b/lib/csv.sh
--- a/lib/csv.sh
+++ b/lib/csv.sh
@@ -1,11 +1,24 @@
 # CSV, as RFC 4180 has it, with LF line ends.
 
+csv_lf='
+'
+csv_cr=$(printf '\\r')
+
+# csv_field TEXT: TEXT as one field, in quotes where it holds a comma, a quote or a line break.
+csv_field() {
+    case $1 in
+    *[,\\"]* | *"$csv_lf"* | *"$csv_cr"*) printf '"%s"' "$(printf '%s\\n' "$1" | sed 's/"/""/g')" ;;
+    *) printf '%s' "$1" ;;
+    esac
+}
+
 # csv_row FIELD ...: the fields as one record.
 csv_row() {
-    row=$1
+    row=$(csv_field "$1")
     shift
     for field in "$@"; do
-        row=$row,$field
+        row=$row,$(csv_field "$field")
     done
     printf '%s\\n' "$row"
 }
`;
const ROLES = ["proposer", "critic_a", "critic_b", "skeptic", "synthesizer"];
export function demo(seed = 7) {
  const next = random(seed), rows = [], waves = [], tasks = [];
  const ends = [];
  const wave = (unit, round, roles, from, number, result) => {
    const no = waves.length + 1;
    const made = roles.map((role, index) => ({ id: `${unit}.${round}.${role}.${number}`, wave: no, index, unit, round, role, adapter: "codex", status: "completed", verdict: { verdict: "accepted", ...(round === "synthesis" ? { checks: "- parses; touches: lib/csv.sh\n- every path is within the scope\n- `git apply --check`: exit 0" } : {}) },
      prompt: `# ${round} for task ${unit}\n\nYou are **${role}**. This is round \`${round}\`, attempt ${number}.\n\n${"- Be specific: name the file, function, input or statement, and what fails there.\n".repeat(24)}`, result: result(role) }));
    const end = schedule(made, made.length, from, () => 0.5 + next() / 2, () => 2500 + next() * 3500);
    rows.push(...made);
    waves.push({ no, round, csv: `waves/${String(no).padStart(3, "0")}-${round}.csv`, start: from - 40, end, rows: made.length, max_concurrency: 10 });
    return end + 60;
  };
  TITLES.forEach((title, i) => {
    const id = `st-00${i + 1}`, deps = DEPS[i];
    let at = Math.max(120 + i * 30, ...deps.map((d) => ends[d]));
    const isBlocked = deps.includes(5), votes = [];
    const task = { id, title, deps: deps.map((d) => `st-00${d + 1}`), state: isBlocked ? "pending" : i === 5 ? "blocked" : "completed", reason: i === 5 ? "validation_failed" : null, detail: i === 5 ? "`sh tests/mean.sh`: exit 1" : null, risk: i % 2 ? "medium" : "low", scope: ["lib/csv.sh", "tests/*.sh"], protocol: "swarm", votes };
    tasks.push(task);
    ends.push(at);
    if (isBlocked) return;
    at = wave(id, "proposal", ["proposer"], at, 1, () => ({ plan: ["Add `csv_field TEXT` to lib/csv.sh.", "Let `csv_row` pass each argument through it."], assumptions: ["Records end with a line feed."], risk: "medium" }));
    for (let n = 1; n <= (i === 1 ? 3 : 1); n++) {
      at = wave(id, "critique", ROLES.slice(1, 4), at, n, (role) => ({ findings: [`${role}: the plan quotes for commas and quotes only.`], must_fix: ["Quote for line feed and carriage return as well."], flip_conditions: ["`csv_row` with a line feed in a field prints it in quotes."], risk: "low" }));
      at = wave(id, "synthesis", ["synthesizer"], at, n, () => ({ decision_log: [{ point: "critic_a: line feeds", action: "accepted", reason: "Both are patterns." }], patch: PATCH, validation: ["sh tests/csv.sh"], residual_risk: "low" }));
      const against = i === 1 && n < 3 ? ["critic_a", "skeptic"].slice(0, 3 - n + 1) : i === 3 ? ["critic_b"] : [];
      const line = (role) => ({ role, vote: against.includes(role) ? "disagree" : "agree", reason: against.includes(role) ? "The sed expression `s/\"/\"\"/` has no `g`, so only the first quote of a line is doubled." : "All acceptance statements are covered." });
      at = wave(id, "vote", ROLES, at, n, (role) => ({ ...line(role), role: undefined }));
      votes.push({ number: n, agree: 5 - against.length, disagree: against.length, absent: 0, threshold: 4, lines: ROLES.map(line) });
    }
    const end = at + 900;
    Object.assign(task, {
      proposal: { plan: ["Add `csv_field TEXT` to lib/csv.sh."], assumptions: ["Records end with a line feed."] }, patch: PATCH, changed_paths: i === 5 ? [] : ["lib/csv.sh"],
      critiques: ROLES.slice(1, 4).map((role) => ({ role, findings: ["The plan quotes for commas and quotes only. A field with a line feed has to be quoted too."], must_fix: role === "skeptic" ? ["No `echo` of a field."] : [], flip_conditions: ["`csv_row '100%d'` prints the text as it is."], risk: "low" })),
      decisions: [{ point: "critic_a: line feed and carriage return need quotes", action: "accepted", reason: "Both are patterns of the `case` in `csv_field`." }, { point: "critic_b: name the line breaks", action: "accepted", reason: "`csv_lf` and `csv_cr`." }, { point: "skeptic: a record of one empty field", action: "rejected", reason: "Fields that need no quotes are written as before." }],
      validation: [{ command: "sh tests/csv.sh", outcome: i === 5 ? "exit 1" : "exit 0", passed: i !== 5, stage: "integration", duration_ms: 420, key_line: i === 5 ? "FAIL prices" : "tests/csv.sh: ok", output: i === 5 ? "ok   empty\nFAIL prices: want 2.35, got 2.34\n" : "tests/csv.sh: ok\n" }],
      integrations: [{ start: at, end, outcome: i === 5 ? "restored" : "applied" }], cost_usd: sum(rows.filter((r) => r.unit === id), (r) => r.cost_usd), tokens: sum(rows.filter((r) => r.unit === id), (r) => r.tokens),
      ...(i === 0 ? { commit: { id: "4f1c2a9d0b", branch: "mesh/20260302T091500Z" } } : {}),
    });
    ends[i] = end + 100;
  });
  const wall = Math.max(...ends), path = ["st-002", "st-003", "st-004", "st-005"];
  return {
    v: 1, live: false,
    run: { id: "20260302T091500Z", kind: "plan", status: "completed", exit_code: 1, started: STARTED, ended: new Date(+new Date(STARTED) + wall).toISOString(), root: "/home/ada/toolkit", adapter: "codex", concurrency: 10, mesh_version: "0.1.0" },
    totals: { ...totals(rows, wall), longest_path: { ms: ends[4], tasks: path } }, by: by(rows), rows, tasks, waves,
    marks: [{ at: wall * 0.2, kind: "backpressure", text: "concurrency 10 -> 5" }, { at: wall * 0.2, until: wall * 0.26, kind: "rate_limited", row: rows[9].id, text: "the service asked to wait for 6 s" }, { at: wall * 0.35, kind: "backpressure", text: "concurrency 5 -> 10" }, { at: wall * 0.6, kind: "violation", unit: "st-004", text: "README.md changed while workers ran" }],
    violations: ["README.md changed while workers ran; it was restored"],
  };
}

export const HOSTILE = [
  "<script>window.hacked = 1</script>", "</script><script>window.hacked = 2</script>", "<img src=x onerror='window.hacked = 3'>", "<!--<script>", "]]>", "javascript:window.hacked=4", "\" onmouseover=\"window.hacked=5",
  "evil\u202Etxt.exe\u202C", "\u001b[31mred\u001b[0m\u0007\u0000", "zero\u200bwidth\ufeff", "a\u2028b\u2029c", "\ud800 lone", "\u{E0041}\u{E0042}", "{{constructor.constructor('window.hacked=6')()}}", "${window.hacked=7}", "z\u0335\u0327a\u0338\u0321l\u0334g\u0321o".repeat(20),
];
export function hostile() {
  const data = demo(3), all = HOSTILE.join(" ");
  HOSTILE.forEach((text, i) => {
    Object.assign(data.rows[i], { id: text, unit: text, role: text, round: text, status: i % 2 ? "failed" : text, code: text, error: text, prompt: all, result: JSON.parse(JSON.stringify({ [text]: text, nested: { [text]: [text, { [text]: text }] } })), input: { [text]: text }, retry: text, verdict: { verdict: text, code: text, detail: text, checks: all } });
    Object.assign(data.rows[i].attempts[0], { error: text, log: all, log_path: text, via: text, outcome: text });
  });
  data.rows[20] = JSON.parse('{"id":"__proto__","status":"constructor","input":{"__proto__":{"polluted":true},"constructor":"x","toString":"y"},"result":{"__proto__":{"polluted":true},"hasOwnProperty":1},"attempts":null}');
  data.rows[21] = { id: "long", status: "completed", input: { cell: "x".repeat(1 << 20) }, result: { text: "<b>".repeat(350_000) }, prompt: "y ".repeat(1 << 19), attempts: [] };
  data.rows[22] = { id: "odd", status: 7, attempts: [{}, { start: 5, end: 1 }, { start: "x" }], result: [[[[[[[[["deep"]]]]]]]]], input: null };
  Object.assign(data.tasks[0], { title: all, reason: all, detail: all, scope: HOSTILE, patch: PATCH.replace("rows", all) + `diff --git a/${all} b/x\n@@ -1 +1 @@\n-${HOSTILE[7]}\n+${HOSTILE[0]}\n`, critiques: [{ role: HOSTILE[0], findings: HOSTILE, must_fix: { a: 1 }, flip_conditions: "one text" }, { role: "critic_a" }], decisions: [{ point: HOSTILE[0] + ": x", action: HOSTILE[2], reason: all }, {}], validation: [{ command: all, output: all, outcome: all, key_line: all }] });
  Object.assign(data.tasks[1], { id: "__proto__", deps: ["__proto__", "st-001", "missing"], votes: [{ lines: [{ role: "__proto__", vote: "constructor", reason: all }] }] });
  data.run.status = HOSTILE[2];
  data.run.id = HOSTILE[1];
  data.run.instruction = all;
  data.marks.push({ at: 100, kind: HOSTILE[0], text: all, unit: HOSTILE[0] }, { kind: "__proto__", at: 5 }, {});
  data.by.role.push({ name: all, rows: 3 }, {});
  data.violations.push(all);
  return data;
}

const KINDS = { demo, wide, hostile, empty: () => null };
if (process.argv[1] === new URL(import.meta.url).pathname) writeFileSync(process.argv[3], page(KINDS[process.argv[2]]()));

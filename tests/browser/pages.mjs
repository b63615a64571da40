// The pages under test, in a folder of their own: from real runs where $MESH can write them, else from fixture.mjs.
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, writeFileSync, readdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { demo, hostile, page, wide } from "./fixture.mjs";

const ROWS = 10_000;
export const folder = mkdtempSync(join(tmpdir(), "mesh-page-"));
const file = (name) => join(folder, name + ".html");

function write(name, data) {
  writeFileSync(file(name), page(data));
  return file(name);
}

/** Runs the demo and a CSV of 10,000 rows with the built program, and lets it write their pages. */
function real(mesh) {
  const home = join(folder, "home"), env = { ...process.env, MESH_HOME: home };
  const call = (...args) => execFileSync(mesh, args, { env, cwd: folder, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"], maxBuffer: 1 << 28 });
  const latest = (known) => readdirSync(join(home, "runs")).find((run) => !known.includes(run));
  call("demo");
  const plan = latest([]);
  writeFileSync(join(folder, "rows.csv"), "name,city\n" + Array.from({ length: ROWS }, (_, i) => `row-${i + 1},city ${i % 97}\n`).join(""));
  // Every 50th row fails.
  const worker = join(folder, "worker");
  writeFileSync(worker, `#!/bin/sh\ncase $MESH_ITEM_ID in *50|*00) echo 'no answer' >&2; exit 2 ;; esac\nprintf '{"answer":"%s"}\\n' "$MESH_ITEM_ID"\n`, { mode: 0o755 });
  try { call("spawn", "rows.csv", "--id-column", "name", "--instruction", "{name} in {city}", "--max-concurrency", "16", "--", worker); } catch { /* Rows failed, as they should. */ }
  const spawned = latest([plan]);
  call("inspect", plan, "--html", file("demo"));
  call("inspect", spawned, "--html", file("wide"));
  return { demo: file("demo"), wide: file("wide"), isReal: true };
}

/** A run of a million rows, of which the page has some. */
function part() {
  const data = wide(1000);
  return { ...data, omitted: 999_000, totals: { ...data.totals, rows: 1_000_000 } };
}

export function make() {
  const own = { part: write("part", part()), hostile: write("hostile", hostile()), empty: write("empty", null), bare: write("bare", { v: 1, rows: [{ id: "a" }], tasks: [{ id: "b" }] }), fixture: write("fixture", demo()), many: write("many", wide(ROWS)) };
  const mesh = process.env.MESH && resolve(process.env.MESH);
  const isKnown = mesh && spawnSync(mesh, ["inspect", "--help"], { encoding: "utf8" }).stdout?.includes("--html");
  if (mesh && !isKnown) console.log(`${mesh} does not know inspect --html: all pages come from fixture.mjs`);
  return isKnown ? { ...own, ...real(mesh) } : { ...own, demo: own.fixture, wide: own.many, isReal: false };
}

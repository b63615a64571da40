// A run that goes on, and `mesh watch` that serves its page: the program in place of live-server.mjs, where $MESH knows it.
import { spawn, spawnSync } from "node:child_process";
import { existsSync, readdirSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";

const ROWS = 40;
export async function watch(folder) {
  if (!process.env.MESH) return null;
  const mesh = resolve(process.env.MESH), home = join(folder, "watched"), env = { ...process.env, MESH_HOME: home };
  if (spawnSync(mesh, ["watch", "--help"], { env }).status !== 0) return null;
  writeFileSync(join(folder, "slow.csv"), "name\n" + Array.from({ length: ROWS }, (_, i) => `slow-${i + 1}\n`).join(""));
  const worker = ["sh", "-c", "sleep 1; echo '{\"answer\":1}'"];
  const run = spawn(mesh, ["spawn", "slow.csv", "--id-column", "name", "--instruction", "{name}", "--max-concurrency", "4", "--", ...worker], { env, cwd: folder, stdio: "ignore" });
  const ended = new Promise((done) => run.on("exit", done));
  const runs = join(home, "runs");
  let id;
  while (!(id = existsSync(runs) && readdirSync(runs).find((name) => existsSync(join(runs, name, "ledger.jsonl"))))) await new Promise((done) => setTimeout(done, 50));
  const server = spawn(mesh, ["watch", id], { env, cwd: folder, stdio: ["ignore", "pipe", "pipe"] });
  const url = await new Promise((found, failed) => {
    let said = "";
    const hear = (bytes) => { said += bytes; const address = /http:\/\/[\w.:[\]]+\/\S*/.exec(said); if (address) found(address[0]); };
    server.stdout.on("data", hear);
    server.stderr.on("data", hear);
    server.on("exit", () => failed(new Error(`mesh watch ended without an address: ${said}`)));
  });
  return { url, kill: () => server.kill("SIGKILL"), runEnds: () => ended };
}

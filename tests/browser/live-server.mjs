// Serves a run that goes on, as `mesh watch` does: the page under an address with a token, `events`, `row` and `task` beside it.
import { createServer } from "node:http";
import { demo, page } from "./fixture.mjs";

/** The demo as it was `now` milliseconds after its start. */
function asOf(whole, now) {
  const rows = whole.rows.filter((row) => row.attempts[0].start <= now).map((row) => {
    const attempts = row.attempts.filter((a) => a.start <= now).map((a) => (a.end <= now ? a : { n: a.n, start: a.start }));
    const isOver = attempts.length === row.attempts.length && attempts.every((a) => a.end != null);
    const { prompt, ...rest } = row;
    return isOver ? { ...rest, attempts } : { ...rest, attempts, status: "running", result: null, code: null, error: null };
  });
  const isOver = now >= whole.totals.wall_ms, status = (name) => rows.filter((row) => row.status === name).length;
  const { rows: _, ...view } = whole;
  return [{ ...view, live: true, run: { ...view.run, started: new Date(Date.now() - now).toISOString(), ended: isOver ? new Date().toISOString() : null, status: isOver ? "completed" : "running", exit_code: isOver ? 1 : null },
    totals: { ...view.totals, rows: rows.length, running: status("running"), completed: status("completed"), failed: status("failed"), pending: 0, wall_ms: now } }, rows];
}

/** A run of about 146 s that is told in `seconds`. `drop` ends all connections; `stop` ends the server. */
export async function serve({ seconds = 4, token = "4f0c9a" } = {}) {
  const whole = demo(), began = Date.now(), streams = new Set();
  const now = () => Math.min(whole.totals.wall_ms, ((Date.now() - began) / 1000 / seconds) * whole.totals.wall_ms);
  let isDown = false;
  const tell = (stream) => {
    const [view, rows] = asOf(whole, now());
    for (const [event, data] of [["view", view], ["rows", rows]]) stream.write(`event: ${event}\ndata: ${JSON.stringify(data)}\n\n`);
    if (now() >= whole.totals.wall_ms) { stream.write("event: end\ndata:\n\n"); streams.delete(stream); }
  };
  const server = createServer((request, response) => {
    const url = new URL(request.url, "http://localhost"), base = `/${token}/run/${whole.run.id}/`;
    const json = (value) => response.writeHead(value ? 200 : 404, { "content-type": "application/json" }).end(JSON.stringify(value ?? null));
    if (isDown) return request.socket.destroy();
    if (url.pathname === base) { const [view, rows] = asOf(whole, now()); response.writeHead(200, { "content-type": "text/html; charset=utf-8" }).end(page({ ...view, rows })); }
    else if (url.pathname === base + "row") json(whole.rows.find((row) => row.id === url.searchParams.get("id") && row.wave === Number(url.searchParams.get("wave"))));
    else if (url.pathname === base + "task") json(whole.tasks.find((task) => task.id === url.searchParams.get("id")));
    else if (url.pathname === base + "events") {
      response.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-store" }).write("retry: 200\n\n");
      streams.add(response);
      request.on("close", () => streams.delete(response));
      tell(response);
    } else response.writeHead(404).end();
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const timer = setInterval(() => streams.forEach(tell), 200);
  return {
    url: `http://127.0.0.1:${server.address().port}/${token}/run/${whole.run.id}/`,
    drop() { isDown = true; streams.forEach((stream) => stream.socket.destroy()); },
    restore() { isDown = false; },
    stop() { clearInterval(timer); server.closeAllConnections(); return new Promise((resolve) => server.close(resolve)); },
  };
}
if (process.argv[1] === new URL(import.meta.url).pathname) console.log((await serve({ seconds: 60 })).url);

// Attempts into slots, and the load over time. Pure: the timeline draws what comes out.
import { kept, time, type Attempt, type Mark, type Row } from "./model";

export interface Bar { row: Row; attempt: Attempt; slot: number; start: number; end: number; isOpen: boolean }
/** A count that holds from `at` on. */
export interface Step { at: number; n: number }
export interface Packed { bars: Bar[]; slots: number; running: Step[]; waiting: Step[]; limit: Step[]; lanes: [kind: string, marks: Mark[]][] }

export const pack = kept((model, end: number): Packed => {
  const bars: Bar[] = [];
  const running: Step[] = [], waiting: Step[] = [];
  const waveStart = new Map((model.view.waves ?? []).map((wave) => [wave.no, wave.start ?? 0]));
  const span = (steps: Step[], from: number, to: number) => to > from && steps.push({ at: from, n: 1 }, { at: to, n: -1 });
  for (const row of model.rows) {
    let ready = waveStart.get(row.wave ?? undefined) ?? 0;
    for (const attempt of row.attempts ?? []) {
      const start = time(attempt.start);
      if (start == null) continue;
      const isOpen = attempt.end == null && row.status === "running";
      const until = Math.max(start, time(attempt.end) ?? (isOpen ? end : start));
      bars.push({ row, attempt, slot: 0, start, end: until, isOpen });
      span(waiting, ready, start);
      ready = until;
    }
    if (row.status === "pending") span(waiting, ready, end);
  }
  bars.sort((a, b) => a.start - b.start);
  // The lowest slot that is free takes the next attempt. Ends are recorded together, and so a little late: where more attempts seem to
  // have run than might, the one that is free first takes it, and its bar begins there.
  const slotsMax = Math.max(model.view.run?.slots ?? model.view.run?.concurrency ?? Infinity, 1);
  const freeAt: number[] = [];
  for (const bar of bars) {
    let slot = freeAt.findIndex((at) => at <= bar.start);
    if (slot < 0) slot = freeAt.length < slotsMax ? freeAt.length : freeAt.indexOf(Math.min(...freeAt));
    bar.slot = slot;
    bar.start = Math.min(bar.end, Math.max(bar.start, freeAt[slot] ?? 0));
    freeAt[slot] = bar.end;
    span(running, bar.start, bar.end);
  }
  const marks = [...(model.view.marks ?? [])];
  if (!marks.some((m) => m.kind === "integration"))
    for (const task of model.tasks) for (const i of task.integrations ?? []) marks.push({ at: i.start, until: i.end ?? end, kind: "integration", unit: task.id, text: i.outcome });
  const lanes = new Map<string, Mark[]>();
  for (const m of marks) {
    const kind = m.kind ?? "event";
    if (time(m.at) == null) continue;
    if (!lanes.has(kind)) lanes.set(kind, []);
    lanes.get(kind)!.push(m);
  }
  const limits = (lanes.get("backpressure") ?? []).map((m) => ({ at: m.at!, n: Number(/->\s*(\d+)/.exec(m.text ?? "")?.[1] ?? NaN) }));
  const concurrency = model.view.run?.concurrency;
  const limit = concurrency ? [{ at: 0, n: concurrency }, ...limits.filter((step) => !isNaN(step.n))] : [];
  return { bars, slots: Math.max(freeAt.length, 1), running: sum(running), waiting: sum(waiting), limit, lanes: [...lanes] };
});

function sum(changes: Step[]): Step[] {
  changes.sort((a, b) => a.at - b.at);
  const steps: Step[] = [];
  let n = 0;
  for (const change of changes) {
    n += change.n;
    if (steps.length && steps[steps.length - 1].at === change.at) steps[steps.length - 1].n = n;
    else steps.push({ at: change.at, n });
  }
  return steps;
}

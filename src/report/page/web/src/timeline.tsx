// Attempts over slots and time, drawn on a canvas: ten thousand bars are nothing for it. What it shows is in the table of rows
// and in the table of events too, for those who cannot see it.
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import type { Mark, Model } from "./model";
import { Events } from "./overview";
import { pack, type Bar, type Packed, type Step } from "./packing";
import { get, go, toRow, toTask } from "./place";
import { brief, ms, plural, str, words } from "./text";

const AXIS = 20, LANE = 18, LOAD = 34, GAP = 6;
interface Frame { packed: Packed; from: number; to: number; width: number; gutter: number; slotHeight: number; slotsTop: number; height: number }

function frame(model: Model, end: number, width: number): Frame {
  const packed = pack(model, end);
  const [from, to] = (get("t") ?? "").split("-").map(Number);
  const isZoomed = isFinite(from) && to > from;
  const slotHeight = packed.slots <= 24 ? 20 : packed.slots <= 60 ? 12 : packed.slots <= 200 ? 6 : 3;
  const slotsTop = AXIS + packed.lanes.length * LANE + 2 * LOAD + GAP * 2;
  return {
    packed, width, slotHeight, slotsTop, from: isZoomed ? from : 0, to: isZoomed ? to : end * 1.01, gutter: width < 600 ? 62 : 96,
    height: slotsTop + packed.slots * slotHeight + 4,
  };
}
const peak = (steps: Step[]) => steps.reduce((max, step) => Math.max(max, step.n), 0);
const x = (f: Frame, at: number) => f.gutter + ((at - f.from) / (f.to - f.from)) * (f.width - f.gutter - 2);
const time = (f: Frame, px: number) => f.from + ((px - f.gutter) / (f.width - f.gutter - 2)) * (f.to - f.from);

type Hit = { bar: Bar } | { mark: Mark } | null;
function hit(f: Frame, px: number, py: number): Hit {
  if (px < f.gutter) return null;
  const lane = f.packed.lanes[Math.floor((py - AXIS) / LANE)];
  if (lane && py > AXIS) {
    const near = lane[1].find((m) => px >= x(f, m.at!) - 4 && px <= x(f, m.until ?? m.at!) + 4);
    return near ? { mark: near } : null;
  }
  const slot = Math.floor((py - f.slotsTop) / f.slotHeight);
  let best: Hit = null;
  if (slot >= 0) for (const bar of f.packed.bars) if (bar.slot === slot && px >= x(f, bar.start) - 1 && px <= Math.max(x(f, bar.end), x(f, bar.start) + 2)) best = { bar };
  return best;
}
function describe(hit: NonNullable<Hit>): string[] {
  if ("mark" in hit) {
    const { kind, unit, row, text, at, until } = hit.mark;
    return [words(kind), [brief(unit ?? row, 80), brief(text)].filter(Boolean).join(": "), `at ${ms(at)}${until != null ? ` for ${ms(until - at!)}` : ""}`];
  }
  const { row, attempt, start, end, isOpen } = hit.bar;
  const state = isOpen ? "running" : words(attempt.outcome ?? row.status);
  return [brief(row.id, 100), `attempt ${attempt.n ?? 1}: ${state}, ${ms(end - start)} from ${ms(start)}`, brief(attempt.error, 160)].filter(Boolean);
}

const STYLES: Record<string, string> = { completed: "good", failed: "bad", retry: "warn", rate_limited: "warn", unavailable: "warn" };
const KINDS: Record<string, string> = { integration: "accent", violation: "bad", cancelled: "bad", backpressure: "warn", rate_limited: "warn", budget: "warn" };
function paint(canvas: HTMLCanvasElement, f: Frame, openRow: string | null, drag: [number, number] | null) {
  const ratio = devicePixelRatio || 1, style = getComputedStyle(canvas), colour = (name: string) => style.getPropertyValue("--" + name).trim();
  canvas.width = f.width * ratio;
  canvas.height = f.height * ratio;
  const c = canvas.getContext("2d")!;
  c.scale(ratio, ratio);
  c.font = `11px ${style.fontFamily}`;
  c.textBaseline = "middle";
  const label = (text: string, y: number) => { c.fillStyle = colour("muted"); c.fillText(text, 0, y, f.gutter - 6); };
  // Axis
  const rough = (f.to - f.from) / Math.max(2, (f.width - f.gutter) / (f.width < 600 ? 70 : 110)), power = 10 ** Math.floor(Math.log10(rough));
  const units = rough > 60_000 ? [60_000, 120_000, 300_000, 600_000, 1_800_000, 3_600_000, 7_200_000, 21_600_000, 86_400_000] : [1, 2, 5, 10].map((n) => n * power);
  const unit = units.find((u) => u >= rough) ?? Math.ceil(rough / 86_400_000) * 86_400_000;
  for (let at = Math.ceil(f.from / unit) * unit; at <= f.to; at += unit) {
    c.fillStyle = colour("line");
    c.fillRect(Math.round(x(f, at)), AXIS - 4, 1, f.height);
    c.fillStyle = colour("muted");
    c.fillText(at === 0 ? "0" : ms(at).replace(/(?<= min) 00 s|\.0(?= s)/, ""), x(f, at) - 2, 7);
  }
  c.save();
  // Lanes of marks
  f.packed.lanes.forEach(([kind, marks], i) => {
    const y = AXIS + i * LANE;
    label(words(kind, 20), y + LANE / 2);
    c.fillStyle = colour(KINDS[kind] ?? "muted");
    for (const m of marks) {
      const from = Math.max(x(f, m.at!), f.gutter), to = x(f, m.until ?? m.at!);
      if (to < f.gutter || from > f.width) continue;
      if (to - from > 3) c.fillRect(from, y + 4, to - from, LANE - 8);
      else { c.beginPath(); c.moveTo(from, y + 3); c.lineTo(from + 5, y + LANE / 2); c.lineTo(from, y + LANE - 3); c.lineTo(from - 5, y + LANE / 2); c.fill(); }
    }
  });
  // Load, each to its own scale: rows that run (filled) under the limit (dashes), and rows that wait (line)
  const trace = (steps: Step[], bottom: number, most: number) => {
    const level = (n: number) => bottom - (n / Math.max(1, most)) * (LOAD - 4), inside = (at: number) => Math.max(f.gutter, Math.min(f.width, x(f, at)));
    let y = level(0);
    c.beginPath();
    c.moveTo(f.gutter, y);
    for (const step of steps) {
      c.lineTo(inside(step.at), y);
      c.lineTo(inside(step.at), (y = level(step.n)));
    }
    c.lineTo(inside(f.to), y);
  };
  const [runs, waits] = [f.slotsTop - LOAD - GAP, f.slotsTop - GAP], most = Math.max(peak(f.packed.running), peak(f.packed.limit));
  label(`running, ${peak(f.packed.running)}`, runs - LOAD / 2);
  label(`waiting, ${peak(f.packed.waiting)}`, waits - LOAD / 2);
  trace(f.packed.running, runs, most);
  c.lineTo(f.width, runs);
  c.fillStyle = colour("fill");
  c.fill();
  trace(f.packed.waiting, waits, peak(f.packed.waiting));
  c.strokeStyle = colour("warn");
  c.stroke();
  c.setLineDash([4, 3]);
  trace(f.packed.limit, runs, most);
  c.strokeStyle = colour("muted");
  if (f.packed.limit.length) c.stroke();
  c.setLineDash([]);
  // Slots
  const h = f.slotHeight, every = Math.ceil(14 / h);
  for (let slot = 0; slot < f.packed.slots; slot++) {
    if (slot % every === 0) label(`slot ${slot + 1}`, f.slotsTop + slot * h + Math.min(h, 14) / 2 + 1);
    if (h >= 12) { c.fillStyle = colour("line"); c.fillRect(f.gutter, f.slotsTop + (slot + 1) * h - 1, f.width, 1); }
  }
  c.beginPath(); c.rect(f.gutter, 0, f.width - f.gutter, f.height); c.clip();
  const pad = h >= 12 ? 2 : h >= 6 ? 1 : 0;
  for (const bar of f.packed.bars) {
    const from = x(f, bar.start), width = Math.max(1.2, x(f, bar.end) - from - (h >= 12 ? 0.5 : 0)), y = f.slotsTop + bar.slot * h + pad, inner = h - 2 * pad - (h >= 12 ? 1 : 0);
    if (from + width < f.gutter || from > f.width) continue;
    const kind = bar.isOpen ? "busy" : (STYLES[bar.attempt.outcome ?? str(bar.row.status)] ?? "idle");
    c.fillStyle = colour(kind === "good" ? "bar" : `${kind}-bar`);
    c.fillRect(from, y, width, inner);
    // Beside its colour, what failed has a thick foot, what is tried again a thick end, and what runs an open end.
    c.fillStyle = colour(kind);
    if (kind === "bad") c.fillRect(from, y + inner - Math.max(2, inner / 4), width, Math.max(2, inner / 4));
    if (kind === "warn") c.fillRect(from + width - Math.min(3, width), y, Math.min(3, width), inner);
    if (kind === "busy") { c.setLineDash([3, 2]); c.strokeStyle = colour(kind); c.strokeRect(from, y + 0.5, width, inner - 1); c.setLineDash([]); }
    if (openRow === bar.row.id) { c.lineWidth = 2; c.strokeStyle = colour("text"); c.strokeRect(from, y, width, inner); c.lineWidth = 1; }
    if (inner >= 13 && width > 40) {
      c.fillStyle = colour("text");
      const sign = kind === "bad" ? "✗ " : kind === "warn" ? "↻ " : "";
      const { unit, role, id } = bar.row, n = bar.attempt.n ?? 1, room = Math.floor((width - 8) / 6);
      const text = sign + (unit && role ? `${brief(unit, 40)} ${brief(role, 30)}` : brief(id, 60)) + (n > 1 ? ` (${n})` : "");
      c.fillText(text.length > room ? text.slice(0, Math.max(0, room - 1)) + "…" : text, Math.max(from, f.gutter) + 4, y + inner / 2 + 0.5);
    }
  }
  if (drag) { c.fillStyle = colour("accent"); c.globalAlpha = 0.15; c.fillRect(Math.min(...drag), 0, Math.abs(drag[1] - drag[0]), f.height); }
  c.restore();
}

export function Timeline({ model, theme, printing }: { model: Model; theme: string; printing: boolean }) {
  const canvas = useRef<HTMLCanvasElement>(null), box = useRef<HTMLDivElement>(null), drag = useRef<[number, number] | null>(null);
  const [width, setWidth] = useState(0);
  const [tip, setTip] = useState<{ x: number; y: number; hit: NonNullable<Hit> } | null>(null);
  const [, tick] = useState(0);
  const end = model.end;
  const f = frame(model, end, printing ? 980 : width);
  useLayoutEffect(() => {
    const observer = new ResizeObserver(() => setWidth(box.current!.clientWidth));
    observer.observe(box.current!);
    setWidth(box.current!.clientWidth);
    return () => observer.disconnect();
  }, []);
  const repaint = () => f.width > 0 && paint(canvas.current!, f, get("row"), drag.current);
  useLayoutEffect(() => { repaint(); }, [f.width, model.version, end, get("t"), get("row"), theme, printing]);
  useEffect(() => {
    if (!model.isOpen) return;
    const timer = setInterval(() => tick((n) => n + 1), 1000);
    return () => clearInterval(timer);
  }, [model.isOpen]);

  const zoom = (by: number, shift = 0) => {
    const span = (f.to - f.from) * by, middle = (f.from + f.to) / 2 + shift * (f.to - f.from), from = Math.max(0, middle - span / 2);
    go({ t: span >= end && !shift ? null : `${Math.round(from)}-${Math.round(from + Math.max(span, 2))}` });
  };
  const at = (event: PointerEvent) => { const r = canvas.current!.getBoundingClientRect(); return [event.clientX - r.left, event.clientY - r.top] as const; };
  const onDown = (event: PointerEvent) => {
    const [px] = at(event);
    if (event.pointerType !== "mouse" || px <= f.gutter) return;
    drag.current = [px, px];
    canvas.current!.setPointerCapture(event.pointerId);
    setTip(null);
  };
  const onMove = (event: PointerEvent) => {
    const [px, py] = at(event);
    if (drag.current) { drag.current[1] = px; repaint(); return; }
    const found = hit(f, px, py);
    setTip(found && { x: px, y: py, hit: found });
  };
  const onUp = (event: PointerEvent) => {
    const [from, to] = drag.current ?? [0, 0];
    drag.current = null;
    if (Math.abs(to - from) > 6) { go({ t: `${Math.max(0, Math.round(time(f, Math.min(from, to))))}-${Math.round(time(f, Math.max(from, to)))}` }); return; }
    const found = hit(f, ...at(event));
    if (found && "bar" in found) go(toRow(found.bar.row.id, found.bar.row.wave), "push");
    else if (found?.mark.row) go(toRow(found.mark.row), "push");
    else if (found?.mark.unit) go(toTask(found.mark.unit), "push");
    repaint();
  };
  const { bars, slots } = f.packed;
  return (
    <div class="timeline">
      <div class="toolbar">
        <button onClick={() => zoom(0.5)}>Zoom in</button><button onClick={() => zoom(2)}>Zoom out</button>
        <button onClick={() => zoom(1, -0.5)}>Earlier</button><button onClick={() => zoom(1, 0.5)}>Later</button>
        <button onClick={() => go({ t: null })} disabled={!get("t")}>Whole run</button>
        <p class="legend">
          <span><i class="sw done" />completed</span><span><i class="sw bad" />✗ failed</span><span><i class="sw warn" />↻ tried again</span>
          <span><i class="sw busy" />running</span>
          <span><i class="sw wait" />waiting rows</span><span><i class="sw limit" />concurrency</span>
        </p>
      </div>
      <div class="box" ref={box}>
        <canvas ref={canvas} style={{ width: f.width + "px", height: f.height + "px" }} role="img"
          aria-label={`${plural(bars.length, "attempt")} in ${plural(slots, "slot")} over ${ms(end)}. The view Rows has them as a table.`}
          onPointerDown={onDown}
          onPointerMove={onMove} onPointerUp={onUp} onPointerLeave={() => setTip(null)} />
        {tip && (
          <div class="tip" style={{ left: Math.min(tip.x + 12, Math.max(0, f.width - 330)) + "px", top: tip.y + 14 + "px" }}>{describe(tip.hit).map((line) => <p>{line}</p>)}</div>
        )}
      </div>
      <p class="note">Drag over a span to zoom in; click a bar to open its row. Slots are computed from start and end of the attempts.</p>
      {!printing && <Events marks={model.view.marks} />}
    </div>
  );
}

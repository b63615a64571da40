// Text of workers becomes text nodes only, with what a reader could not see made visible; numbers become short text with units.
import { useState } from "preact/hooks";

// Controls, bidi controls, invisible characters, tags and lone surrogates. Joiners (U+200C, U+200D) stay: emoji and Persian need them.
const UNSEEN =
  /[\0-\x08\x0b-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\u3164\ufeff\uffa0\ufff9-\ufffb\u{e0000}-\u{e0fff}]|\p{Cs}/gu;
const code = (char: string) => `[U+${char.codePointAt(0)!.toString(16).toUpperCase().padStart(4, "0")}]`;

/** Any value as text: strings as they are, nothing as nothing, the rest as JSON. */
export function str(value: unknown): string {
  if (value == null) return "";
  if (typeof value === "string") return value;
  try { return JSON.stringify(value) ?? ""; } catch { return "(nested too deeply)"; }
}
export const visible = (value: unknown) => str(value).replace(/\r\n/g, "\n").replace(UNSEEN, code);
export const visibleWithReturns = (text: string) => text.replace(UNSEEN, code);
/** At most `max` characters on one line, for cells, labels and tooltips. */
export function brief(value: unknown, max = 200): string {
  const text = str(value);
  const line = visible(text.slice(0, max + 1).replace(/\s+/g, " ").trim());
  return text.length > max ? line.slice(0, max) + "…" : line;
}
/** A name of the ledger as words: `rate_limited` is "rate limited". */
export const words = (name: unknown, max = 40) => brief(str(name).replace(/(?<=[a-z])_(?=[a-z])/g, " "), max);
export const list = (value: unknown): unknown[] => (Array.isArray(value) ? value : value == null ? [] : [value]);

const SHOWN_MAX = 20_000;
/** Text of any length, in a fixed or a proportional font. The start comes first, the rest on request. */
export function Long({ text, prose }: { text: unknown; prose?: boolean }) {
  const [all, setAll] = useState(false);
  const whole = str(text);
  const cut = !all && whole.length > SHOWN_MAX;
  return (
    <>
      <pre class={prose ? "prose" : ""}>{visible(cut ? whole.slice(0, SHOWN_MAX) : whole)}</pre>
      {cut && <button onClick={() => setAll(true)}>Show all {count(whole.length)} characters</button>}
    </>
  );
}

export const count = (n?: number | null) => (n == null ? "–" : n.toLocaleString("en-US"));
export const plural = (n: number, one: string, many = one + "s") => `${count(n)} ${n === 1 ? one : many}`;
export const usd = (n?: number | null) => (n == null ? "–" : `$${n.toFixed(n >= 100 || n === 0 ? 0 : n >= 1 ? 2 : 4)}`);
export const tokens = (n?: number | null) =>
  n == null ? "–" : n < 10_000 ? count(n) : n < 1e6 ? `${(n / 1e3).toFixed(1)} k` : `${(n / 1e6).toFixed(2)} M`;
export function ms(n?: number | null): string {
  if (n == null || !isFinite(n)) return "–";
  if (n < 0) return "-" + ms(-n);
  if (n < 1000) return `${Math.round(n)} ms`;
  if (n < 59_950) return `${(n / 1000).toFixed(1)} s`;
  const s = Math.round(n / 1000), pad = (x: number) => String(x).padStart(2, "0");
  return s < 3600 ? `${Math.floor(s / 60)} min ${pad(s % 60)} s` : `${count(Math.floor(s / 3600))} h ${pad(Math.floor((s % 3600) / 60))} min`;
}
export function when(ts?: string | null): string {
  const date = ts ? new Date(ts) : null;
  return date && !isNaN(+date) ? date.toISOString().replace("T", " ").replace(/\.\d+Z$/, " UTC") : "–";
}

// Every state has a mark of its own beside its colour. A state that is not known here is shown as its word.
const MARKS: Record<string, [mark: string, tone: string]> = Object.assign(Object.create(null), {
  completed: ["✓", "good"], applied: ["✓", "good"], accepted: ["✓", "good"], agree: ["✓", "good"], passed: ["✓", "good"],
  failed: ["✗", "bad"], rejected: ["✗", "bad"], disagree: ["✗", "bad"], blocked: ["✗", "bad"], refused: ["✗", "bad"],
  cancelled: ["◼", "bad"], interrupted: ["◼", "warn"], "not ended": ["◼", "warn"], withdrawn: ["◼", "idle"], abandoned: ["◼", "warn"],
  retry: ["↻", "warn"], rate_limited: ["◷", "warn"], unavailable: ["◷", "warn"], plan_conflict: ["!", "warn"],
  restored: ["↶", "warn"], rolled_back: ["↶", "warn"],
  running: ["▸", "busy"], in_progress: ["▸", "busy"], waiting: ["◷", "busy"], pending: ["○", "idle"], absent: ["–", "idle"],
});
export const tone = (state?: unknown) => MARKS[str(state)]?.[1] ?? "idle";
export const mark = (state?: unknown) => MARKS[str(state)]?.[0] ?? "·";
export function State({ of, word }: { of?: unknown; word?: string }) {
  return <span class={`state ${tone(of)}`}><span aria-hidden="true">{mark(of)}</span> {word ?? words(of)}</span>;
}

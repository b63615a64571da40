// Any JSON as a reader likes it: objects as names and values, texts as texts, a patch as a diff.
import { Diff, looksLikeDiff } from "./diff";
import { brief, count, Long, visible } from "./text";

const DEPTH_MAX = 6, ITEMS_MAX = 200;

export function Json({ value, depth = 0 }: { value: unknown; depth?: number }) {
  if (typeof value === "string") {
    if (looksLikeDiff(value)) return <Diff patch={value} />;
    return value.length > 300 || value.includes("\n") ? <Long text={value} prose /> : <span class="text">{visible(value)}</span>;
  }
  if (value == null || typeof value !== "object") return <code>{String(value)}</code>;
  if (depth >= DEPTH_MAX) return <Long text={value} />;
  const entries = Array.isArray(value) ? [] : Object.entries(value);
  if (Array.isArray(value)) {
    if (!value.length) return <span class="muted">none</span>;
    return (
      <ul class="json">
        {value.slice(0, ITEMS_MAX).map((item) => <li><Json value={item} depth={depth + 1} /></li>)}
        {value.length > ITEMS_MAX && <li class="muted">and {count(value.length - ITEMS_MAX)} more</li>}
      </ul>
    );
  }
  if (!entries.length) return <span class="muted">empty</span>;
  return (
    <dl class="json">{entries.slice(0, ITEMS_MAX).map(([name, item]) => <><dt>{brief(name, 200)}</dt><dd><Json value={item} depth={depth + 1} /></dd></>)}
      {entries.length > ITEMS_MAX && <dd class="muted">and {count(entries.length - ITEMS_MAX)} more</dd>}</dl>
  );
}

// The table of rows. Only the rows in sight are in the document, so that it stays fluent at any length.
import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { looksLikeDiff } from "./diff";
import { kept, type Model, type Row } from "./model";
import { get, go, href, toRow } from "./place";
import { facets, select, termValue, withTerm } from "./query";
import { brief, count, list, ms, plural, State, str, tokens, usd } from "./text";

const OVERSCAN = 8;
const narrow = matchMedia("(max-width: 700px)");

const briefs = new WeakMap<Row, string>();
/** What failed, else the first words of the answer. */
export function gist(row: Row): string {
  let text = briefs.get(row);
  if (text == null) {
    const result = row.result as Record<string, unknown> | null;
    if (row.error || row.code) text = brief(row.error ?? row.code, 300);
    else if (result && typeof result === "object" && !Array.isArray(result))
      text = words(result);
    else text = brief(result, 300);
    briefs.set(row, text);
  }
  return text;
}

/** The first values that are words or numbers, or lists of them; a patch and what is nested say little in a line. */
function words(result: Record<string, unknown>): string {
  const firsts = Object.entries(result).map(([name, value]) => [name, list(value)[0]] as const);
  const plain = firsts.filter(([, value]) => value != null && typeof value !== "object" && !(typeof value === "string" && looksLikeDiff(value)));
  return (plain.length ? plain : firsts).slice(0, 3).map(([name, value]) => `${brief(name, 40)}: ${brief(value, 150)}`).join(" · ");
}

interface Column { key: string; head: string; cell: (row: Row) => preact.ComponentChild; number?: boolean; hide?: (model: Model) => boolean }
const COLUMNS: Column[] = [
  { key: "status", head: "Status", cell: (row) => <State of={row.status} /> },
  { key: "id", head: "Row", cell: (row) => <a href={href(toRow(row.id, row.wave))} tabIndex={-1}>{brief(row.id, 120)}</a> },
  { key: "attempts", head: "Attempts", number: true, cell: (row) => count(row.attempts?.length ?? 0) },
  { key: "start", head: "Start", number: true, cell: (row) => ms(row.attempts?.[0]?.start) },
  { key: "time", head: "Time", number: true, cell: (row) => ms(row.wall_ms) },
  { key: "cost", head: "Cost", number: true, cell: (row) => usd(row.cost_usd), hide: (m) => !m.rows.some((row) => row.cost_usd != null) },
  { key: "tokens", head: "Tokens", number: true, cell: (row) => tokens(row.tokens), hide: (m) => !m.rows.some((row) => row.tokens != null) },
  { key: "code", head: "Failure, or answer", cell: gist },
];

const longestId = kept((model) => model.rows.reduce((longest, row) => Math.max(longest, str(row.id).length), 0));

/** The row that the keyboard is on: the open one, else the last one that was. */
let cursor: Row | undefined;
export const selection = (model: Model) => select(model, get("q") ?? "", get("sort") ?? "");
export function move(model: Model, by: number) {
  const rows = selection(model);
  const open = model.row(get("row"), get("wave"));
  const at = rows.findIndex((row) => row === (open ?? (cursor && model.row(cursor.id, cursor.wave == null ? null : String(cursor.wave)))));
  cursor = rows[Math.max(0, Math.min(rows.length - 1, at + by))];
  if (open && cursor) go(toRow(cursor.id, cursor.wave));
}
export const openCursor = () => cursor && go(toRow(cursor.id, cursor.wave), "push");

export function Rows({ model, printing }: { model: Model; printing: boolean }) {
  const rows = selection(model);
  const columns = COLUMNS.filter((column) => !column.hide?.(model));
  const grid = useRef<HTMLDivElement>(null);
  const [scroll, setScroll] = useState({ top: 0, height: innerHeight });
  const [, again] = useState(0);
  const height = narrow.matches ? 50 : 27;
  const open = model.row(get("row"), get("wave"));
  if (open) cursor = open;
  const idWidth = `${Math.min(36, Math.max(12, longestId(model) + 1))}ch`;
  const at = cursor ? rows.indexOf(cursor) : -1;

  const measure = () => grid.current && setScroll({ top: grid.current.scrollTop, height: grid.current.clientHeight });
  useLayoutEffect(() => {
    measure();
    const observer = new ResizeObserver(measure);
    observer.observe(grid.current!);
    return () => observer.disconnect();
  }, []);
  // With the new rows, not after them: the reader may have scrolled by then.
  useLayoutEffect(() => { grid.current!.scrollTop = 0; }, [get("q"), get("sort")]);
  const reveal = () => {
    const box = grid.current!, index = cursor ? selection(model).indexOf(cursor) : -1, head = box.firstElementChild!.clientHeight;
    if (index < 0) return;
    if (index * height < box.scrollTop) box.scrollTop = index * height;
    else if ((index + 1) * height > box.scrollTop + box.clientHeight - head) box.scrollTop = (index + 1) * height - box.clientHeight + head;
  };
  useLayoutEffect(reveal, [open, height]);

  const onKey = (event: KeyboardEvent) => {
    const page = Math.max(1, Math.floor(scroll.height / height) - 2);
    const steps: Record<string, number> = { ArrowDown: 1, ArrowUp: -1, j: 1, k: -1, PageDown: page, PageUp: -page, End: rows.length, Home: -rows.length };
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Enter" && event.target === grid.current) openCursor();
    else if (Object.hasOwn(steps, event.key)) { move(model, steps[event.key]); reveal(); again((n) => n + 1); }
    else return;
    event.preventDefault();
    event.stopPropagation();
  };
  const first = printing ? 0 : Math.max(0, Math.floor(scroll.top / height) - OVERSCAN);
  const last = printing ? Math.min(rows.length, 1000) : Math.min(rows.length, Math.ceil((scroll.top + scroll.height) / height) + OVERSCAN);
  return (
    <section class="rows" aria-label="Rows">
      <Filters model={model} shown={rows.length} />
      <div class={`grid c${columns.length}`} role="grid" aria-label={plural(rows.length, "row")} aria-rowcount={rows.length + 1} aria-colcount={columns.length}
        tabIndex={0} style={{ "--id": idWidth }}
        aria-activedescendant={at >= first && at < last ? `row-${at}` : undefined} ref={grid} onScroll={measure} onKeyDown={onKey}>
        <div role="rowgroup" class="head"><div role="row" aria-rowindex={1}>{columns.map((column) => <Head column={column} />)}</div></div>
        <div role="rowgroup" class="sheet" style={{ height: printing ? "auto" : rows.length * height + "px" }}>
          {rows.slice(first, last).map((row, i) => (
            <div role="row" key={first + i} id={`row-${first + i}`} aria-rowindex={first + i + 2} aria-selected={first + i === at} class={(first + i) % 2 ? "odd" : ""}
              style={printing ? {} : { transform: `translateY(${(first + i) * height}px)`, height: height + "px" }}
              onClick={(event) => (event.target as Element).tagName !== "A" && go(toRow(row.id, row.wave), get("row") ? "replace" : "push")}>
              {columns.map((column) => <div role="gridcell" class={`c-${column.key}${column.number ? " n" : ""}`}>{column.cell(row)}</div>)}
            </div>
          ))}
        </div>
      </div>
      {!rows.length && <p class="empty">{model.rows.length ? "No row matches." : "The run has no rows yet."}</p>}
      {printing && last < rows.length && <p>The first {count(last)} of {count(rows.length)} rows.</p>}
    </section>
  );
}

function Head({ column: { key, head, number } }: { column: Column }) {
  const sort = get("sort") ?? "";
  const direction = sort === key ? "ascending" : sort === "-" + key ? "descending" : undefined;
  const next = direction === "ascending" ? "-" + key : direction === "descending" ? null : key;
  return (
    <div role="columnheader" class={`c-${key}${number ? " n" : ""}`} aria-sort={direction ?? "none"}>
      <button onClick={() => go({ sort: next })}>{head}<span aria-hidden="true">{direction === "ascending" ? " ▴" : direction ? " ▾" : ""}</span></button>
    </div>
  );
}

function Filters({ model, shown }: { model: Model; shown: number }) {
  const query = get("q") ?? "";
  const set = (q: string) => go({ q: q || null, view: "rows" });
  return (
    <form class="filters" role="search" onSubmit={(event) => event.preventDefault()}>
      <input id="search" type="search" placeholder="Search: words, status:failed, seconds>60" aria-label="Search rows" value={query} autocomplete="off" spellcheck={false}
        onInput={(event) => set(event.currentTarget.value)} />
      {facets(model).map(([key, values]) => values.length > 1 || termValue(query, key) ? (
        <select aria-label={key} value={termValue(query, key)} onChange={(event) => set(withTerm(query, key, event.currentTarget.value))}>
          <option value="">any {key}</option>
          {values.slice(0, 200).map(([value, n]) => <option value={value.toLowerCase()}>{brief(value, 50)} ({count(n)})</option>)}
        </select>
      ) : null)}
      {query && <button type="button" onClick={() => set("")}>Clear</button>}
      <output>{shown === model.rows.length ? plural(shown, "row") : `${count(shown)} of ${plural(model.rows.length, "row")}`}</output>
    </form>
  );
}

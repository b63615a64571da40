// What the search box means: words that a row must contain, `key:value`, `key>number`, `key<number`, and `-` before any of them for "not".
import { kept, type Row } from "./model";
import { str } from "./text";

interface Term { key: string; op: string; value: string; not: boolean }
const NUMBERS: Record<string, (row: Row) => number> = {
  attempts: (row) => row.attempts?.length ?? 0, ms: (row) => row.wall_ms ?? 0, seconds: (row) => (row.wall_ms ?? 0) / 1000,
  cost: (row) => row.cost_usd ?? 0, tokens: (row) => row.tokens ?? 0, wave: (row) => row.wave ?? -1, start: (row) => row.attempts?.[0]?.start ?? 0,
};
const TEXTS: Record<string, (row: Row) => unknown> = {
  id: (row) => row.id, status: (row) => row.status, task: (row) => row.unit, round: (row) => row.round, role: (row) => row.role,
  adapter: (row) => row.adapter, code: (row) => row.code, verdict: (row) => row.verdict?.verdict,
};
export const FILTERS = ["status", "code", "task", "round", "role", "adapter"];

export function parse(query: string): Term[] {
  return [...query.matchAll(/(-?)(?:(\w+)([:<>]))?(?:"([^"]*)"?|(\S+))/g)].map(([whole, not, key, op, quoted, bare]) => {
    const value = (quoted ?? bare ?? "").toLowerCase();
    if (key && (op === ":" ? Object.hasOwn(TEXTS, key) || Object.hasOwn(NUMBERS, key) : Object.hasOwn(NUMBERS, key) && !isNaN(+value)))
      return { key, op, value, not: !!not };
    return { key: "", op: "", value: key ? whole.slice(not.length).toLowerCase() : value, not: !!not };
  });
}
const termText = ({ key, op, value, not }: Term) => (not ? "-" : "") + key + op + (/\s/.test(value) || !value ? `"${value}"` : value);
export const termValue = (query: string, key: string) => parse(query).find((term) => term.key === key && term.op === ":" && !term.not)?.value ?? "";
/** The query with `key:value` in place of what it had for that key, or without it. */
export function withTerm(query: string, key: string, value: string): string {
  const others = parse(query).filter((term) => term.key !== key || term.op !== ":");
  return (value ? [{ key, op: ":", value, not: false }, ...others] : others).map(termText).join(" ");
}

// All that is searched of a row, in lower case, made when a row is first searched.
const haystacks = new WeakMap<Row, string>();
function haystack(row: Row): string {
  let text = haystacks.get(row);
  if (text == null) {
    const attempts = (row.attempts ?? []).map((a) => str(a.error));
    text = [row.id, row.unit, row.round, row.role, row.status, row.code, row.error, row.result, ...Object.values(row.input ?? {}), row.prompt, ...attempts]
      .map(str).join("\n").toLowerCase();
    haystacks.set(row, text);
  }
  return text;
}
function holds(term: Term, row: Row): boolean {
  if (!term.key) return haystack(row).includes(term.value);
  const number = Object.hasOwn(NUMBERS, term.key) ? NUMBERS[term.key](row) : NaN;
  if (term.op === ">") return number > +term.value;
  if (term.op === "<") return number < +term.value;
  if (!Object.hasOwn(TEXTS, term.key)) return number === +term.value;
  const text = str(TEXTS[term.key](row)).toLowerCase();
  return term.key === "id" ? text.includes(term.value) : text === term.value;
}

export const SORTS: Record<string, (row: Row) => string | number> = {
  status: (row) => str(row.status), id: (row) => row.id, attempts: NUMBERS.attempts, start: NUMBERS.start, time: NUMBERS.ms,
  cost: NUMBERS.cost, tokens: NUMBERS.tokens, code: (row) => str(row.code),
};
/** The rows that a query selects, in the order of `sort`: a key of `SORTS`, with `-` before it for descending. */
export const select = kept((model, query: string, sort: string): Row[] => {
  const terms = parse(query);
  const rows = terms.length ? model.rows.filter((row) => terms.every((term) => holds(term, row) !== term.not)) : model.rows.slice();
  const name = sort.replace(/^-/, ""), sign = sort.startsWith("-") ? -1 : 1;
  if (!Object.hasOwn(SORTS, name)) return rows;
  const texts = new Intl.Collator("en", { numeric: true });
  return rows
    .map((row) => [SORTS[name](row), row] as const)
    .sort(([a], [b]) => sign * (typeof a === "number" ? a - (b as number) : texts.compare(a, b as string)))
    .map(([, row]) => row);
});
/** How many rows have each value of each filter. */
export const facets = kept((model) =>
  FILTERS.map((key) => {
    const counts = new Map<string, number>();
    for (const row of model.rows) {
      const value = str(TEXTS[key](row));
      if (value) counts.set(value, (counts.get(value) ?? 0) + 1);
    }
    return [key, [...counts].sort((a, b) => b[1] - a[1])] as const;
  }),
);

// Where the reader is: the view, the query, the sort, the open row or task. It lives in the fragment of the address, and nowhere else.
export type Key = "view" | "q" | "sort" | "row" | "wave" | "task" | "t";
type Changes = Partial<Record<Key, string | null>>;

let current = new URLSearchParams(location.hash.slice(1));
let changed = () => {};
export const get = (key: Key) => current.get(key);

/** The address of another place, for links. */
export function href(changes: Changes): string {
  const next = new URLSearchParams(current);
  for (const [name, value] of Object.entries(changes)) value ? next.set(name, value) : next.delete(name);
  return "#" + next;
}
export function go(changes: Changes, how: "push" | "replace" = "replace") {
  const to = href(changes);
  if (to === "#" + current) return;
  current = new URLSearchParams(to.slice(1));
  // Browsers refuse when an address changes too often; the page goes on without.
  try { history[how === "push" ? "pushState" : "replaceState"](null, "", to); } catch { /* The next change will be recorded. */ }
  changed();
}
function read() {
  current = new URLSearchParams(location.hash.slice(1));
  changed();
}
export function onChange(listener: () => void) {
  changed = listener;
  addEventListener("hashchange", read);
  addEventListener("popstate", read);
}

export const toRow = (id: string, wave?: number | null): Changes => ({ row: id, wave: wave == null ? null : String(wave), task: null });
export const toTask = (id: string): Changes => ({ task: id, row: null, wave: null });
export const toRows = (q: string): Changes => ({ view: "rows", q, row: null, wave: null, task: null });
export const closed: Changes = { row: null, wave: null, task: null };
export const view = () => get("view") ?? (get("row") ? "rows" : get("task") ? "plan" : get("q") != null ? "rows" : "overview");

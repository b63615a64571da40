// The data that the program hands to the page. Every key may be absent; texts come from workers and are never trusted.
export interface Attempt {
  n?: number; start?: number; end?: number | null; outcome?: string | null; error?: string | null; exit_code?: number | null; signal?: number | null;
  via?: string | null; cost_usd?: number | null; tokens?: number | null; log?: string | null; log_path?: string | null;
}
export interface Row {
  id: string; wave?: number | null; index?: number; unit?: string | null; round?: string | null; role?: string | null; adapter?: string | null;
  status?: string; attempts?: Attempt[] | null; wall_ms?: number | null; cost_usd?: number | null; tokens?: number | null;
  code?: string | null; error?: string | null; verdict?: { verdict?: string; code?: string; detail?: string; checks?: unknown } | null;
  input?: Record<string, unknown> | null; prompt?: string | null; result?: unknown; retry?: string | null; cut?: boolean | null;
}
export interface Vote { number?: number; agree?: number; disagree?: number; absent?: number; threshold?: number; lines?: { role?: string; vote?: string; reason?: string }[] | null }
export interface Critique { role?: string; findings?: unknown; must_fix?: unknown; flip_conditions?: unknown; risk?: string | null }
export interface Decision { point?: string; action?: string; reason?: string }
export interface Validation { command?: string; outcome?: string; passed?: boolean; stage?: string; duration_ms?: number | null; key_line?: string | null; output?: string | null }
export interface Task {
  id: string; title?: string | null; deps?: string[] | null; state?: string; reason?: string | null; detail?: string | null; risk?: string | null; scope?: unknown;
  protocol?: string | null; votes?: Vote[] | null; proposal?: unknown; critiques?: Critique[] | null; decisions?: Decision[] | null; patch?: string | null;
  changed_paths?: unknown; validation?: Validation[] | null; integrations?: { start?: number; end?: number | null; outcome?: string | null }[] | null;
  commit?: { id?: string; branch?: string } | null; cost_usd?: number | null; tokens?: number | null;
}
export interface Mark { at?: number; until?: number | null; kind?: string; unit?: string | null; row?: string | null; text?: string | null }
export interface Group { name?: string; rows?: number; failed?: number; worker_ms?: number | null; cost_usd?: number | null }
export interface FanOut {
  asked?: number; attempts?: number; seconds?: number; ready_seconds?: number; reached?: number | null; reached_share?: number | null;
  busy_slot_seconds?: number; idle_slot_seconds?: Record<string, number>;
}
export interface View {
  v?: number; live?: boolean;
  /** So many rows of the run are not in `rows`. */
  omitted?: number;
  run?: {
    id?: string; kind?: string; status?: string; detail?: string | null; exit_code?: number | null; started?: string | null; ended?: string | null; root?: string | null;
    adapter?: string | null; concurrency?: number | null; slots?: number | null; mesh_version?: string | null; resume?: string | null; input?: string | null; instruction?: string | null;
  };
  totals?: {
    rows?: number; pending?: number; running?: number; completed?: number; failed?: number; attempts?: number; retries?: number; timeouts?: number; wall_ms?: number | null;
    worker_ms?: number | null; cost_usd?: number | null; input_tokens?: number | null; output_tokens?: number | null; longest_path?: { ms?: number; tasks?: string[] } | null;
  };
  /** How many rows ran at once while rows were ready, and why not more; not for rows that ran elsewhere. */
  fan_out?: FanOut | null;
  by?: { status?: Group[]; code?: Group[]; role?: Group[]; adapter?: Group[] };
  rows?: Row[]; tasks?: Task[]; marks?: Mark[]; violations?: unknown[];
  waves?: { no?: number; round?: string; csv?: string; start?: number | null; end?: number | null; rows?: number; max_concurrency?: number }[];
}

/** A time in milliseconds, if it is one. */
export const time = (at: unknown) => (typeof at === "number" && isFinite(at) ? at : undefined);
const key = (wave: unknown, id: unknown) => `${wave ?? ""}\n${id}`;

/** A run as the page knows it. `version` grows with each change, so that whatever is derived from it can be kept until then. */
export class Model {
  view: View = {};
  rows: Row[] = [];
  tasks: Task[] = [];
  version = 0;
  private places = new Map<string, number>();
  private byId = new Map<string, number>();

  constructor(view: View | null) {
    this.setView(view ?? {});
    this.putRows(view?.rows ?? []);
  }
  setView(view: View) {
    this.view = { ...view, rows: undefined };
    this.tasks = (view.tasks ?? []).filter((task) => task?.id != null);
    this.version++;
  }
  putRows(rows: Row[]) {
    for (const row of rows) {
      if (row?.id == null) continue;
      const at = this.places.get(key(row.wave, row.id));
      if (at != null) { this.rows[at] = row; continue; }
      this.places.set(key(row.wave, row.id), this.rows.length);
      if (!this.byId.has(row.id)) this.byId.set(row.id, this.rows.length);
      this.rows.push(row);
    }
    this.version++;
  }
  row(id: string | null, wave?: string | null): Row | undefined {
    const at = wave != null ? this.places.get(key(wave, id)) : this.byId.get(id ?? "");
    return at == null ? undefined : this.rows[at];
  }
  task(id: string | null) {
    return this.tasks.find((task) => task.id === id);
  }
  get isOpen() {
    return this.view.live === true && !this.view.run?.ended;
  }
  /** The last moment of the run, in milliseconds since its start. */
  get end(): number {
    const { started, ended } = this.view.run ?? {};
    // In quarters of a second, so that what is derived from it is kept for as long.
    if (this.isOpen && started) return Math.max(0, Math.ceil((Date.now() - +new Date(started)) / 250) * 250);
    let end = started && ended ? +new Date(ended) - +new Date(started) : (this.view.totals?.wall_ms ?? 0);
    for (const row of this.rows) for (const a of row.attempts ?? []) end = Math.max(end, time(a.end) ?? time(a.start) ?? 0);
    return Math.max(1, end || 0);
  }
}

/** Keeps the last value of a function of the model until the model, or another argument, changes. */
export function kept<A extends unknown[], T>(compute: (model: Model, ...args: A) => T) {
  let last: { model: Model; version: number; args: A; value: T } | undefined;
  return (model: Model, ...args: A): T => {
    if (last?.model !== model || last.version !== model.version || args.some((arg, i) => arg !== last!.args[i]))
      last = { model, version: model.version, args, value: compute(model, ...args) };
    return last.value;
  };
}

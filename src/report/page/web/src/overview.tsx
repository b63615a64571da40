// The first view: what became of the run, what it took, and what needs a look.
import { isValidElement } from "preact";
import type { FanOut, Group, Mark, Model } from "./model";
import { href, toRow, toRows, toTask } from "./place";
import { select, withTerm } from "./query";
import { gist } from "./rows";
import { brief, count, Long, mark, ms, plural, State, str, tokens, tone, usd, visible, when, words } from "./text";

const FAILED_SHOWN = 8;
const MARKS_SHOWN = 200;

export function Overview({ model }: { model: Model }) {
  const { run = {}, by = {}, violations = [], marks = [], waves = [] } = model.view;
  return (
    <div class="overview">
      <Figures model={model} />
      <Progress model={model} />
      <div class="columns">
        <Failures model={model} />
        <Groups title="Failures by code" of="code" groups={by.code} />
        <Groups title="Roles" of="role" groups={by.role} />
        {(by.adapter?.length ?? 0) > 1 && <Groups title="Adapters" of="adapter" groups={by.adapter} />}
        <FanOutReceipt of={model.view.fan_out} />
        {violations.length > 0 && <section><h2>Violations</h2><ul>{violations.map((text) => <li>{brief(text, 2000)}</li>)}</ul></section>}
        <section>
          <h2>Run</h2>
          <dl class="facts">
            <Fact name="Started" value={when(run.started)} /><Fact name="Ended" value={run.ended && when(run.ended)} />
            <Fact name="Adapter" value={run.adapter} /><Fact name="Concurrency" value={run.concurrency} /><Fact name="Folder" value={run.root} />
            <Fact name="Input" value={run.input} /><Fact name="mesh" value={run.mesh_version} />
            {run.resume && <div><dt>Resume</dt><dd><Command text={run.resume} /></dd></div>}
          </dl>
          {run.instruction && <details><summary>Instruction</summary><Long text={run.instruction} /></details>}
        </section>
        {waves.length > 0 && (
          <section class="wide"><details open={waves.length <= 12}><summary><h2>{plural(waves.length, "wave")}</h2></summary>
            <table><thead><tr><th class="n">Wave</th><th>Round</th><th class="n">Rows</th><th class="n">Start</th><th class="n">Time</th><th>File</th></tr></thead>
              <tbody>{waves.slice(0, 500).map((wave) => (
                <tr><td class="n"><a href={href(toRows(`wave:${wave.no}`))}>{count(wave.no)}</a></td><td>{brief(wave.round)}</td><td class="n">{count(wave.rows)}</td>
                  <td class="n">{ms(wave.start)}</td><td class="n">{wave.end != null && wave.start != null ? ms(wave.end - wave.start) : "–"}</td>
                  <td class="mono">{brief(wave.csv)}</td></tr>
              ))}</tbody></table></details></section>
        )}
        <Events marks={marks} />
      </div>
    </div>
  );
}

export function Fact({ name, value }: { name: string; value: unknown }) {
  if (value == null || value === "") return null;
  const isElement = typeof value === "object" && isValidElement(value);
  return <div><dt>{name}</dt><dd>{isElement ? value : brief(value, 2000)}</dd></div>;
}
export function Command({ text }: { text: string }) {
  const copy = (event: MouseEvent) => {
    const button = event.currentTarget as HTMLButtonElement;
    navigator.clipboard?.writeText(text).then(() => { button.textContent = "Copied"; }, () => { button.textContent = "Not copied"; });
  };
  return <span class="command"><code>{visible(text)}</code> <button onClick={copy} aria-label="Copy the command">Copy</button></span>;
}

function Figures({ model }: { model: Model }) {
  const { totals: t = {}, run = {} } = model.view;
  const saved = t.worker_ms != null && t.wall_ms ? t.worker_ms - t.wall_ms : null;
  const path = t.longest_path;
  const used = t.input_tokens != null || t.output_tokens != null;
  return (
    <dl class="figures">
      <Figure name="Rows" value={count(t.rows ?? model.rows.length)} note={[t.failed && `${count(t.failed)} failed`, run.concurrency && `${run.concurrency} at once`]} />
      {model.tasks.length > 0 && <Figure name="Tasks" value={`${count(model.tasks.filter((task) => task.state === "completed").length)} of ${count(model.tasks.length)}`}
        note={[count(model.tasks.filter((task) => task.state === "blocked").length) + " blocked"]} />}
      <Figure name={model.isOpen ? "Running for" : "Took"} value={ms(model.isOpen ? model.end : t.wall_ms)} note={[t.worker_ms != null && `${ms(t.worker_ms)} of work`]} />
      {saved != null && <Figure name="Saved by concurrency" value={saved > 0 ? ms(saved) : "nothing"} note={[saved > 0 && `${(t.worker_ms! / t.wall_ms!).toFixed(1)} times as fast`]} />}
      {path?.ms != null && <Figure name="Longest path" value={ms(path.ms)} note={[path.tasks?.length ? <PathLinks tasks={path.tasks} /> : null]} />}
      <Figure name="Attempts" value={count(t.attempts)} note={[plural(t.retries ?? 0, "retry", "retries"), plural(t.timeouts ?? 0, "timeout")]} />
      <Figure name="Cost" value={t.cost_usd == null ? "not reported" : usd(t.cost_usd)} note={[used && `${tokens(t.input_tokens)} in, ${tokens(t.output_tokens)} out`]} />
    </dl>
  );
}
function Figure({ name, value, note }: { name: string; value: string; note: preact.ComponentChild[] }) {
  const notes = note.filter(Boolean);
  return <div><dt>{name}</dt><dd><strong>{value}</strong>{notes.length > 0 && <small>{notes.map((n, i) => <>{i > 0 && ", "}{n}</>)}</small>}</dd></div>;
}
function PathLinks({ tasks }: { tasks: string[] }) {
  const shown = tasks.length > 4 ? [...tasks.slice(0, 2), "", tasks[tasks.length - 1]] : tasks;
  return <>{shown.map((id, i) => <>{i > 0 && " → "}{id ? <a href={href(toTask(id))}>{brief(id, 40)}</a> : "…"}</>)}</>;
}

function Progress({ model }: { model: Model }) {
  const { totals: t = {} } = model.view;
  const parts = (["completed", "failed", "running", "pending"] as const).map((name) => [name, t[name] ?? 0] as const).filter(([, n]) => n > 0);
  if (!parts.length) return null;
  return (
    <div class="progress">
      <div class="bar" aria-hidden="true">{parts.map(([name, n]) => <span class={tone(name)} style={{ flexGrow: n }} />)}</div>
      <p>{parts.map(([name, n]) => <a class={tone(name)} href={href(toRows(`status:${name}`))}><span aria-hidden="true">{mark(name)}</span> {count(n)} {name}</a>)}</p>
    </div>
  );
}

function Failures({ model }: { model: Model }) {
  const failed = select(model, "status:failed", "");
  const blocked = model.tasks.filter((task) => task.state && !["completed", "pending", "in_progress"].includes(task.state));
  if (!failed.length && !blocked.length) return null;
  return (
    <section class="wide"><h2>What failed</h2>
      <ul class="failures">
        {blocked.map((task) => (
          <li><State of={task.state} /> <a href={href(toTask(task.id))}>{brief(task.id, 80)}</a> <span>{brief([task.reason, task.detail].filter(Boolean).join(": "), 300)}</span></li>
        ))}
        {failed.slice(0, FAILED_SHOWN).map((row) => <li><State of="failed" /> <a href={href(toRow(row.id, row.wave))}>{brief(row.id, 80)}</a> <span>{gist(row)}</span></li>)}
      </ul>
      {failed.length > FAILED_SHOWN && <p><a href={href(toRows("status:failed"))}>All {count(failed.length)} failed rows</a></p>}
    </section>
  );
}

function Groups({ title, of, groups = [] }: { title: string; of: string; groups?: Group[] }) {
  if (!groups.length) return null;
  const most = Math.max(...groups.map((group) => group.rows ?? 0), 1);
  const has = (key: "failed" | "worker_ms" | "cost_usd") => groups.some((group) => group[key] != null);
  return (
    <section><h2>{title}</h2>
      <table class="groups">
        <thead><tr><th>{of}</th><th class="n">Rows</th><th><span class="hidden">Share</span></th>
          {has("failed") && <th class="n">Failed</th>}{has("worker_ms") && <th class="n">Time</th>}{has("cost_usd") && <th class="n">Cost</th>}</tr></thead>
        <tbody>{groups.slice(0, 20).map((group) => (
          <tr><td><a href={href(toRows(withTerm("", of, str(group.name))))}>{brief(group.name, 60)}</a></td><td class="n">{count(group.rows)}</td>
            <td class="share"><span style={{ width: `${(100 * (group.rows ?? 0)) / most}%` }} /></td>
            {has("failed") && <td class={`n${group.failed ? " bad" : ""}`}>{count(group.failed)}</td>}{has("worker_ms") && <td class="n">{ms(group.worker_ms)}</td>}
            {has("cost_usd") && <td class="n">{usd(group.cost_usd)}</td>}</tr>
        ))}</tbody>
      </table>
    </section>
  );
}

const CAUSES: Record<string, string> = {
  stopping: "the run was stopping", limits: "a limit of the service or the account", backpressure: "backpressure", integration: "a patch was applied or validated",
  start: "a process was being started", retries: "rows waited for another attempt", scopes: "tasks with meeting scopes", task_limit: "tasks beyond parallel_tasks",
  dependencies: "tasks with open dependencies", rounds: "the next round needs rows that run", no_rows: "no rows left",
};
function FanOutReceipt({ of }: { of?: FanOut | null }) {
  if (!of) return null;
  const idle = Object.entries(of.idle_slot_seconds ?? {}).sort(([, a], [, b]) => b - a);
  const busy = of.busy_slot_seconds ?? 0;
  const all = idle.reduce((sum, [, seconds]) => sum + seconds, busy);
  const line = (name: string, seconds: number) => (
    <tr><td>{name}</td><td class="n">{ms(seconds * 1000)}</td><td class="share"><span style={{ width: `${(100 * seconds) / Math.max(all, 1e-9)}%` }} /></td></tr>
  );
  return (
    <section><h2>Fan-out</h2>
      <p>{of.reached != null && of.reached_share != null
        ? `${of.reached.toFixed(1)} of ${count(of.asked)} rows at once while rows were ready: ${(100 * of.reached_share).toFixed(1)} %.`
        : `No row had to wait for one of ${count(of.asked)} slots.`}</p>
      <table class="groups"><thead><tr><th>Slots</th><th class="n">Slot time</th><th><span class="hidden">Share</span></th></tr></thead>
        <tbody>{line("busy", busy)}{idle.map(([cause, seconds]) => line(`idle: ${CAUSES[cause] ?? words(cause)}`, seconds))}</tbody></table>
    </section>
  );
}

export function Events({ marks = [], title = "Events" }: { marks?: Mark[]; title?: string }) {
  if (!marks.length) return null;
  return (
    <section class="wide"><h2>{title}</h2>
      <table class="events"><thead><tr><th class="n">At</th><th class="n">For</th><th>Event</th><th>What</th></tr></thead>
        <tbody>{marks.slice(0, MARKS_SHOWN).map((m) => (
          <tr><td class="n">{ms(m.at)}</td><td class="n">{m.until != null && m.at != null ? ms(m.until - m.at) : ""}</td><td class="kind">{words(m.kind)}</td>
            <td>{m.row ? <a href={href(toRow(m.row))}>{brief(m.row, 60)}</a> : m.unit ? <a href={href(toTask(m.unit))}>{brief(m.unit, 60)}</a> : null} {brief(m.text, 300)}</td></tr>
        ))}</tbody></table>
      {marks.length > MARKS_SHOWN && <p>The first {count(MARKS_SHOWN)} of {count(marks.length)}.</p>}
    </section>
  );
}

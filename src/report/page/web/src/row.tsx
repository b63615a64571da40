// One row: what it was asked, what it answered, each attempt, what it took.
import { Diff } from "./diff";
import { Drawer, Section, useWhole } from "./drawer";
import { Json } from "./json";
import type { Attempt, Model, Row } from "./model";
import { Command, Fact } from "./overview";
import { href, toTask } from "./place";
import { move } from "./rows";
import { brief, count, Long, ms, plural, State, str, tokens, usd, words } from "./text";

export function RowDrawer({ model, row: known }: { model: Model; row: Row }) {
  const row = useWhole(known, model.view.live ? `row?${known.wave == null ? "" : `wave=${known.wave}&`}id=${encodeURIComponent(known.id)}` : null);
  const result = row.result as Record<string, unknown> | null | undefined;
  const patch = result && typeof result === "object" && typeof result.patch === "string" ? result.patch : null;
  const rest = patch && result ? Object.fromEntries(Object.entries(result).filter(([name]) => name !== "patch")) : result;
  const attempts = row.attempts ?? [];
  return (
    <Drawer name="row" title={brief(row.id, 300)} onStep={(by) => move(model, by)}>
      <p class="lead"><State of={row.status} />{row.error || row.code ? <span class="bad">{brief(row.error ?? row.code, 1000)}</span> : null}</p>
      {row.cut && <p class="note">Long texts of this row are cut here. The files of the run have them whole.</p>}
      <dl class="facts">
        <Fact name="Task" value={row.unit && model.task(row.unit) ? <a href={href(toTask(row.unit))}>{brief(row.unit, 80)}</a> : row.unit} />
        <Fact name="Round" value={row.round} /><Fact name="Role" value={row.role} /><Fact name="Wave" value={row.wave} /><Fact name="Adapter" value={row.adapter} />
        <Fact name="Time" value={row.wall_ms != null ? ms(row.wall_ms) : null} /><Fact name="Cost" value={row.cost_usd != null ? usd(row.cost_usd) : null} />
        <Fact name="Tokens" value={row.tokens != null ? tokens(row.tokens) : null} />
        <Fact name="Verdict" value={row.verdict?.verdict && [row.verdict.verdict, row.verdict.code, row.verdict.detail].filter(Boolean).join(": ")} />
        {row.retry && <div><dt>Try again</dt><dd><Command text={row.retry} /></dd></div>}
      </dl>
      {row.result != null && <Section title="Answer"><Json value={rest} /></Section>}
      {patch && <Section title="Patch"><Diff patch={patch} /></Section>}
      {row.verdict?.checks != null && <Section title="Checks"><Long text={row.verdict.checks} prose /></Section>}
      <Section title={plural(attempts.length, "attempt")}>{attempts.map((attempt) => <AttemptView attempt={attempt} />)}{!attempts.length && <p class="muted">Not started.</p>}</Section>
      {row.input && Object.keys(row.input).length > 0 && <Section title="Input" isOpen={!row.unit}><Json value={row.input} /></Section>}
      {row.prompt && <Section title={`Prompt (${count(row.prompt.length)} characters)`} isOpen={row.prompt.length < 1500}><Long text={row.prompt} prose /></Section>}
    </Drawer>
  );
}

function AttemptView({ attempt: a }: { attempt: Attempt }) {
  const facts = [
    a.start != null && `from ${ms(a.start)}`, a.end != null && a.start != null && `for ${ms(a.end - a.start)}`,
    a.exit_code != null && `exit ${a.exit_code}`, a.signal != null && `signal ${a.signal}`,
    a.via && `answer by ${words(a.via, 30)}`, a.cost_usd != null && usd(a.cost_usd), a.tokens != null && `${tokens(a.tokens)} tokens`,
  ].filter(Boolean);
  return (
    <div class="attempt">
      <p><b>{a.n ?? 1}</b> <State of={a.outcome ?? "running"} /> <span class="muted">{facts.join(", ")}</span></p>
      {a.error && <p class="bad text">{brief(a.error, 2000)}</p>}
      {a.log && (
        <details open={a.outcome === "failed"}>
          <summary>End of the log{a.log_path && <span class="mono"> {brief(a.log_path, 300)}</span>}</summary>
          <Long text={str(a.log)} />
        </details>
      )}
      {!a.log && a.log_path && <p class="muted">Log: <span class="mono">{brief(a.log_path, 300)}</span></p>}
    </div>
  );
}

// One task: its votes, its critiques with what the synthesis did with each, its patch, its validation.
import { Diff } from "./diff";
import { Drawer, Section, useWhole } from "./drawer";
import { Json } from "./json";
import type { Critique, Decision, Model, Task } from "./model";
import { Fact } from "./overview";
import { go, href, toRow, toRows, toTask } from "./place";
import { withTerm } from "./query";
import { brief, list, Long, ms, plural, State, str, tokens, usd, visible } from "./text";

export function TaskDrawer({ model, task: known }: { model: Model; task: Task }) {
  const task = useWhole(known, model.view.live ? `task?id=${encodeURIComponent(known.id)}` : null);
  const rows = model.rows.filter((row) => row.unit === task.id);
  const step = (by: number) => {
    const next = model.tasks[model.tasks.findIndex((other) => other.id === task.id) + by];
    if (next) go(toTask(next.id));
  };
  const links = (ids: string[]) => ids.map((id, i) => <>{i > 0 && ", "}<a href={href(toTask(id))}>{brief(id, 80)}</a></>);
  const needs = task.deps ?? [], neededBy = model.tasks.filter((other) => other.deps?.includes(task.id)).map((other) => other.id);
  return (
    <Drawer name="task" title={<>{brief(task.id, 100)} <span class="title">{brief(task.title, 300)}</span></>} onStep={step}>
      <p class="lead"><State of={task.state} />{task.reason && <span class="bad">{brief(task.reason, 200)}</span>}{task.detail && <span>{brief(task.detail, 1000)}</span>}</p>
      <dl class="facts">
        {needs.length > 0 && <div><dt>Depends on</dt><dd>{links(needs)}</dd></div>}{neededBy.length > 0 && <div><dt>Needed by</dt><dd>{links(neededBy)}</dd></div>}
        <Fact name="Scope" value={list(task.scope).map((glob) => str(glob)).join(", ")} /><Fact name="Changed" value={list(task.changed_paths).map((path) => str(path)).join(", ")} />
        <Fact name="Risk" value={task.risk} /><Fact name="Protocol" value={task.protocol} />
        <Fact name="Commit" value={task.commit?.id && [task.commit.id, task.commit.branch && `on ${task.commit.branch}`].filter(Boolean).join(" ")} />
        <Fact name="Cost" value={task.cost_usd != null ? usd(task.cost_usd) : null} /><Fact name="Tokens" value={task.tokens != null ? tokens(task.tokens) : null} />
        {rows.length > 0 && <div><dt>Rows</dt><dd><a href={href(toRows(withTerm("", "task", task.id)))}>{plural(rows.length, "row")}</a></dd></div>}
      </dl>
      {(task.validation?.length ?? 0) > 0 && <Section title="Validation">{task.validation!.map((v) => (
        <div class="attempt">
          <p><State of={v.passed ? "passed" : "failed"} word={brief(v.outcome ?? (v.passed ? "passed" : "failed"), 60)} /> <code>{visible(v.command)}</code>{" "}
            <span class="muted">{[v.stage && v.stage !== "integration" && brief(v.stage, 30), v.duration_ms != null && ms(v.duration_ms)].filter(Boolean).join(", ")}</span></p>
          {v.key_line && <p class="text">{brief(v.key_line, 500)}</p>}
          {v.output && <details open={!v.passed}><summary>Output</summary><Long text={v.output} /></details>}
        </div>
      ))}</Section>}
      {(task.integrations?.length ?? 0) > 0 && <Section title={plural(task.integrations!.length, "integration")}>{task.integrations!.map((i) => (
        <p><State of={i.outcome ?? "running"} /> <span class="muted">at {ms(i.start)}{i.end != null && i.start != null ? `, for ${ms(i.end - i.start)}` : ""}</span></p>
      ))}</Section>}
      {(task.votes?.length ?? 0) > 0 && <Section title={plural(task.votes!.length, "vote")}>{task.votes!.map((vote) => (
        <table class="lines">
          <caption>Vote {vote.number}: {vote.agree ?? 0} agree, {vote.disagree ?? 0} disagree{vote.absent ? `, ${vote.absent} absent` : ""}; {vote.threshold ?? "?"} needed</caption>
          <tbody>{(vote.lines ?? []).map((line) => (
            <tr><th scope="row">{brief(line.role, 40)}</th><td class="nowrap"><State of={line.vote} /></td><td class="text">{visible(line.reason)}</td></tr>
          ))}</tbody></table>
      ))}</Section>}
      {task.patch && <Section title="Patch"><Diff patch={task.patch} /></Section>}
      <Critiques critiques={task.critiques ?? []} decisions={task.decisions ?? []} />
      {task.proposal != null && <Section title="Proposal" isOpen={false}><Json value={task.proposal} /></Section>}
      {rows.length > 0 && <Section title="Rows" isOpen={false}><ul class="plain">{rows.slice(0, 200).map((row) => (
        <li><State of={row.status} /> <a href={href(toRow(row.id, row.wave))}>{brief(row.id, 100)}</a> <span class="muted">{ms(row.wall_ms)}</span></li>
      ))}</ul></Section>}
    </Drawer>
  );
}

/** A decision belongs to the critic whose role its point names first, as in `critic_a: no test for an empty field`. */
function Critiques({ critiques, decisions }: { critiques: Critique[]; decisions: Decision[] }) {
  if (!critiques.length && !decisions.length) return null;
  const roles = [...new Set(critiques.map((critique) => str(critique.role)))].sort();
  const of = (decision: Decision) => roles.filter((role) => role && str(decision.point).startsWith(role)).sort((a, b) => b.length - a.length)[0];
  const others = decisions.filter((decision) => of(decision) == null);
  return (
    <Section title="Critiques, and what the synthesis did with them">
      {roles.map((role) => (
        <section class="critique"><h4>{brief(role, 60)}</h4>
          {critiques.filter((critique) => str(critique.role) === role).map((critique, i, { length }) => <>
            {length > 1 && <p class="muted">Critique {i + 1}</p>}
            <Points name="Must fix" of={critique.must_fix} /><Points name="Findings" of={critique.findings} /><Points name="Would agree if" of={critique.flip_conditions} />
            {critique.risk && <p class="muted">Risk: {brief(critique.risk, 60)}</p>}
          </>)}
          <Decisions of={decisions.filter((decision) => of(decision) === role)} role={role} />
        </section>
      ))}
      {others.length > 0 && <section class="critique"><h4>Other decisions</h4><Decisions of={others} role="" /></section>}
    </Section>
  );
}
function Points({ name, of }: { name: string; of: unknown }) {
  const points = list(of);
  return points.length ? <><h5>{name}</h5><ul>{points.map((point) => <li class="text"><Json value={point} depth={4} /></li>)}</ul></> : null;
}
function Decisions({ of, role }: { of: Decision[]; role: string }) {
  if (!of.length) return null;
  return (
    <>
      <h5>Synthesis</h5>
      <ul class="decisions">{of.map((d) => <li><State of={d.action} /> <b>{visible(str(d.point).slice(role.length).replace(/^:\s*/, ""))}</b> {visible(d.reason)}</li>)}</ul>
    </>
  );
}

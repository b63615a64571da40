// The plan as a graph, layer by layer in the order of the dependencies, and as a table of its tasks.
import { Graph, layout } from "@dagrejs/dagre";
import { kept, type Model, type Task, type Validation } from "./model";
import { get, href, toTask } from "./place";
import { brief, count, list, mark, ms, State, tone, usd, words } from "./text";

const WIDTH = 208, HEIGHT = 50, DRAWN_MAX = 600;

interface Drawing { width: number; height: number; nodes: { task: Task; x: number; y: number }[]; edges: { path: string; isLongest: boolean }[] }
const draw = kept((model): Drawing | null => {
  if (!model.tasks.length || model.tasks.length > DRAWN_MAX) return null;
  const graph = new Graph();
  graph.setGraph({ rankdir: "LR", nodesep: 12, ranksep: 44, marginx: 2, marginy: 2 });
  graph.setDefaultEdgeLabel(() => ({}));
  // Ids come from the plan; numbers stand for them here.
  const numbers = new Map(model.tasks.map((task, i) => [task.id, i]));
  const next = new Map<string, string>();
  (model.view.totals?.longest_path?.tasks ?? []).forEach((id, i, ids) => i && next.set(ids[i - 1], id));
  model.tasks.forEach((_, i) => graph.setNode(String(i), { width: WIDTH, height: HEIGHT }));
  for (const task of model.tasks)
    for (const dep of task.deps ?? []) if (numbers.has(dep) && dep !== task.id) graph.setEdge(String(numbers.get(dep)), String(numbers.get(task.id)));
  layout(graph);
  const size = graph.graph();
  return {
    width: size.width ?? 0, height: size.height ?? 0,
    nodes: model.tasks.map((task, i) => ({ task, x: graph.node(String(i)).x! - WIDTH / 2, y: graph.node(String(i)).y! - HEIGHT / 2 })),
    edges: graph.edges().map((edge) => ({
      path: curve([side(graph.node(edge.v), 1), ...(graph.edge(edge).points ?? []).slice(1, -1), side(graph.node(edge.w), -1)]),
      isLongest: next.get(model.tasks[+edge.v].id) === model.tasks[+edge.w].id,
    })),
  };
});
/** The middle of the left or right side of a node, where edges begin and end. */
const side = (node: { x?: number; y?: number }, sign: 1 | -1) => ({ x: node.x! + (sign * WIDTH) / 2, y: node.y! });
function curve([first, ...rest]: { x: number; y: number }[]): string {
  if (!first) return "";
  let from = first;
  return `M${first.x} ${first.y}` + rest.map((to) => {
    const middle = (from.x + to.x) / 2;
    const piece = `C${middle} ${from.y} ${middle} ${to.y} ${to.x} ${to.y}`;
    from = to;
    return piece;
  }).join("");
}

export function Plan({ model }: { model: Model }) {
  const drawing = draw(model), hasCost = model.tasks.some((task) => task.cost_usd != null);
  return (
    <div class="plan">
      {drawing ? (
        <section class="graph" aria-label="Graph of the tasks, dependencies on the left" tabIndex={0}>
          <div style={{ width: drawing.width + "px", height: drawing.height + "px" }}>
            <svg width={drawing.width} height={drawing.height} aria-hidden="true">
              <defs>
                <marker id="tip" viewBox="0 0 6 6" refX="6" refY="3" markerUnits="userSpaceOnUse" markerWidth="8" markerHeight="8" orient="auto"><path d="M0 0L6 3L0 6z" /></marker>
              </defs>
              {drawing.edges.map((edge) => <path d={edge.path} class={edge.isLongest ? "longest" : ""} marker-end="url(#tip)" />)}
            </svg>
            {drawing.nodes.map(({ task, x, y }) => (
              <a href={href(toTask(task.id))} class={`node ${tone(task.state)}`} aria-current={get("task") === task.id ? "true" : undefined}
                style={{ left: x + "px", top: y + "px", width: WIDTH + "px", height: HEIGHT + "px" }}>
                <span class="line"><b>{brief(task.id, 40)}</b><span class="state"><span aria-hidden="true">{mark(task.state)}</span> {words(task.state, 20)}</span></span>
                <span class="title">{brief(task.title, 120)}</span>
              </a>
            ))}
          </div>
        </section>
      ) : model.tasks.length ? <p>{count(model.tasks.length)} tasks are too many for a graph; the table has them all.</p> : <p class="empty">The run has no tasks.</p>}
      {drawing?.edges.some((edge) => edge.isLongest) && <p class="note">Thick lines: the longest path.</p>}
      <div class="scroll" tabIndex={0} role="region" aria-label="Tasks">
        <table class="tasks">
          <thead><tr>
            <th>Task</th><th>State</th><th>Title</th><th>Votes</th><th>Validation</th><th>Changed</th><th class="n">Integration</th>{hasCost && <th class="n">Cost</th>}
          </tr></thead>
          <tbody>{model.tasks.map((task) => (
            <tr class={get("task") === task.id ? "chosen" : ""}>
              <td><a href={href(toTask(task.id))}>{brief(task.id, 60)}</a></td>
              <td><State of={task.state} />{task.reason && <small> {brief(task.reason, 60)}</small>}</td>
              <td class="grow">{brief(task.title, 160)}</td>
              <td class="nowrap">{(task.votes ?? []).map((vote) => `${vote.agree ?? 0}/${(vote.agree ?? 0) + (vote.disagree ?? 0) + (vote.absent ?? 0)}`).join(", ")}</td>
              <td class="nowrap"><Validations of={task.validation ?? []} /></td>
              <td class="mono"><Paths of={list(task.changed_paths)} /></td>
              <td class="n">{task.integrations?.length ? ms(task.integrations.reduce((sum, i) => sum + ((i.end ?? model.end) - (i.start ?? 0)), 0)) : ""}</td>
              {hasCost && <td class="n">{usd(task.cost_usd)}</td>}
            </tr>
          ))}</tbody>
        </table>
      </div>
    </div>
  );
}

function Validations({ of }: { of: Validation[] }) {
  const passed = of.filter((validation) => validation.passed).length;
  return of.length ? <State of={passed === of.length ? "passed" : "failed"} word={`${passed} of ${of.length} passed`} /> : null;
}
function Paths({ of }: { of: unknown[] }) {
  return <>{of.slice(0, 3).map((path) => brief(path, 60)).join(", ")}{of.length > 3 && ` and ${of.length - 3} more`}</>;
}

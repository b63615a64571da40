// The votes: one line for each vote of each task, one column for each role.
import { kept, type Model, type Vote } from "./model";
import { get, href, toTask } from "./place";
import { brief, count, list, mark, State, str, tone } from "./text";

const roles = kept((model) => [...new Set(model.tasks.flatMap((task) => (task.votes ?? []).flatMap((vote) => (vote.lines ?? []).map((line) => str(line.role)))))]);
const passed = (vote: Vote) => (vote.agree ?? 0) >= (vote.threshold ?? Infinity);

export function Votes({ model }: { model: Model }) {
  const tasks = model.tasks.filter((task) => task.votes?.length);
  if (!tasks.length) return <p class="empty">The run has no votes.</p>;
  return (
    <div class="scroll votes" tabIndex={0} role="region" aria-label="Votes">
      <table>
        <thead><tr><th>Task</th><th class="n">Vote</th>{roles(model).map((role) => <th>{brief(role, 30)}</th>)}<th>Result</th><th>Reasons against</th></tr></thead>
        {tasks.map((task) => (
          <tbody class={get("task") === task.id ? "chosen" : ""}>
            {task.votes!.map((vote, i) => (
              <tr>
                {i === 0 && <th scope="rowgroup" rowSpan={task.votes!.length}><a href={href(toTask(task.id))}>{brief(task.id, 60)}</a></th>}
                <td class="n">{count(vote.number)}</td>
                {roles(model).map((role) => {
                  const line = vote.lines?.find((line) => line.role === role);
                  return (
                    <td class={`cell ${line ? tone(line.vote) : ""}`} title={line && brief(line.reason, 1000)}>
                      {line && <><span aria-hidden="true">{mark(line.vote)}</span> {brief(line.vote, 20)}</>}
                    </td>
                  );
                })}
                <td class="nowrap"><State of={passed(vote) ? "accepted" : "rejected"} word={`${vote.agree ?? 0} agree, ${vote.threshold ?? "?"} needed`} /></td>
                <td class="reasons">{list(vote.lines).filter((line) => (line as { vote?: string }).vote === "disagree").map((line) => {
                  const { role, reason } = line as { role?: string; reason?: string };
                  return <p><b>{brief(role, 30)}</b> {brief(reason, 400)}</p>;
                })}</td>
              </tr>
            ))}
          </tbody>
        ))}
      </table>
    </div>
  );
}

// The page of a run: reads the data in the document, shows the view that the address names, and listens to the keyboard.
import { render } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { follow, type Link } from "./live";
import { Model, type View } from "./model";
import { Overview } from "./overview";
import { Plan } from "./plan";
import { closed, get, go, href, onChange, toTask, view } from "./place";
import { RowDrawer } from "./row";
import { move, openCursor, Rows } from "./rows";
import { TaskDrawer } from "./task";
import { brief, count, State } from "./text";
import { Timeline } from "./timeline";
import { Votes } from "./votes";

const isDark = matchMedia("(prefers-color-scheme: dark)");
const THEMES = ["auto", "light", "dark"];
const KEYS = [
  ["/", "Search the rows"], ["j, ↓ and k, ↑", "Next and previous row or task"], ["Enter", "Open the row"], ["Escape", "Close what is open"],
  ["1 to 5", "Switch the view"], ["t", "Light, dark or as the system"], ["?", "These keys"],
];

function read(): View | null {
  try { return JSON.parse(document.getElementById("mesh-data")!.textContent!) as View | null; } catch { return null; }
}
const data = read();
const model = new Model(data);
const root = document.getElementById("app")!;
let link: Link | null = null, isHelpOpen = false, isPrinting = false, theme = stored() ?? "auto";

function stored() {
  try { return localStorage.getItem("mesh-theme"); } catch { return null; }
}
function setTheme(name: string) {
  theme = THEMES.includes(name) ? name : "auto";
  document.documentElement.dataset.theme = isPrinting ? "light" : theme;
  try { localStorage.setItem("mesh-theme", theme); } catch { /* A page from a file may have no storage. */ }
}
const views = () => [
  ["overview", "Overview", null], ...(model.tasks.length ? [["plan", "Plan", model.tasks.length]] : []), ["timeline", "Timeline", null],
  ...(model.tasks.some((task) => task.votes?.length) ? [["votes", "Votes", null]] : []), ["rows", "Rows", model.view.totals?.rows ?? model.rows.length],
] as [string, string, number | null][];

function Content({ name }: { name: string }) {
  if (name === "plan") return <Plan model={model} />;
  if (name === "timeline") return <Timeline model={model} theme={`${isPrinting} ${theme} ${isDark.matches}`} printing={isPrinting} />;
  if (name === "votes") return <Votes model={model} />;
  if (name === "rows") return <Rows model={model} printing={isPrinting} />;
  return <Overview model={model} />;
}

function App() {
  const run = model.view.run ?? {};
  const row = get("row") ? model.row(get("row"), get("wave")) : undefined, task = get("task") ? model.task(get("task")) : undefined;
  const shown = views().some(([name]) => name === view()) ? view() : "overview";
  const missing = (get("row") && !row && `No row ${brief(get("row"), 80)} in this run.`) || (get("task") && !task && `No task ${brief(get("task"), 80)} in this run.`);
  return (
    <div class={`page${row || task ? " with-drawer" : ""}`}>
      <header>
        <div class="run">
          <h1>{brief(run.id ?? "mesh", 60)}</h1>
          {run.kind && <span class="muted kind">{brief(run.kind, 20)}</span>}
          {run.status && <State of={run.status} />}
          {run.exit_code != null && <span class="muted nowrap">exit {run.exit_code}</span>}
          {run.detail && <span class="muted detail">{brief(run.detail, 200)}</span>}
        </div>
        <nav aria-label="Views">{views().map(([name, title, n]) => (
          <a href={href({ view: name, ...closed })} aria-current={name === shown ? "page" : undefined}>{title}{n != null && <small> {count(n)}</small>}</a>
        ))}</nav>
        <div class="tools">
          <span role="status" class={link === "disconnected" ? "link bad" : "link"}>{link === "disconnected" ? "disconnected; retrying" : link ?? ""}</span>
          <button onClick={nextTheme} title="Theme (t)"><span class="word">Theme: </span>{theme}</button>
          <button onClick={() => setHelp(true)} aria-label="Keyboard help" title="Keys (?)">?</button>
        </div>
      </header>
      <div class="body">
        <main id="main" tabIndex={-1}>
          {!data && <p class="empty">This page has no data of a run in it. <code>mesh inspect RUN --html FILE</code> writes one that has.</p>}
          {!!model.view.omitted && (
            <p class="note">
              This page has {count((model.view.totals?.rows ?? 0) - model.view.omitted)} of {count(model.view.totals?.rows)} rows: first those that failed or run, then the first
              others. The sums are of all rows. <code>mesh inspect {brief(run.id, 60)}</code> shows every row.
            </p>
          )}
          {missing && <p class="notice" role="alert">{missing} <button onClick={() => go(closed)}>Dismiss</button></p>}
          {isPrinting ? views().map(([name, title]) => <section class="printed"><h2>{title}</h2><Content name={name} /></section>) : <Content name={shown} />}
        </main>
        {row ? <RowDrawer model={model} row={row} /> : task ? <TaskDrawer model={model} task={task} /> : null}
      </div>
      <Help isOpen={isHelpOpen} />
    </div>
  );
}

function Help({ isOpen }: { isOpen: boolean }) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => { if (isOpen) dialog.current!.showModal(); else dialog.current!.close(); }, [isOpen]);
  return (
    <dialog ref={dialog} onClose={() => setHelp(false)} aria-labelledby="help-title">
      <h2 id="help-title">Keys</h2>
      <table><tbody>{KEYS.map(([keys, what]) => <tr><th scope="row"><kbd>{keys}</kbd></th><td>{what}</td></tr>)}</tbody></table>
      <p>
        The search takes words, <code>status:failed</code>, <code>role:critic_a</code>, <code>seconds&gt;60</code>, <code>attempts&gt;1</code>,{" "}
        <code>cost&gt;0.5</code>, and <code>-</code> before any of them for “not”.
      </p>
      <form method="dialog"><button>Close</button></form>
    </dialog>
  );
}

let isDue = false;
function draw() {
  isDue = false;
  document.title = [model.view.run?.id, model.view.run?.status, "mesh"].filter(Boolean).map((part) => brief(part, 60)).join(" · ");
  render(<App />, root);
}
/** Draws once for all changes of a frame. */
function drawSoon() {
  if (!isDue) { isDue = true; requestAnimationFrame(draw); }
}
function setHelp(isOpen: boolean) { isHelpOpen = isOpen; drawSoon(); }
function nextTheme() { setTheme(THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length]); drawSoon(); }
function setPrinting(now: boolean) {
  if (isPrinting === now) return;
  isPrinting = now;
  setTheme(theme);
  draw();
}

function onKey(event: KeyboardEvent) {
  const target = event.target as HTMLElement, isTyping = /^(INPUT|SELECT|TEXTAREA)$/.test(target.tagName);
  if (event.ctrlKey || event.metaKey || event.altKey || isHelpOpen) return;
  if (event.key === "Escape") {
    if (isTyping) { target.blur(); document.querySelector<HTMLElement>(".grid")?.focus(); }
    else if (get("row") || get("task")) go(closed, "push");
    else return;
  } else if (isTyping) return;
  else if (event.key === "/") { if (view() !== "rows") go({ view: "rows" }, "push"); draw(); document.getElementById("search")?.focus(); }
  else if (event.key === "?") setHelp(true);
  else if (event.key === "t") nextTheme();
  else if (/^[1-5]$/.test(event.key)) { const to = views()[+event.key - 1]; if (to) go({ view: to[0], ...closed }, "push"); }
  else if (event.key === "j" || event.key === "k") step(event.key === "j" ? 1 : -1);
  else if (event.key === "Enter" && view() === "rows" && (target === document.body || target.id === "main")) openCursor();
  else return;
  event.preventDefault();
}
function step(by: number) {
  const at = model.tasks.findIndex((task) => task.id === get("task"));
  if (at >= 0) { const next = model.tasks[at + by]; if (next) go(toTask(next.id)); }
  else if (get("row") || view() === "rows") { move(model, by); if (!get("row")) document.querySelector<HTMLElement>(".grid")?.focus(); }
  drawSoon();
}

setTheme(theme);
draw();
onChange(drawSoon);
addEventListener("keydown", onKey);
addEventListener("beforeprint", () => setPrinting(true));
addEventListener("afterprint", () => setPrinting(false));
matchMedia("print").addEventListener("change", (event) => setPrinting(event.matches));
isDark.addEventListener("change", drawSoon);
matchMedia("(max-width: 700px)").addEventListener("change", drawSoon);
if (data?.live) follow(model, (now) => { link = now; drawSoon(); });

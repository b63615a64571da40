// A unified diff, side by side where there is room, as one column where there is not.
import { useState } from "preact/hooks";
import { count, visibleWithReturns as visible } from "./text";

const LINES_MAX = 2000, LINE_MAX = 5000;
interface Side { no: number; text: string }
interface Pair { old?: Side; new?: Side; kind: "same" | "change" | "hunk" | "file" | "note"; text?: string }

export function pairs(patch: string): Pair[] {
  const out: Pair[] = [];
  let olds: Side[] = [], news: Side[] = [], oldNo = 0, newNo = 0, oldLeft = 0, newLeft = 0;
  const flush = () => {
    for (let i = 0; i < Math.max(olds.length, news.length); i++) out.push({ kind: "change", old: olds[i], new: news[i] });
    olds = []; news = [];
  };
  let header: string[] = [];
  for (const line of patch.replace(/\n$/, "").split("\n")) {
    const hunk = /^@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@/.exec(line);
    // Within a hunk a line counts by its first character, even if it looks like a header.
    if (oldLeft > 0 || newLeft > 0) {
      const text = line.slice(1);
      if (line[0] === "-") { olds.push({ no: oldNo++, text }); oldLeft--; }
      else if (line[0] === "+") { news.push({ no: newNo++, text }); newLeft--; }
      else if (line[0] === "\\") { flush(); out.push({ kind: "note", text: line }); }
      else { flush(); out.push({ kind: "same", old: { no: oldNo++, text }, new: { no: newNo++, text } }); oldLeft--; newLeft--; }
      continue;
    }
    flush();
    if (hunk) {
      [oldNo, newNo] = [+hunk[1], +hunk[3]];
      [oldLeft, newLeft] = [+(hunk[2] ?? 1), +(hunk[4] ?? 1)];
      out.push({ kind: "hunk", text: line });
    } else if (line.startsWith("diff --git ")) {
      const same = /^a\/(.*) b\/\1$/s.exec(line.slice(11));
      header = same ? [`--- a/${same[1]}`, `+++ b/${same[1]}`] : [];
      out.push({ kind: "file", text: same ? same[1] : line.slice(11) });
    } else if (line && !header.includes(line) && !/^index [0-9a-f]+\.\.[0-9a-f]+( \d+)?$/.test(line)) out.push({ kind: "note", text: line });
  }
  flush();
  return out;
}

/** The text with the part that differs from its counterpart marked. */
function Marked({ text, other, as: Tag }: { text: string; other?: string; as: "ins" | "del" }) {
  text = text.slice(0, LINE_MAX);
  if (other == null) return <>{visible(text)}</>;
  let start = 0, end = 0;
  while (start < text.length && text[start] === other[start]) start++;
  while (end < text.length - start && end < other.length - start && text[text.length - 1 - end] === other[other.length - 1 - end]) end++;
  // Lines that share little but their indentation are not versions of each other.
  if (text.slice(0, start).trim().length + end < text.trim().length * 0.3) return <>{visible(text)}</>;
  const middle = text.slice(start, text.length - end);
  return <>{visible(text.slice(0, start))}{middle && <Tag>{visible(middle)}</Tag>}{visible(text.slice(text.length - end))}</>;
}
function Cells({ side, other, sign }: { side?: Side; other?: Side; sign: "-" | "+" | " " }) {
  const name = !side ? "none" : sign === "-" ? "old" : sign === "+" ? "new" : "";
  return (
    <>
      <td class={`no ${name}`}>{side?.no}</td>
      <td class={`code ${name}`}>
        {side && <span class="sign">{sign}</span>}
        {side && (sign === " " ? visible(side.text.slice(0, LINE_MAX)) : <Marked text={side.text} other={other?.text} as={sign === "-" ? "del" : "ins"} />)}
      </td>
    </>
  );
}

export function Diff({ patch }: { patch: string }) {
  const [isSplit, setSplit] = useState(innerWidth >= 1000);
  const [all, setAll] = useState(false);
  const lines = pairs(patch);
  const shown = all ? lines : lines.slice(0, LINES_MAX);
  const added = lines.filter((l) => l.kind === "change" && l.new).length, removed = lines.filter((l) => l.kind === "change" && l.old).length;
  return (
    <div class="diff">
      <div class="toolbar"><span>{count(added)} added, {count(removed)} removed</span><button onClick={() => setSplit(!isSplit)}>{isSplit ? "One column" : "Side by side"}</button></div>
      <table class={isSplit ? "split" : "single"} aria-label="Patch">
        <colgroup><col class="no" /><col />{isSplit && <><col class="no" /><col /></>}</colgroup>
        <tbody>{shown.flatMap((line) => {
          if (!line.old && !line.new) return [<tr class={line.kind}><td colSpan={isSplit ? 4 : 2}>{visible((line.text ?? "").slice(0, LINE_MAX))}</td></tr>];
          const isSame = line.kind === "same";
          if (isSplit) return [<tr><Cells side={line.old} other={line.new} sign={isSame ? " " : "-"} /><Cells side={line.new} other={line.old} sign={isSame ? " " : "+"} /></tr>];
          if (isSame) return [<tr><Cells side={line.new} sign=" " /></tr>];
          return [line.old && <tr><Cells side={line.old} other={line.new} sign="-" /></tr>, line.new && <tr><Cells side={line.new} other={line.old} sign="+" /></tr>];
        })}</tbody>
      </table>
      {shown.length < lines.length && <button onClick={() => setAll(true)}>Show all {count(lines.length)} lines</button>}
    </div>
  );
}
export const looksLikeDiff = (text: string) => /^(diff --git |--- |@@ -)/m.test(text.slice(0, 2000)) && /^@@ -\d/m.test(text.slice(0, 20_000));

// The panel beside the views, with the open row or task. It takes the focus when it opens and gives it back when it closes.
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import type { ComponentChildren } from "preact";
import { closed, get, go } from "./place";

const overlaid = matchMedia("(max-width: 900px)");

export function Drawer({ name, title, onStep, children }: { name: string; title: ComponentChildren; onStep: (by: number) => void; children: ComponentChildren }) {
  const heading = useRef<HTMLHeadingElement>(null), panel = useRef<HTMLElement>(null);
  const [isWide, setWide] = useState(false);
  useEffect(() => {
    const opener = document.activeElement as HTMLElement | null;
    const behind = document.querySelectorAll<HTMLElement>(".page > header, .page main");
    const shield = () => behind.forEach((element) => (element.inert = overlaid.matches));
    shield();
    overlaid.addEventListener("change", shield);
    heading.current?.focus();
    return () => {
      overlaid.removeEventListener("change", shield);
      behind.forEach((element) => (element.inert = false));
      const to = opener?.isConnected && opener !== document.body ? opener : document.querySelector<HTMLElement>(".grid") ?? document.getElementById("main");
      to?.focus({ preventScroll: true });
    };
  }, []);
  useLayoutEffect(() => {
    panel.current!.querySelector(".inside")!.scrollTop = 0;
    if (document.activeElement === document.body || panel.current!.contains(document.activeElement)) heading.current?.focus();
  }, [name, get("row"), get("task")]);
  return (
    <aside class={`drawer${isWide ? " widened" : ""}`} ref={panel} aria-labelledby="drawer-title">
      <div class="bar-top">
        <h2 id="drawer-title" tabIndex={-1} ref={heading}>{title}</h2>
        <button onClick={() => onStep(-1)} aria-label="Previous" title="Previous (k)">↑</button>
        <button onClick={() => onStep(1)} aria-label="Next" title="Next (j)">↓</button>
        <button class="widen" onClick={() => setWide(!isWide)} aria-pressed={isWide}>Wide</button>
        <button onClick={() => go(closed, "push")} aria-label="Close" title="Close (Escape)">✕</button>
      </div>
      <div class="inside" tabIndex={0} role="region" aria-labelledby="drawer-title">{children}</div>
    </aside>
  );
}

export function Section({ title, isOpen = true, children }: { title: ComponentChildren; isOpen?: boolean; children: ComponentChildren }) {
  return <details class="part" open={isOpen}><summary><h3>{title}</h3></summary>{children}</details>;
}

const FETCH_EVERY_MS = 1500;
/** In a live page long texts are fetched when they are wanted, and again after the program sent a newer item. */
export function useWhole<T extends object>(item: T, address: string | null): T {
  const [whole, setWhole] = useState<{ address: string; value: T } | null>(null);
  const last = useRef({ address: "", at: 0 });
  useEffect(() => {
    if (!address) return;
    const wait = last.current.address === address ? last.current.at + FETCH_EVERY_MS - Date.now() : 0;
    const timer = setTimeout(() => {
      last.current = { address, at: Date.now() };
      fetch(address).then((answer) => (answer.ok ? answer.json() : null)).then((value) => value && typeof value === "object" && setWhole({ address, value }), () => {});
    }, Math.max(0, wait));
    return () => clearTimeout(timer);
  }, [item, address]);
  // What is new in the item counts; what it lacks comes from the last fetch.
  const news = Object.fromEntries(Object.entries(item).filter(([, value]) => value != null)) as T;
  return whole && whole.address === address ? { ...whole.value, ...news } : item;
}

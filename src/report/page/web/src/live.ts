// A page that `mesh watch` serves follows the run by server-sent events. It reads; it never tells the run anything.
import type { Model, Row, View } from "./model";

export type Link = "live" | "disconnected" | "ended";
const RETRY_MS = 2000;

export function follow(model: Model, changed: (link: Link) => void) {
  const source = new EventSource("events");
  const on = (name: string, take: (data: unknown) => void) => source.addEventListener(name, (event) => {
    try { take(JSON.parse((event as MessageEvent<string>).data || "null")); } catch { return; }
    changed("live");
  });
  source.onopen = () => changed("live");
  source.onerror = () => {
    changed("disconnected");
    // The browser reconnects by itself after a lost connection, but not after an answer that is no stream.
    if (source.readyState === EventSource.CLOSED) setTimeout(() => follow(model, changed), RETRY_MS);
  };
  on("view", (data) => model.setView(data as View));
  on("rows", (data) => model.putRows(data as Row[]));
  source.addEventListener("end", () => { source.close(); changed("ended"); });
}

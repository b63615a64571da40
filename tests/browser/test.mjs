// What a reader does with the page of a run, done in a real browser. Each test has a browser context of its own, and fails on any
// error in the console and on any request that is not for the page itself.
import assert from "node:assert/strict";
import { mkdirSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";
import { chromium } from "playwright-core";
import { HOSTILE } from "./fixture.mjs";
import { serve } from "./live-server.mjs";
import { watch } from "./watch.mjs";
import { folder, make } from "./pages.mjs";

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const DESKTOP = { width: 1440, height: 900 }, PHONE = { width: 390, height: 844 };
const pictures = process.argv[2];
if (pictures) mkdirSync(pictures, { recursive: true });

const pages = make();
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM, args: ["--no-sandbox"] });
const address = (name, fragment = "") => pathToFileURL(pages[name]).href + fragment;
let failures = 0;

/** Runs one test. `open` goes to an address and waits for the page. */
async function test(name, body, { viewport = DESKTOP, ...options } = {}) {
  const context = await browser.newContext({ viewport, ...options });
  const tab = await context.newPage(), seen = [];
  let allowed = null;
  tab.on("console", (message) => /error|warning/.test(message.type()) && seen.push(`console: ${message.text()}`));
  tab.on("pageerror", (error) => seen.push(`exception: ${error.stack}`));
  tab.on("request", (request) => {
    const url = request.url().split("#")[0];
    if (!url.startsWith("data:") && !(allowed && url.startsWith(allowed))) seen.push(`request: ${url}`);
  });
  const open = async (url, { expected = url.split("#")[0] } = {}) => {
    allowed = expected;
    await tab.goto(url);
    await tab.waitForSelector("nav a");
  };
  try {
    await body(tab, open, seen);
    await tab.waitForTimeout(30);
    assert.deepEqual(seen, []);
    console.log(`ok    ${name}`);
  } catch (error) {
    failures++;
    console.log(`FAIL  ${name}\n${error.stack}\n${seen.join("\n")}`);
    if (pictures) await tab.screenshot({ path: `${pictures}/failed-${failures}.png` }).catch(() => {});
  }
  await context.close();
}
const data = (tab) => tab.evaluate(() => JSON.parse(document.getElementById("mesh-data").textContent));
const text = (tab, selector) => tab.locator(selector).first().innerText();
const shown = async (tab) => Number((await text(tab, ".filters output")).replace(/,/g, "").split(" ")[0]);
const focusIsIn = (tab, selector) => tab.evaluate((selector) => !!document.activeElement?.closest(selector), selector);
const idsInSight = (tab) => tab.locator(".grid .sheet .c-id").allInnerTexts();
async function accessible(tab, what) {
  await tab.evaluate(AXE);
  const { violations } = await tab.evaluate(() => axe.run(document, { resultTypes: ["violations"] }));
  assert.deepEqual(violations.map((v) => `${what}: ${v.id}: ${v.nodes.slice(0, 3).map((n) => n.html.slice(0, 160) + " " + n.failureSummary).join(" | ")}`), []);
}
const noSideways = async (tab, what) =>
  assert.ok(await tab.evaluate(() => document.documentElement.scrollWidth <= innerWidth && ["#main", ".inside"].every((s) => { const e = document.querySelector(s); return !e || e.scrollWidth <= e.clientWidth; })), `${what} scrolls sideways`);

await test("the demo: every view shows what the run did", async (tab, open) => {
  await open(address("demo"));
  const { run, tasks, rows } = await data(tab);
  assert.match(await tab.title(), new RegExp(run.id));
  assert.equal(await text(tab, "h1"), run.id);
  assert.match(await text(tab, ".figures"), /Saved by concurrency/);
  await tab.click("nav >> text=Plan");
  await tab.waitForSelector(".node");
  assert.equal(await tab.locator(".node").count(), tasks.length);
  assert.equal(await tab.locator("table.tasks tbody tr").count(), tasks.length);
  await tab.click("nav >> text=Timeline");
  assert.match(await tab.getAttribute("canvas", "aria-label"), new RegExp(`^${rows.flatMap((row) => row.attempts).length} attempts in \\d+ slots`));
  await tab.click("nav >> text=Votes");
  await tab.waitForSelector(".votes .cell");
  assert.equal(await tab.locator(".votes .cell.good, .votes .cell.bad").count(), tasks.flatMap((task) => task.votes ?? []).flatMap((vote) => vote.lines.filter((line) => line.vote !== "absent")).length);
  await tab.click("nav >> text=Rows");
  await tab.waitForSelector(".filters output");
  assert.equal(await shown(tab), rows.length);
});

await test("the timeline: its bars are drawn, one opens its row, a drag zooms in", async (tab, open) => {
  await open(address("fixture", "#view=timeline"));
  const box = await tab.locator("canvas").boundingBox();
  const colours = await tab.evaluate(() => {
    const canvas = document.querySelector("canvas"), pixels = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data, found = new Set();
    for (let i = 0; i < pixels.length; i += 4) found.add(pixels[i] << 16 | pixels[i + 1] << 8 | pixels[i + 2]);
    return found.size;
  });
  assert.ok(colours > 5, `${colours} colours`);
  const slots = await tab.evaluate(() => Number(/in (\d+) slots/.exec(document.querySelector("canvas").ariaLabel)[1]));
  const y = box.y + box.height - 4 - slots * 20 + 10;
  await tab.mouse.move(box.x + 110, y);
  assert.match(await text(tab, ".tip"), /attempt 1: completed/);
  await tab.mouse.click(box.x + 110, y);
  await tab.waitForSelector(".drawer");
  assert.match(tab.url(), /row=st-00/);
  await tab.keyboard.press("Escape");
  await tab.mouse.move(box.x + 300, y);
  await tab.mouse.down();
  await tab.mouse.move(box.x + 600, y, { steps: 4 });
  await tab.mouse.up();
  await tab.waitForFunction(() => /t=\d+-\d+/.test(location.hash));
  await tab.click("text=Whole run");
  await tab.waitForFunction(() => !/t=/.test(location.hash));
});

await test("the timeline has no more slots than rows might run at once, however short they are", async (tab, open) => {
  for (const name of ["wide", "demo"]) {
    await open(address(name, "#view=timeline"));
    await tab.reload();
    await tab.waitForSelector("canvas");
    const { run } = await data(tab);
    const slots = Number(/in (\d+) slots/.exec(await tab.getAttribute("canvas", "aria-label"))[1]);
    assert.ok(slots <= (run.slots ?? run.concurrency), `${name}: ${slots} slots`);
  }
});

await test("a page without all rows says so in every view", async (tab, open) => {
  for (const view of ["overview", "timeline", "rows"]) {
    await open(address("part", `#view=${view}`));
    await tab.reload();
    assert.match(await text(tab, ".note"), /This page has 1,000 of 1,000,000 rows: first those that failed/);
  }
  await accessible(tab, "part");
});

await test("10,000 rows: search, filters, sort, and only the rows in sight are in the document", async (tab, open) => {
  await open(address("wide", "#view=rows"));
  const { rows } = await data(tab), failed = rows.filter((row) => row.status === "failed");
  assert.equal(rows.length, 10_000);
  assert.equal(await shown(tab), rows.length);
  assert.ok(await tab.locator(".grid .sheet [role=row]").count() < 100);
  await tab.selectOption("select[aria-label=status]", "failed");
  await tab.waitForFunction(() => /q=status%3Afailed/.test(location.hash));
  assert.equal(await shown(tab), failed.length);
  await tab.fill("#search", `status:failed id:${failed[3].id}`);
  await tab.waitForFunction((id) => document.querySelector(".grid .sheet .c-id")?.innerText === id, failed[3].id);
  await tab.fill("#search", "-status:failed");
  await tab.waitForFunction((n) => document.querySelector("output").innerText.startsWith(n.toLocaleString("en-US")), rows.length - failed.length);
  await tab.fill("#search", "no row has these words");
  await tab.waitForSelector("text=No row matches.");
  await tab.click("text=Clear");
  await tab.click("[role=columnheader] >> text=Time");
  await tab.click("[role=columnheader] >> text=Time");
  const longest = rows.reduce((a, b) => (b.wall_ms > a.wall_ms ? b : a));
  await tab.waitForFunction((id) => document.querySelector(".grid .sheet .c-id")?.innerText === id, longest.id);
  assert.equal(await tab.getAttribute("[role=columnheader].c-time", "aria-sort"), "descending");
  await tab.evaluate(() => { const grid = document.querySelector(".grid"); grid.scrollTop = grid.scrollHeight; });
  await tab.waitForFunction(() => document.querySelector(".grid .sheet [role=row]:last-child").ariaRowIndex === null || [...document.querySelectorAll(".grid .sheet [role=row]")].some((row) => row.getAttribute("aria-rowindex") === "10001"));
});

await test("deep links: a row, a task, a query, and what is not there", async (tab, open) => {
  await open(address("fixture", "#row=st-002.vote.critic_a.2"));
  assert.equal(await text(tab, "#drawer-title"), "st-002.vote.critic_a.2");
  assert.ok(await focusIsIn(tab, "#drawer-title"));
  await open(address("fixture", "#task=st-002"));
  await tab.reload();
  const drawer = await text(tab, ".drawer");
  for (const words of ["Vote 1: 3 agree, 2 disagree; 4 needed", "Critiques, and what the synthesis did with them", "rejected", "Patch", "csv_row $(csv_field".slice(0, 7), "sh tests/csv.sh"]) assert.ok(drawer.includes(words), words);
  assert.ok(await tab.locator(".diff ins").count() > 0);
  await open(address("fixture", "#view=rows&q=round%3Avote+task%3Ast-002"));
  await tab.reload();
  assert.equal(await shown(tab), 15);
  await open(address("fixture", "#row=nothing"));
  await tab.reload();
  assert.match(await text(tab, "[role=alert]"), /No row nothing in this run/);
});

await test("keyboard: search, move, open, step, close, views, help", async (tab, open) => {
  await open(address("wide"));
  const ids = (await data(tab)).rows.map((row) => row.id);
  await tab.keyboard.press("/");
  assert.ok(await focusIsIn(tab, "#search"));
  await tab.keyboard.press("Escape");
  assert.ok(await focusIsIn(tab, ".grid"));
  for (const key of ["j", "j", "ArrowDown", "k"]) await tab.keyboard.press(key);
  await tab.keyboard.press("Enter");
  await tab.waitForSelector(".drawer");
  const opened = await text(tab, "#drawer-title"), at = ids.indexOf(opened);
  assert.ok(await focusIsIn(tab, ".drawer"));
  await tab.keyboard.press("j");
  await tab.waitForFunction((id) => document.getElementById("drawer-title").innerText === id, ids[at + 1]);
  await tab.keyboard.press("Escape");
  await tab.waitForSelector(".drawer", { state: "detached" });
  assert.ok(await focusIsIn(tab, ".grid"));
  await tab.keyboard.press("End");
  await tab.keyboard.press("Enter");
  await tab.waitForFunction((id) => document.getElementById("drawer-title")?.innerText === id, ids.at(-1));
  await tab.goBack();
  await tab.waitForSelector(".drawer", { state: "detached" });
  await tab.keyboard.press("2");
  await tab.waitForSelector("canvas");
  await tab.keyboard.press("?");
  await tab.waitForSelector("dialog[open]");
  await tab.keyboard.press("Escape");
  await tab.waitForSelector("dialog[open]", { state: "detached" });
});

await test("themes: as the system, and by the button", async (tab, open) => {
  const ground = () => tab.evaluate(() => getComputedStyle(document.body).backgroundColor);
  await open(address("fixture"));
  assert.equal(await ground(), "rgb(20, 23, 27)");
  await tab.click("text=Theme: auto");
  await tab.waitForFunction(() => getComputedStyle(document.body).backgroundColor === "rgb(255, 255, 255)");
  await tab.click("text=Theme: light");
  await tab.waitForFunction(() => getComputedStyle(document.body).backgroundColor === "rgb(20, 23, 27)");
}, { colorScheme: "dark" });

await test("phone: no view scrolls sideways, and the drawer covers what is behind it", async (tab, open) => {
  for (const name of ["demo", "wide", "hostile"])
    for (const view of ["overview", "plan", "timeline", "votes", "rows"]) {
      await open(address(name, `#view=${view}`));
      await tab.reload();
      await noSideways(tab, `${name} ${view}`);
    }
  for (const [name, fragment] of [["fixture", "#task=st-002"], ["hostile", "#task=st-001"], ["hostile", "#row=long"], ["fixture", "#row=st-001.synthesis.synthesizer.1"]]) {
    await open(address(name, fragment));
    await tab.reload();
    await tab.waitForSelector(".drawer");
    await noSideways(tab, name + fragment);
    assert.ok(await tab.evaluate(() => document.getElementById("main").inert));
  }
  await tab.click("[aria-label=Close]");
  await tab.waitForSelector(".drawer", { state: "detached" });
  assert.ok(!(await tab.evaluate(() => document.getElementById("main").inert)));
}, { viewport: PHONE, hasTouch: true });

await test("hostile texts stay texts", async (tab, open) => {
  const { rows } = JSON.parse(readFileSync(pages.hostile, "utf8").split('id="mesh-data">')[1].split("</script>")[0]);
  for (const view of ["overview", "plan", "timeline", "votes", "rows"]) { await open(address("hostile", `#view=${view}`)); await tab.reload(); }
  // An address cannot hold a lone surrogate, and no text of the program has one.
  for (const id of [...rows.slice(0, HOSTILE.length).map((row) => row.id).filter((id) => id.isWellFormed()), "__proto__", "long", "odd"]) {
    await open(address("hostile", "#" + new URLSearchParams({ row: id })));
    await tab.reload();
    await tab.waitForSelector(".drawer");
  }
  for (const id of ["st-001", "__proto__"]) { await open(address("hostile", `#task=${id}`)); await tab.reload(); await tab.waitForSelector(".drawer"); }
  assert.equal(await tab.evaluate(() => window.hacked), undefined);
  assert.equal(await tab.evaluate(() => ({}).polluted), undefined);
  assert.equal(await tab.locator("img, iframe, object, embed, main script, [onerror], [onmouseover], a:not([href^='#'])").count(), 0);
  await open(address("hostile", "#" + new URLSearchParams({ row: HOSTILE[7] })));
  await tab.reload();
  const drawer = await tab.evaluate(() => document.querySelector(".drawer").textContent);
  for (const sign of ["[U+202E]", "[U+001B][31m", "[U+0000]", "[U+200B]", "[U+FEFF]", "[U+D800]", "[U+E0041]", "</script><script>"]) assert.ok(drawer.includes(sign), sign);
  assert.ok(!/[\u202a-\u202e\u2066-\u2069\0\x1b\u200b]/.test(await tab.evaluate(() => document.getElementById("app").textContent + [...document.querySelectorAll("[title], [aria-label]")].map((e) => e.title + e.ariaLabel))));
});

await test("a cell of 1 MB is cut until it is asked for", async (tab, open) => {
  await open(address("hostile", "#row=long"));
  assert.ok((await tab.evaluate(() => document.querySelector(".drawer").textContent.length)) < 100_000);
  await tab.locator("text=Show all 1,048,576 characters").first().click();
  await tab.waitForFunction(() => document.querySelector(".drawer").textContent.length > 1_000_000);
});

await test("a page without data, or with hardly any, says so", async (tab, open) => {
  await open(address("empty"));
  assert.match(await text(tab, "main"), /no data of a run/);
  for (const view of ["overview", "plan", "timeline", "rows"]) { await open(address("bare", `#view=${view}`)); await tab.reload(); }
  await open(address("bare", "#row=a"));
  await tab.reload();
  assert.match(await text(tab, ".drawer"), /Not started/);
});

await test("nothing can be loaded or run: the policy refuses it", async (tab, open, seen) => {
  let hits = 0;
  const elsewhere = createServer((_, response) => { hits++; response.end(); });
  await new Promise((resolve) => elsewhere.listen(0, "127.0.0.1", resolve));
  await open(address("fixture"));
  const refused = await tab.evaluate(async (url) => {
    const blocked = [];
    document.addEventListener("securitypolicyviolation", (event) => blocked.push(event.effectiveDirective));
    try { document.body.innerHTML = "<b>x</b>"; } catch { blocked.push("innerHTML"); }
    const image = new Image();
    image.src = url;
    await fetch(url).catch(() => {});
    const script = document.createElement("script");
    try { script.text = "window.hacked = 1"; document.body.append(script); } catch { blocked.push("script"); }
    await new Promise((resolve) => setTimeout(resolve, 50));
    return blocked;
  }, `http://127.0.0.1:${elsewhere.address().port}/x.png`);
  elsewhere.close();
  for (const what of ["innerHTML", "img-src", "connect-src", "script"]) assert.ok(refused.includes(what), `${what} in ${refused}`);
  assert.equal(await tab.evaluate(() => window.hacked), undefined);
  assert.equal(hits, 0);
  // The browser reports each refusal.
  seen.length = 0;
});

await test("print: all views, in light colours, without the tools", async (tab, open) => {
  await open(address("fixture", "#view=votes"));
  await tab.emulateMedia({ media: "print" });
  await tab.waitForSelector(".printed");
  assert.equal(await tab.locator(".printed").count(), 5);
  assert.equal(await tab.evaluate(() => getComputedStyle(document.body).backgroundColor), "rgb(255, 255, 255)");
  assert.ok(!(await tab.locator("nav").isVisible()));
  if (pictures) await tab.pdf({ path: `${pictures}/print.pdf`, format: "A4" });
  await tab.emulateMedia({ media: "screen" });
  await tab.waitForSelector(".printed", { state: "detached" });
}, { colorScheme: "dark" });

await test("live: rows come in, long texts are fetched, a lost connection is shown and mended, the end is the end", async (tab, open, seen) => {
  const server = await serve({ seconds: 10 });
  await open(server.url);
  await tab.waitForSelector("[role=status] >> text=live");
  await tab.goto(server.url + "#view=rows");
  const before = await shown(tab);
  await tab.waitForFunction((before) => Number(document.querySelector("output").innerText.split(" ")[0]) > before, before);
  await tab.locator(".grid .sheet a").first().click();
  await tab.waitForSelector(".drawer >> text=/Prompt \\(/");
  server.drop();
  await tab.waitForSelector("text=disconnected; retrying");
  server.restore();
  await tab.waitForSelector("[role=status] >> text=/live|ended/", { timeout: 10_000 });
  await tab.waitForSelector("[role=status] >> text=ended", { timeout: 30_000 });
  assert.equal(await shown(tab), 78);
  assert.match(await text(tab, ".run"), /completed/);
  await tab.goto(server.url + "#task=st-002");
  await tab.waitForSelector(".drawer .diff");
  await server.stop();
  // Chromium reports each refused connection itself.
  seen.splice(0, seen.length, ...seen.filter((line) => !/^console: Failed to load resource: net::ERR/.test(line)));
});

const watched = await watch(folder);
if (watched)
  await test("live, by mesh watch: rows come in; without it the page says so, and the run goes on to its end", async (tab, open, seen) => {
    await open(watched.url, { expected: new URL(".", watched.url).href });
    await tab.waitForSelector("[role=status] >> text=live");
    await tab.click("nav >> text=Rows");
    const done = () => tab.locator(".sheet .state.good").count();
    await tab.waitForSelector(".sheet .state.good");
    const before = await done();
    await tab.waitForFunction((before) => document.querySelectorAll(".sheet .state.good").length > before, before);
    await tab.locator(".sheet a").first().click();
    await tab.waitForSelector(".drawer");
    watched.kill();
    await tab.waitForSelector("text=disconnected; retrying");
    assert.equal(await watched.runEnds(), 0);
    seen.splice(0, seen.length, ...seen.filter((line) => !/^console: Failed to load resource: net::ERR/.test(line)));
  });

for (const [device, viewport] of [["desktop", DESKTOP], ["phone", PHONE]])
  for (const colorScheme of ["light", "dark"])
    await test(`accessible: ${device}, ${colorScheme}`, async (tab, open) => {
      const stops = [["fixture", "#view=overview"], ["fixture", "#view=plan"], ["fixture", "#view=timeline"], ["fixture", "#view=votes"], ["wide", "#view=rows"], ["wide", "#view=rows&q=status:failed"], ["fixture", "#task=st-002"], ["fixture", "#task=st-006"], ["fixture", "#row=st-002.synthesis.synthesizer.1"], ["hostile", "#view=rows"], ["demo", "#view=overview"]];
      for (const [name, fragment] of stops) {
        await open(address(name, fragment));
        await tab.reload();
        await tab.waitForTimeout(100);
        await accessible(tab, name + fragment);
        if (pictures) await tab.screenshot({ path: `${pictures}/${device}-${colorScheme}-${name}${fragment.replace(/\W+/g, "-")}.png` });
      }
      await tab.keyboard.press("?");
      await accessible(tab, "help");
    }, { viewport, colorScheme });

// A figure, not an assertion: machines differ.
const times = [];
for (let i = 0; i < 5; i++) {
  const context = await browser.newContext({ viewport: DESKTOP }), tab = await context.newPage();
  await tab.goto(address("wide", "#view=rows"));
  times.push(await tab.evaluate(async () => {
    while (!performance.getEntriesByName("first-contentful-paint").length) await new Promise((resolve) => setTimeout(resolve, 10));
    return performance.getEntriesByName("first-contentful-paint")[0].startTime;
  }));
  await context.close();
}
times.sort((a, b) => a - b);
console.log(`first paint of 10,000 rows${pages.isReal ? "" : " (fixture)"}: ${Math.round(times[2])} ms, the median of ${times.map(Math.round).join(", ")}`);

const context = await browser.newContext({ viewport: DESKTOP }), tab = await context.newPage();
await tab.goto(address("wide", "#view=rows"));
await tab.waitForSelector("#search");
const typed = await tab.evaluate(async () => {
  const box = document.getElementById("search"), times = [];
  for (const words of ["c", "ci", "cit", "city", "city 4"]) {
    const start = performance.now();
    box.value = words;
    box.dispatchEvent(new Event("input", { bubbles: true }));
    await new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)));
    times.push(Math.round(performance.now() - start));
  }
  return times;
});
console.log(`a search in them, from each key to the new rows: ${typed.join(", ")} ms`);

await browser.close();
rmSync(folder, { recursive: true, force: true });
console.log(failures ? `${failures} failed` : "all passed");
process.exit(failures ? 1 : 0);

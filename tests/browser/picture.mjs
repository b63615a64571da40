// Pictures of a page, light and dark, for the README: what fits a window, from its top.
//     tests/browser/run --picture PAGE.html PREFIX [FRAGMENT]
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { chromium } from "playwright-core";

const [file, prefix, fragment = ""] = process.argv.slice(2);
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM, args: ["--no-sandbox", "--hide-scrollbars"] });
for (const colorScheme of ["light", "dark"]) {
  const context = await browser.newContext({ viewport: { width: 1120, height: 560 }, colorScheme });
  const tab = await context.newPage();
  await tab.goto(pathToFileURL(resolve(file)).href + fragment);
  await tab.waitForSelector("nav a");
  await tab.evaluate(() => document.fonts.ready);
  await tab.screenshot({ path: `${prefix}-${colorScheme}.png` });
  await context.close();
}
await browser.close();

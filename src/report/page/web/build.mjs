// Bundles src/ into one self-contained file, ../page.html, or the file given as argument. The same sources give the same bytes.
import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const KIB_MAX = 400;
const PLACEHOLDER = "/*MESH_DATA*/null";
const here = fileURLToPath(new URL(".", import.meta.url));
const out = process.argv[2] ?? here + "../page.html";

const bundle = async (entry, options) => {
  const result = await build({
    entryPoints: [here + entry], absWorkingDir: here, bundle: true, minify: true, write: false, legalComments: "none",
    charset: "ascii", target: ["chrome110", "firefox115", "safari16.4"], ...options,
  });
  return result.outputFiles[0].text.trim();
};
const sha256 = (text) => `'sha256-${createHash("sha256").update(text).digest("base64")}'`;

const script = await bundle("src/main.tsx", { format: "iife", jsx: "automatic", jsxImportSource: "preact" });
const style = await bundle("src/style.css", {});
// Only these exact bytes run or style anything, and nothing is loaded from anywhere but the server that serves the page live.
const policy = [
  "default-src 'none'", `script-src ${sha256(script)}`, `style-src ${sha256(style)}`, "connect-src 'self'", "img-src data:",
  "base-uri 'none'", "form-action 'none'", "require-trusted-types-for 'script'", "trusted-types 'none'",
].join("; ");

const parts = { POLICY: policy, STYLE: style, SCRIPT: script };
const html = readFileSync(here + "src/page.html", "utf8").replace(/\{\{(\w+)\}\}/g, (_, name) => parts[name]);
if (html.split(PLACEHOLDER).length !== 2) throw new Error(`the page must contain ${PLACEHOLDER} exactly once`);
if (html.length > KIB_MAX * 1024) throw new Error(`the page has ${html.length} bytes, over ${KIB_MAX} KiB`);
writeFileSync(out, html);
console.log(`page.html: ${(html.length / 1024).toFixed(1)} KiB`);

// Judges pages in a real browser: node a11y.mjs [--browser PATH] [--screenshots DIR] PAGE...
// Every page is opened on a phone and on a desktop, in the light and in the dark. The exit code is 1 if any has a fault.
import { chromium } from "playwright-core";
import { createRequire } from "node:module";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { axe, keyboard, reflow, spoken } from "./checks.mjs";
import { readPage } from "./pages.mjs";

const widths = [390, 1440];
const narrowest = 320; // WCAG 2.1, 1.4.10: as much as is left of 1280 pixels at 400%
const height = 900;

// open shows a page in a window of its own, and notes everything that it wants to load.
async function open(browser, html, { width, theme }) {
  const context = await browser.newContext({ viewport: { width, height }, colorScheme: theme, bypassCSP: true });
  const page = await context.newPage();
  const asked = [];
  await context.route("**/*", (route) => {
    asked.push(route.request().url());
    return route.abort();
  });
  await page.setContent(html, { waitUntil: "load" });
  return { context, page, asked };
}

// judge returns the faults of a page.
async function judge(browser, { html }, axeSource) {
  const faults = new Set();
  for (const theme of ["light", "dark"]) {
    for (const width of [narrowest, ...widths]) {
      const { context, page, asked } = await open(browser, html, { width, theme });
      await page.evaluate(axeSource);
      const found = [...await reflow(page), ...asked.map((url) => `loads ${url}`)];
      if (width !== narrowest) found.push(...await axe(page), ...await spoken(page), ...await keyboard(page));
      for (const line of found) faults.add(`${width} ${theme}: ${line}`);
      await context.close();
    }
  }
  return [...faults];
}

// selfTest judges a page with known faults, so that a judge that sees nothing is noticed.
async function selfTest(browser, axeSource) {
  const page = await readPage(fileURLToPath(new URL("faulty.html", import.meta.url)));
  const faults = await judge(browser, page, axeSource);
  const wanted = [...page.html.matchAll(/<!-- finds: (.*?) -->/g)].map((m) => m[1]);
  const missed = wanted.filter((w) => !faults.some((f) => f.includes(w)));
  if (wanted.length < 5 || missed.length > 0) throw new Error(`the faulty page passes for: ${missed.join("; ")}\n${faults.join("\n")}`);
  return wanted.length;
}

async function screenshots(browser, { name, html }, dir) {
  for (const theme of ["light", "dark"]) {
    for (const width of widths) {
      const { context, page } = await open(browser, html, { width, theme });
      await page.screenshot({ path: join(dir, `status-${name}-${width}-${theme}.png`), fullPage: true });
      await context.close();
    }
  }
}

const { values, positionals } = parseArgs({
  allowPositionals: true, options: { browser: { type: "string", default: "/usr/bin/chromium" }, screenshots: { type: "string" } },
});
const axeSource = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
// Chromium refuses its sandbox to root, and the pages are ours.
const browser = await chromium.launch({ executablePath: values.browser, args: process.getuid?.() === 0 ? ["--no-sandbox"] : [] });
try {
  if (!values.screenshots) console.log(`the page with faults: all ${await selfTest(browser, axeSource)} are found`);
  for (const path of positionals) {
    const page = await readPage(path);
    if (values.screenshots) {
      await screenshots(browser, page, values.screenshots);
      continue;
    }
    const faults = await judge(browser, page, axeSource);
    console.log(`${page.name}: ${faults.length === 0 ? "no faults" : `${faults.length} faults`} in 2 themes and ${widths.length + 1} widths`);
    for (const f of faults) console.log(`  ${f}`);
    if (faults.length > 0) process.exitCode = 1;
  }
} finally {
  await browser.close();
}

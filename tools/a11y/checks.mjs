// What a page has to be. Each check looks at a loaded page and returns what is wrong, a line for each fault.

const standards = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];

// axe runs every rule of axe-core. What it cannot decide counts as a fault, too: somebody has to look.
export async function axe(page) {
  const result = await page.evaluate((tags) => window.axe.run(document, { runOnly: { type: "tag", values: tags } }), standards);
  const lines = [];
  for (const [kind, rules] of [["", result.violations], ["undecided: ", result.incomplete]]) {
    for (const rule of rules) {
      for (const node of rule.nodes) lines.push(`axe ${kind}${rule.id}: ${node.target.join(" ")}: ${node.failureSummary ?? rule.help}`);
    }
  }
  if (result.passes.length < 10) lines.push(`axe looked at ${result.passes.length} rules only`);
  return lines;
}

// reflow: nothing is cut off, and nobody scrolls sideways, but within a table on a wide screen.
export async function reflow(page) {
  return page.evaluate(() => {
    const width = document.documentElement.clientWidth;
    const lines = [];
    if (document.documentElement.scrollWidth > width) lines.push(`the page is ${document.documentElement.scrollWidth} pixels wide on ${width}`);
    for (const e of document.querySelectorAll("main *, header *, footer *")) {
      const box = e.getBoundingClientRect();
      const hidden = e.closest(".hidden, thead") && getComputedStyle(e.closest(".hidden, thead")).position === "absolute";
      if (hidden || box.width === 0 || e.closest("[role=region]")?.scrollWidth > e.closest("[role=region]")?.clientWidth) continue;
      if (box.right > width + 0.5 || box.left < -0.5) lines.push(`<${e.localName} class="${e.className}"> reaches from ${box.left} to ${box.right}`);
      if (e.scrollWidth > e.clientWidth + 1 && getComputedStyle(e).overflowX === "hidden") lines.push(`<${e.localName} class="${e.className}"> cuts off its text`);
    }
    return lines;
  });
}

// keyboard: the Tab key reaches everything that can be used, in the order of the page, and shows where it is; Enter opens.
export async function keyboard(page) {
  const wanted = await page.evaluate(() => {
    const all = [...document.querySelectorAll("a[href], button, input, select, summary, [tabindex='0']")];
    all.forEach((e, i) => { e.dataset.stop = i; });
    return all.length;
  });
  const lines = [];
  const order = [];
  for (let i = 0; i < wanted; i++) {
    await page.keyboard.press("Tab");
    const at = await page.evaluate(focused);
    if (at.stop === undefined) break;
    order.push(Number(at.stop));
    if (at.ring < 2 || at.contrast < 3) lines.push(`keyboard: the focus on ${at.what} has an outline of ${at.ring} pixels and a contrast of ${at.contrast.toFixed(1)}`);
    if (at.summary) {
      await page.keyboard.press("Enter");
      if (!await page.evaluate(() => document.activeElement.parentElement.open)) lines.push(`keyboard: Enter does not open ${at.what}`);
    }
  }
  const expected = [...Array(wanted).keys()].join(" ");
  if (order.join(" ") !== expected) lines.push(`keyboard: Tab stops at ${order.join(" ") || "nothing"}, wanted ${expected}`);
  return lines;
}

// focused describes what has the focus. It runs in the page.
function focused() {
  const e = document.activeElement;
  const light = (colour) => {
    const canvas = new OffscreenCanvas(1, 1).getContext("2d");
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    const [r, g, b] = [...canvas.getImageData(0, 0, 1, 1).data].map((c) => (c / 255 <= 0.04045 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const style = getComputedStyle(e);
  const [dark, bright] = [light(style.outlineColor), light(getComputedStyle(document.body).backgroundColor)].sort((a, b) => a - b);
  return {
    stop: e.dataset?.stop, what: `<${e.localName}> ${e.textContent.trim().slice(0, 20)}`, summary: e.localName === "summary",
    ring: style.outlineStyle === "none" ? 0 : parseFloat(style.outlineWidth), contrast: (bright + 0.05) / (dark + 0.05),
  };
}

// spoken: what the browser tells a screen reader is what the page holds, on a phone as well, where tables are drawn as
// cards: that would take the tables away from people who cannot see them.
export async function spoken(page) {
  const session = await page.context().newCDPSession(page);
  const { nodes } = await session.send("Accessibility.getFullAXTree");
  await session.detach();
  const said = nodes.filter((n) => !n.ignored).map((n) => ({ role: n.role?.value, name: n.name?.value ?? "" }));
  const count = (role) => said.filter((n) => n.role === role).length;
  const lines = [];
  const held = await page.evaluate(() => Object.fromEntries(["table", "tr", "thead th", "tbody th", "td", "h1", "summary"]
    .map((s) => [s, document.querySelectorAll(s).length])));
  for (const [role, selector] of [["table", "table"], ["row", "tr"], ["columnheader", "thead th"], ["rowheader", "tbody th"], ["cell", "td"]]) {
    if (count(role) !== held[selector]) lines.push(`spoken: ${count(role)} of ${held[selector]} <${selector}> are said to be a ${role}`);
  }
  for (const role of ["main", "banner", "contentinfo"]) {
    if (count(role) !== 1) lines.push(`spoken: ${count(role)} landmarks ${role}, wanted one`);
  }
  if (held.h1 !== 1) lines.push(`spoken: ${held.h1} headings of level 1`);
  for (const n of said) {
    if (["table", "region", "heading", "columnheader", "DisclosureTriangle", "image"].includes(n.role) && !n.name.trim()) lines.push(`spoken: a ${n.role} has no name`);
  }
  return lines;
}

// Reads the pages to judge. The golden files of router status hold pages between lines such as "-- stdout --".
import { readFile } from "node:fs/promises";
import { basename } from "node:path";

const section = /^-- (\S+) --\n/m;

// readPage returns the name of a page and its HTML, from a golden file (.txtar) or from the page itself.
export async function readPage(path) {
  const text = await readFile(path, "utf8");
  const name = basename(path).replace(/(\.html)?(\.txtar)?$/, "");
  if (!path.endsWith(".txtar")) return { name, html: text };
  const parts = text.split(section); // comment, then a name and a text in turn
  const at = parts.indexOf("stdout");
  if (at < 0 || !parts[at + 1].startsWith("<!DOCTYPE html>")) throw new Error(`${path} holds no page`);
  return { name, html: parts[at + 1] };
}

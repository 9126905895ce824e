// Puts a result into files: JSON where it was asked for, and the whole set that README shows.

import { mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { CASES } from "../cases/list.ts";
import { groupsOf } from "./columns.ts";
import { markdownOf } from "./markdown.ts";
import type { Result } from "./result.ts";
import { barChart } from "./svg.ts";

/** In the sources, also when this runs from dist. */
const RESULTS = fileURLToPath(new URL("../../../bench/results/", import.meta.url));

export function writeJson(path: string, result: Result): void {
  writeFileSync(path, `${JSON.stringify(result, undefined, 2)}\n`);
}

/** latest.json, latest.md, and one chart for each table of rates. */
export function writeResults(result: Result): void {
  mkdirSync(RESULTS, { recursive: true });
  for (const name of readdirSync(RESULTS)) if (name.endsWith(".svg")) rmSync(join(RESULTS, name));
  writeJson(join(RESULTS, "latest.json"), result);
  writeFileSync(join(RESULTS, "latest.md"), markdownOf(result));
  const rates = result.rows.filter((row) => row.case !== "start" && row.ops_per_s !== null);
  for (const [title, rows] of groupsOf(rates)) {
    const [first] = rows;
    const question = CASES.find(({ name }) => name === first?.case)?.question ?? "";
    writeFileSync(join(RESULTS, `${fileName(title)}.svg`), barChart(title, question, rows));
  }
}

/** `get-warm 4 x 16, 325 bytes` -> `get-warm-4x16-325` */
function fileName(title: string): string {
  return title.replaceAll(" x ", "x").replace(" bytes", "").replace(",", "").replaceAll(" ", "-");
}

// Puts a result into files: JSON where it was asked for, and the whole set that README shows.

import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { barChart } from "./bars.ts";
import { goalChart } from "./goal-chart.ts";
import { markdownOf } from "./markdown.ts";
import { chartsOf } from "./measures.ts";
import { pageOf } from "./page.ts";
import type { Result } from "./result.ts";

/** In the sources, also when this runs from dist. */
const RESULTS = fileURLToPath(new URL("../../../bench/results/", import.meta.url));

export function writeJson(path: string, result: Result): void {
  writeFileSync(path, `${JSON.stringify(result, undefined, 2)}\n`);
}

/** latest.json, and what is made of it. Returns the page to look at. */
export function writeResults(result: Result): string {
  mkdirSync(RESULTS, { recursive: true });
  writeJson(join(RESULTS, "latest.json"), result);
  writeFileSync(join(RESULTS, "latest.md"), markdownOf(result));
  return drawResults(result, RESULTS);
}

/** The page with its charts; charts of other runs go. */
export function drawResults(result: Result, folder: string): string {
  for (const name of readdirSync(folder)) if (name.endsWith(".svg")) rmSync(join(folder, name));
  writeFileSync(join(folder, "goals.svg"), goalChart(result.goals));
  for (const chart of chartsOf(result.rows)) writeFileSync(join(folder, `${chart.file}.svg`), barChart(chart));
  const page = join(folder, "README.md");
  writeFileSync(page, pageOf(result));
  return page;
}

/** The run that was recorded last, if there is one. */
export function latestResult(): Result | undefined {
  const path = join(RESULTS, "latest.json");
  return existsSync(path) ? (JSON.parse(readFileSync(path, "utf8")) as Result) : undefined;
}

/** @throws Error where no run was recorded. */
export function drawLatest(): string {
  const result = latestResult();
  if (result === undefined)
    throw new Error("No run was recorded yet: run the benchmark without --only and --contender.");
  return drawResults(result, RESULTS);
}

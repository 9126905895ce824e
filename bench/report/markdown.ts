// The results as a Markdown page.

import { CASES } from "../cases/list.ts";
import type { Row } from "../row.ts";
import {
  cellsOf,
  GOAL_HEAD,
  goalCells,
  groupsOf,
  headOf,
  LIMIT_HEAD,
  limitCells,
  PRICE_HEAD,
  priceCells,
  sizeChangesText,
} from "./columns.ts";
import type { Result } from "./result.ts";

export function markdownOf(result: Result): string {
  return [
    "# Results of `npm run bench`",
    "",
    intro(result),
    "",
    "## Goals",
    "",
    tableOf(GOAL_HEAD, result.goals.map(goalCells), 2),
    ...CASES.flatMap(({ name, question }) => sectionOf(result, name, question)),
    ...limitsOfRun(result),
    ...skippedOf(result),
    "",
  ].join("\n");
}

function intro(result: Result): string {
  return `${machineText(result)}
Ratios within one run count, absolute figures do not. "CPU" is that of the processes that use the store (for HTTP: that serve the pages),
"server CPU" that of the store's own process. Latencies are those of one operation among all that run at once.`;
}

/** How long was measured, and on what. */
export function machineText({ mode, machine }: Result): string {
  const { cores, cpu, memory_gb, kernel, node, disk, redis, memcached } = machine;
  const hardware = `${cores} cores (${cpu}), ${memory_gb} GB, Linux ${kernel}, Node ${node}`;
  return `Mode ${mode}; ${hardware}; temporary directory on ${disk}; Redis ${redis}, memcached ${memcached}.`;
}

function sectionOf(result: Result, name: string, question: string): string[] {
  const groups = [...groupsOf(result.rows.filter((row) => row.case === name))];
  if (groups.length === 0) return [];
  const tables = groups.flatMap(([title, rows]) => {
    const heading = groups.length === 1 && title === name ? [] : ["", `### ${title}`];
    const sizes = sizeChangesText(rows);
    return [
      ...heading,
      ...(sizes === "" ? [] : ["", sizes]),
      "",
      tableOf(headOf(rows[0]), rows.map(cellsOf)),
      ...pricesOfTable(rows),
    ];
  });
  return ["", `## ${name}`, "", `Question: ${question}.`, ...tables];
}

/** What the session costs of what a request costs, where the page is there without one, too. */
function pricesOfTable(rows: readonly Row[]): string[] {
  const prices = priceCells(rows);
  if (prices.length === 0) return [];
  const about =
    "CPU of a request in µs: of the worker and of the server, less the page without a session, is what the session costs.";
  return ["", about, "", tableOf(PRICE_HEAD, prices)];
}

function limitsOfRun({ rows }: Result): string[] {
  const limits = limitCells(rows);
  return limits.length === 0 ? [] : ["", ...limitSection(limits)];
}

/** For both pages. */
export function limitSection(limits: readonly (readonly string[])[]): string[] {
  return [
    "## Where one server is the limit",
    "",
    "A server of one thread does no more than its one core: with `w` µs of CPU for each operation in a worker and `s` in the server, more than 1 + w / s cores",
    "bring nothing ([what would come next](../README.md)).",
    "",
    tableOf(LIMIT_HEAD, limits, 3),
  ];
}

function skippedOf({ skipped }: Result): string[] {
  if (skipped.length === 0) return [];
  const lines = skipped.map(
    ({ case: name, contender, reason }) => `* ${name}: ${contender} (${reason.split("\n", 1)[0]})`,
  );
  return ["", "## Not measured", "", ...lines];
}

/** @param textColumns so many columns from the left hold text. */
function tableOf(head: readonly string[], lines: readonly (readonly string[])[], textColumns = 1): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(" | ")} |`;
  return [
    line(head),
    `|${head.map((_, column) => (column < textColumns ? "---" : "--:")).join("|")}|`,
    ...lines.map(line),
  ].join("\n");
}

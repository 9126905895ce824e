// The results as a Markdown page.

import { CASES } from "../cases/list.ts";
import { cellsOf, GOAL_HEAD, goalCells, groupsOf, headOf } from "./columns.ts";
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
    return [...heading, "", tableOf(headOf(rows[0]), rows.map(cellsOf))];
  });
  return ["", `## ${name}`, "", `Question: ${question}.`, ...tables];
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

// The summary on the terminal.

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
import type { Goal } from "./goals.ts";

export function rowTables(rows: readonly Row[]): string {
  const tables = [...groupsOf(rows)].map(([title, group]) => {
    const [first] = group;
    const sizes = sizeChangesText(group);
    const parts = [sizes === "" ? title : `${title}. ${sizes}`, aligned([headOf(first), ...group.map(cellsOf)], 1)];
    const prices = priceCells(group);
    if (prices.length > 0)
      parts.push(
        "",
        "  CPU of a request, and what the session costs of it, in µs",
        aligned([PRICE_HEAD, ...prices], 1),
      );
    return parts.join("\n");
  });
  return [...tables, ...limitTable(rows)].join("\n\n");
}

function limitTable(rows: readonly Row[]): string[] {
  const limits = limitCells(rows);
  return limits.length === 0
    ? []
    : [`where one server is the limit (CPU in µs)\n${aligned([LIMIT_HEAD, ...limits], 3)}`];
}

export function goalTable(goals: readonly Goal[]): string {
  return `goals\n${aligned([GOAL_HEAD.slice(0, 4), ...goals.map((goal) => goalCells(goal).slice(0, 4))], 2)}`;
}

/** @param textColumns so many columns from the left hold text; the others are numbers. */
function aligned(lines: readonly (readonly string[])[], textColumns: number): string {
  const widths = (lines[0] ?? []).map((_, column) => Math.max(...lines.map((line) => (line[column] ?? "").length)));
  const pad = (cell: string, column: number): string =>
    column < textColumns ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0);
  return lines.map((line) => `  ${line.map(pad).join("  ")}`).join("\n");
}

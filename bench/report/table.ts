// The summary on the terminal.

import type { Row } from "../row.ts";
import { cellsOf, GOAL_HEAD, goalCells, groupsOf, headOf } from "./columns.ts";
import type { Goal } from "./goals.ts";

export function rowTables(rows: readonly Row[]): string {
  const tables = [...groupsOf(rows)].map(([title, group]) => {
    const [first] = group;
    return `${title}\n${aligned([headOf(first), ...group.map(cellsOf)], 1)}`;
  });
  return tables.join("\n\n");
}

export function goalTable(goals: readonly Goal[]): string {
  return `goals\n${aligned([GOAL_HEAD, ...goals.map(goalCells)], 2)}`;
}

/** @param textColumns so many columns from the left hold text; the others are numbers. */
function aligned(lines: readonly (readonly string[])[], textColumns: number): string {
  const widths = (lines[0] ?? []).map((_, column) => Math.max(...lines.map((line) => (line[column] ?? "").length)));
  const pad = (cell: string, column: number): string =>
    column < textColumns ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0);
  return lines.map((line) => `  ${line.map(pad).join("  ")}`).join("\n");
}

// The columns of the result tables, for the terminal and for Markdown alike.

import type { Row } from "../row.ts";
import { oursIn } from "./derived/find.ts";
import { limitsOf } from "./derived/limits.ts";
import { priceOf } from "./derived/prices.ts";
import type { Figure, Goal } from "./goals.ts";

export const ROW_HEAD: readonly string[] = [
  "contender",
  "ops/s",
  "p50 µs",
  "p99 µs",
  "CPU µs/op",
  "server CPU µs/op",
  "lost",
];
export const MEMORY_HEAD: readonly string[] = ["contender", "resident MB", "bytes/session"];
export const GOAL_HEAD: readonly string[] = ["case", "goal", "reached", "", "beside"];
export const PRICE_HEAD: readonly string[] = ["contender", "worker", "server", "page without", "session", "of ours"];
export const LIMIT_HEAD: readonly string[] = [
  "case",
  "workers",
  "contender",
  "worker",
  "server",
  "server alone /s",
  "limit at cores",
];

export function cellsOf(row: Row): string[] {
  if (isOfMemory(row)) return [row.contender, textOf(row.resident_mb), textOf(row.bytes_per_session)];
  const figures = [row.ops_per_s, row.p50_us, row.p99_us, row.cpu_us_per_op, row.server_cpu_us_per_op, row.lost];
  return [row.contender, ...figures.map(textOf)];
}

export function headOf(row: Row | undefined): readonly string[] {
  return row !== undefined && isOfMemory(row) ? MEMORY_HEAD : ROW_HEAD;
}

export function goalCells(goal: Goal): string[] {
  const { reached, unit } = goal;
  const text = reached === undefined ? "–" : `${withDigits(reached)} ${unit}`;
  return [goal.case, goal.text, text, verdictOf(goal), (goal.beside ?? []).map(figureText).join("; ")];
}

function figureText({ contender, value, unit }: Figure): string {
  return `${contender} ${withDigits(value)}${unit === "/s" ? "" : " "}${unit}`;
}

/** µs of CPU for each request; none for a case in which no page is served without a session. */
export function priceCells(rows: readonly Row[]): readonly (readonly string[])[] {
  const prices = rows.flatMap((row) => priceOf(rows, row) ?? []);
  const ours = prices.find(({ contender }) => contender === oursIn(rows[0]?.case ?? ""))?.sessionUs;
  return prices.map(({ contender, workerUs, serverUs, bareUs, sessionUs }) => [
    contender,
    ...[workerUs, serverUs, bareUs, sessionUs].map(withDigits),
    ours === undefined ? "–" : `${withDigits(sessionUs / ours)} x`,
  ]);
}

/** Of a server with one thread: µs of CPU on either side, and what follows. */
export function limitCells(rows: readonly Row[]): readonly (readonly string[])[] {
  return limitsOf(rows).map(({ case: name, procs, contender, workerUs, serverUs, perSecond, cores }) => [
    ...[name, String(procs), contender],
    ...[workerUs, serverUs, perSecond, cores].map(withDigits),
  ]);
}

/** How often the changes of this table make a session longer or shorter; empty where nothing is changed. */
export function sizeChangesText(rows: readonly Row[]): string {
  const share = rows.find(({ size_changes: known }) => known !== undefined)?.size_changes;
  if (share === undefined) return "";
  const percent = share === 0 ? "None" : share < 0.005 ? "Less than 1 %" : `${Math.round(100 * share)} %`;
  return `${percent} of the changes make a session longer or shorter.`;
}

/** Rows of one case, shape and size: what stands in one table. */
export function groupsOf(rows: readonly Row[]): ReadonlyMap<string, readonly Row[]> {
  const groups = new Map<string, Row[]>();
  for (const row of rows) {
    const group = groups.get(titleOf(row));
    if (group === undefined) groups.set(titleOf(row), [row]);
    else group.push(row);
  }
  return groups;
}

function isOfMemory({ case: name }: Row): boolean {
  return name === "memory" || name === "redis-memory" || name === "soak";
}

function titleOf({ case: name, procs, concurrency, size }: Row): string {
  if (name === "start" || name === "memory" || name === "redis-memory") return name;
  if (name === "soak") return `${name}, ${size} operations`;
  return `${name} ${procs} x ${concurrency}, ${size} bytes`;
}

function verdictOf({ isMet }: Goal): string {
  if (isMet === undefined) return "not measured";
  return isMet ? "ok" : "MISSED";
}

function textOf(value: number | null | undefined): string {
  return value === null || value === undefined ? "–" : withDigits(value);
}

function withDigits(value: number): string {
  const digits = value >= 100 || Number.isInteger(value) ? 0 : value >= 10 ? 1 : 2;
  return value
    .toLocaleString("en", { maximumFractionDigits: digits, minimumFractionDigits: digits })
    .replaceAll(",", " ");
}

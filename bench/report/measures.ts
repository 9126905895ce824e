// Which figures of a table are drawn, and as what: any case that has rows has a chart.

import { CASES } from "../cases/list.ts";
import type { Row } from "../row.ts";
import { groupsOf } from "./columns.ts";
import { oursIn } from "./derived/find.ts";
import { priceOf } from "./derived/prices.ts";

const OURS = "gambas-session";

/** What the length of a bar means. */
export interface Measure {
  /** Part of the name of the chart's file; empty for what most cases measure. */
  readonly name: string;
  readonly about: string;
  readonly better: "more" | "less";
  of(row: Row): number | null | undefined;
  textOf(value: number): string;
}

const RATE: Measure = {
  name: "",
  about: "operations a second, more is better",
  better: "more",
  of: (row) => row.ops_per_s,
  textOf: (value) => `${scaled(value)}/s`,
};
const TIME: Measure = {
  name: "time",
  about: "time of one operation (median), less is better",
  better: "less",
  of: (row) => row.p50_us,
  textOf: (value) => (value < 1000 ? `${digits(value)} µs` : `${digits(value / 1000)} ms`),
};
const RESIDENT: Measure = {
  name: "resident",
  about: "memory of the process, less is better",
  better: "less",
  of: (row) => row.resident_mb,
  textOf: (value) => `${digits(value)} MB`,
};
const EACH: Measure = {
  name: "each",
  about: "memory for each session, less is better",
  better: "less",
  of: (row) => row.bytes_per_session,
  textOf: (value) => `${digits(value)} bytes`,
};

/** Undefined for a row that has no page without a session beside it. */
function priceIn(rows: readonly Row[]): Measure {
  return {
    name: "cpu",
    about: "CPU that the session costs a request, in worker and server, less is better",
    better: "less",
    of: (row) => priceOf(rows, row)?.sessionUs,
    textOf: (value) => `${digits(value)} µs`,
  };
}

export interface Bar {
  readonly label: string;
  readonly value: number;
  readonly kind: "ours" | "peer" | "floor";
  /** The value, and what else is to be said of it. */
  readonly text: string;
}

export interface Chart {
  /** Without an ending. */
  readonly file: string;
  readonly case: string;
  readonly title: string;
  /** Empty for a case that is not in the list any more. */
  readonly question: string;
  /** What the bars mean. */
  readonly about: string;
  /** The best first; floors, which nobody is meant to pick, above all. */
  readonly bars: readonly Bar[];
}

export function chartsOf(rows: readonly Row[]): readonly Chart[] {
  return [...groupsOf(rows)].flatMap(([title, group]) =>
    measuresOf(group).map((measure) => chartOf(title, group, measure)),
  );
}

/** What a start takes is told in time; else how much is done in a second, and memory where it was measured. */
function measuresOf(rows: readonly Row[]): readonly Measure[] {
  const has = (measure: Measure): boolean => rows.some((row) => typeof measure.of(row) === "number");
  if (rows[0]?.case === "start") return [TIME];
  const found = [RATE, priceIn(rows), RESIDENT, EACH].filter(has);
  return found.length > 0 ? found : [TIME];
}

function chartOf(title: string, rows: readonly Row[], measure: Measure): Chart {
  const measured = rows.flatMap((row) => {
    const value = measure.of(row);
    return typeof value === "number" ? [{ row, value }] : [];
  });
  const name = rows[0]?.case ?? "";
  const ours = measured.find(({ row }) => row.contender === oursIn(name))?.value;
  const bars = measured.map(({ row, value }): Bar => {
    const text = [measure.textOf(value), besideOurs(row, value, ours), lostText(row)].filter((part) => part !== "");
    return { label: row.contender, value, kind: kindOf(row), text: text.join(", ") };
  });
  const sign = measure.better === "more" ? -1 : 1;
  const ranked = bars.toSorted((a, b) => rankOf(a) - rankOf(b) || sign * (a.value - b.value));
  const file = measure.name === "" || name === "start" ? fileOf(title) : `${fileOf(title)}-${measure.name}`;
  return { file, case: name, title: shapeOf(title), question: questionOf(name), about: measure.about, bars: ranked };
}

export function questionOf(name: string): string {
  const question = CASES.find((one) => one.name === name)?.question ?? "";
  return question.charAt(0).toUpperCase() + question.slice(1);
}

function rankOf({ kind }: Bar): number {
  return kind === "floor" ? 0 : 1;
}

function kindOf({ contender, is_floor }: Row): Bar["kind"] {
  if (is_floor === true) return "floor";
  return contender.startsWith(OURS) ? "ours" : "peer";
}

function besideOurs({ case: name, contender }: Row, value: number, ours: number | undefined): string {
  return ours === undefined || ours === 0 || contender === oursIn(name) ? "" : `${digits(value / ours)} × ours`;
}

function lostText({ lost }: Row): string {
  return lost === null ? "" : lost === 0 ? "none lost" : `${Math.round(lost).toLocaleString("en")} LOST`;
}

/** `set 4 x 16, 319 bytes` -> `set: 4 processes, 16 at once in each, 319 bytes` */
function shapeOf(title: string): string {
  const one = title.replace(/ 1 x 1,/, ": one process, one at a time,");
  return one.replace(/ (\d+) x (\d+),/, ": $1 processes, $2 at once in each,");
}

/** `get-warm 4 x 16, 325 bytes` -> `get-warm-4x16-325` */
function fileOf(title: string): string {
  return title.replaceAll(" x ", "x").replace(" bytes", "").replace(",", "").replaceAll(" ", "-");
}

function scaled(value: number): string {
  if (value >= 999_500) return `${(value / 1e6).toFixed(2)} M`;
  return value >= 1000 ? `${(value / 1000).toFixed(1)} k` : digits(value);
}

function digits(value: number): string {
  return value >= 100 || Number.isInteger(value)
    ? Math.round(value).toLocaleString("en")
    : value.toFixed(value >= 10 ? 1 : 2);
}

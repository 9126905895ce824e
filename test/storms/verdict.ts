// What the records of a storm prove: figures, and what is wrong with them.

import { checkRegister } from "../support/linearizability.ts";
import { type Recorded, registersOf } from "./recorder.ts";

interface Increments {
  readonly acknowledged: number;
  /** Those that may or may not have been carried out. */
  readonly unknown: number;
  /** What the counters say in the end. */
  readonly counted: number;
}

export interface Verdict {
  readonly operations: number;
  readonly acknowledgedWrites: number;
  /** Operations whose worker was killed, or that failed, before they were answered. */
  readonly unknown: number;
  readonly failures: Readonly<Record<string, number>>;
  /** What the first of each kind said. */
  readonly reasons: readonly string[];
  readonly registers: number;
  readonly increments: Increments;
  /** Acknowledged increments that are not counted. */
  readonly lost: number;
  /** Increments counted beyond those that were asked for. */
  readonly doubled: number;
  readonly longestOperationMs: number;
  /** The longest time in which not one operation of any worker ended. */
  readonly longestGapMs: number;
  readonly violations: readonly string[];
}

const UNKNOWN = Number.POSITIVE_INFINITY;
const NS_PER_MS = 1e6;

export function judge(records: readonly Recorded[]): Verdict {
  const violations: string[] = [];
  const registers = registersOf(records);
  for (const [name, operations] of registers) {
    for (const problem of checkRegister(operations)) violations.push(`${name}: ${problem}`);
  }
  const counters = [...countersOf(records)].map(([name, of]) => judgeCounter(name, of, violations));
  const sum = (of: (counter: Increments) => number): number => counters.reduce((all, one) => all + of(one), 0);
  return {
    operations: records.length,
    acknowledgedWrites: records.filter(({ kind, end }) => isWrite(kind) && end !== UNKNOWN).length,
    unknown: records.filter(({ end }) => end === UNKNOWN).length,
    failures: countFailures(records),
    reasons: reasonsOf(records),
    registers: registers.size,
    increments: {
      acknowledged: sum((one) => one.acknowledged),
      unknown: sum((one) => one.unknown),
      counted: sum((one) => one.counted),
    },
    lost: sum((one) => Math.max(0, one.acknowledged - one.counted)),
    doubled: sum((one) => Math.max(0, one.counted - one.acknowledged - one.unknown)),
    ...timesOf(records),
    violations,
  };
}

function isWrite(kind: Recorded["kind"]): boolean {
  return kind === "write" || kind === "update" || kind === "add";
}

function countersOf(records: readonly Recorded[]): Map<string, Recorded[]> {
  const counters = new Map<string, Recorded[]>();
  for (const record of records) {
    if (record.kind !== "add" && record.kind !== "count") continue;
    const others = counters.get(record.register);
    if (others === undefined) counters.set(record.register, [record]);
    else others.push(record);
  }
  return counters;
}

function countFailures(records: readonly Recorded[]): Record<string, number> {
  const failures: Record<string, number> = {};
  for (const { failure } of records) if (failure !== undefined) failures[failure] = (failures[failure] ?? 0) + 1;
  return failures;
}

function reasonsOf(records: readonly Recorded[]): string[] {
  const reasons = new Map<string, string>();
  for (const { kind, by, failure, reason } of records) {
    if (failure !== undefined && !reasons.has(failure)) reasons.set(failure, `${kind} of ${by}: ${reason}`);
  }
  return [...reasons.values()];
}

function timesOf(records: readonly Recorded[]): { longestOperationMs: number; longestGapMs: number } {
  const known = records.filter(({ end }) => end !== UNKNOWN);
  const ends = known.map(({ end }) => end).sort((a, b) => a - b);
  let [longest, longestGap] = [0, 0];
  for (const { call, end } of known) longest = Math.max(longest, end - call);
  for (const [index, end] of ends.entries()) longestGap = Math.max(longestGap, end - (ends[index - 1] ?? end));
  return { longestOperationMs: toMs(longest), longestGapMs: toMs(longestGap) };
}

function toMs(ns: number): number {
  return Math.round((10 * ns) / NS_PER_MS) / 10;
}

/** A counter that only transactions increment: each sum is reached once, and whoever looks later sees no less. */
function judgeCounter(name: string, records: readonly Recorded[], violations: string[]): Increments {
  const adds = records.filter(({ kind }) => kind === "add");
  const known = adds.filter(({ end }) => end !== UNKNOWN);
  // Whose worker was killed before `fn` had run cannot have taken effect.
  const unknown = adds.filter(({ end, attempts }) => end === UNKNOWN && attempts.length > 0).length;
  const sums = new Map<number, string>();
  for (const { value, by } of known) {
    const other = sums.get(Number(value));
    if (other !== undefined) violations.push(`${name}: lost update: ${by} and ${other} both counted to ${value}`);
    sums.set(Number(value), by);
  }
  checkGrowth(name, records, violations);
  const counted = lastCount(records);
  if (counted < known.length) violations.push(`${name}: ${known.length} acknowledged, only ${counted} counted`);
  if (counted > known.length + unknown) {
    violations.push(`${name}: ${known.length} acknowledged and ${unknown} unknown, but ${counted} counted`);
  }
  return { acknowledged: known.length, unknown, counted };
}

/** What the last reader of all saw. */
function lastCount(records: readonly Recorded[]): number {
  let last: Recorded | undefined;
  for (const record of records) {
    if (record.kind === "count" && record.end !== UNKNOWN && record.call > (last?.call ?? 0)) last = record;
  }
  return Number(last?.value ?? 0);
}

/** What was called after something ended sees at least as much, and an increment more. */
function checkGrowth(name: string, records: readonly Recorded[], violations: string[]): void {
  const known = records.filter(({ end }) => end !== UNKNOWN);
  const byCall = [...known].sort((a, b) => a.call - b.call);
  const byEnd = [...known].sort((a, b) => a.end - b.end);
  let [ended, highest, highestBy] = [0, 0, "nobody"];
  for (const { kind, call, value, by } of byCall) {
    for (let next = byEnd[ended]; next !== undefined && next.end < call; next = byEnd[ended]) {
      ended += 1;
      if (Number(next.value) <= highest) continue;
      highest = Number(next.value);
      highestBy = next.by;
    }
    const least = kind === "add" ? highest + 1 : highest;
    if (Number(value) < least) {
      violations.push(`${name}: stale: ${by} had ${value} after ${highestBy} had ${highest}`);
    }
  }
}

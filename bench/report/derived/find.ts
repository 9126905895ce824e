// Finds rows of a run, and compares two figures that may be missing.

import type { Row } from "../../row.ts";

export interface Where {
  readonly case: string;
  readonly procs?: number;
  readonly contender: string;
  /** Default: the realistic size, which comes before the large one. */
  readonly size?: "large";
}

export function find(rows: readonly Row[], where: Where): Row | undefined {
  const found = rows.filter(
    (row) =>
      row.case === where.case &&
      row.contender === where.contender &&
      (where.procs === undefined || row.procs === where.procs),
  );
  return where.size === "large" ? found.find(({ size }) => size > (found[0]?.size ?? 0)) : found[0];
}

/** The contender of ours that others are compared with. */
export function oursIn(name: string): string {
  return name.startsWith("redis-") ? "gambas-session redis" : "gambas-session";
}

export function rateOf(rows: readonly Row[], where: Where): number | undefined {
  return find(rows, where)?.ops_per_s ?? undefined;
}

export function ratio(a: number | undefined, b: number | undefined): number | undefined {
  return a === undefined || b === undefined ? undefined : a / b;
}

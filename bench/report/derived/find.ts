// Finds rows of a run, and compares two figures that may be missing.

import type { Row } from "../../row.ts";

export interface Where {
  readonly case: string;
  readonly procs?: number;
  readonly contender: string;
}

/** The first that is meant: the realistic size comes before the large one. */
export function find(rows: readonly Row[], where: Where): Row | undefined {
  return rows.find(
    (row) =>
      row.case === where.case &&
      row.contender === where.contender &&
      (where.procs === undefined || row.procs === where.procs),
  );
}

export function rateOf(rows: readonly Row[], where: Where): number | undefined {
  return find(rows, where)?.ops_per_s ?? undefined;
}

export function ratio(a: number | undefined, b: number | undefined): number | undefined {
  return a === undefined || b === undefined ? undefined : a / b;
}

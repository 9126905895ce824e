// What a goal is, how it is judged, and what stands beside it: what its peers and the floors of its kind reached in the same run.

import type { Row } from "../row.ts";
import { find, type Where } from "./derived/find.ts";

export interface Goal {
  readonly case: string;
  readonly text: string;
  /** How the two sides compare; undefined where one was not measured. */
  readonly reached: number | undefined;
  readonly target: number;
  readonly isMet: boolean | undefined;
  readonly unit: string;
  /** The figures that are compared, ours first, and the floors of the same kind; absent in runs of before. */
  readonly beside?: readonly Figure[];
}

/** What somebody reached, for a goal to stand beside. */
export interface Figure {
  readonly contender: string;
  readonly value: number;
  readonly unit: "/s" | "µs" | "bytes";
}

/** The least by this measure. */
export function bestOf<T>(among: readonly T[], measure: (one: T) => number): T | undefined {
  return among.toSorted((a, b) => measure(a) - measure(b))[0];
}

export function ratesBeside(rows: readonly Row[], where: Where, peers: readonly string[]): readonly Figure[] {
  return besideOf(rows, where, peers, ({ ops_per_s: value }) => (value === null ? undefined : { value, unit: "/s" }));
}

export function timeOf(value: number | null): Omit<Figure, "contender"> | undefined {
  return value === null ? undefined : { value, unit: "µs" };
}

/** Ours, the peers that it is compared with, and the floors of its case, shape, size and file system. */
export function besideOf(
  rows: readonly Row[],
  where: Where,
  peers: readonly string[],
  of: (row: Row) => Omit<Figure, "contender"> | undefined,
): readonly Figure[] {
  const ours = find(rows, where);
  const isOnTmpfs = (contender: string): boolean => contender.endsWith(" tmpfs");
  const floors = rows.filter(
    ({ contender, is_floor: isFloor, ...row }) =>
      isFloor === true &&
      row.case === ours?.case &&
      row.procs === ours.procs &&
      row.size === ours.size &&
      (!contender.startsWith("floor: file") || isOnTmpfs(contender) === isOnTmpfs(where.contender)),
  );
  const others = peers.flatMap((contender) => find(rows, { ...where, contender }) ?? []);
  return [...(ours === undefined ? [] : [ours]), ...others, ...floors].flatMap((row) => {
    const figure = of(row);
    return figure === undefined ? [] : [{ contender: row.contender, ...figure }];
  });
}

export function atLeast(name: string, text: string, target: number, reached: number | undefined): Goal {
  return { case: name, text, target, reached, isMet: reached === undefined ? undefined : reached >= target, unit: "x" };
}

export function atMost(name: string, text: string, target: number, reached: number | undefined): Goal {
  return { case: name, text, target, reached, isMet: reached === undefined ? undefined : reached <= target, unit: "x" };
}

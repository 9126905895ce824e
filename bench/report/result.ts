// Everything one run found out: what latest.json holds.

import type { Skipped } from "../lab.ts";
import type { Plan } from "../plan.ts";
import type { Row } from "../row.ts";
import type { Seconds } from "./course.ts";
import type { Goal } from "./goals.ts";
import type { Machine } from "./machine.ts";

export interface Result {
  readonly mode: Plan["mode"];
  readonly machine: Machine;
  readonly rows: readonly Row[];
  readonly goals: readonly Goal[];
  readonly skipped: readonly Skipped[];
  /** What the cases took, for the next run to guess by. */
  readonly seconds?: Seconds;
}

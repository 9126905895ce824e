// How long and how often is measured.

export interface Plan {
  readonly mode: "quick" | "normal" | "full";
  readonly rounds: number;
  readonly roundMs: number;
  /** One piece of the warm-up; there are as many as it takes to reach `warmOps`, at most 16. */
  readonly warmMs: number;
  readonly warmOps: number;
  readonly warmRequests: number;
  /** Sessions that exist in the store cases and are used in turn. */
  readonly sessions: number;
  /** Session files in the start and memory cases. */
  readonly manyFiles: readonly number[];
  readonly startRounds: number;
  /** Also sessions of 8 KB. */
  readonly measuresLarge: boolean;
}

export const PLANS: Readonly<Record<Plan["mode"], Plan>> = {
  quick: {
    mode: "quick",
    rounds: 3,
    roundMs: 200,
    warmMs: 100,
    warmOps: 20_000,
    warmRequests: 12_000,
    sessions: 512,
    manyFiles: [100_000],
    startRounds: 5,
    measuresLarge: false,
  },
  normal: {
    mode: "normal",
    rounds: 5,
    roundMs: 1000,
    warmMs: 300,
    warmOps: 100_000,
    warmRequests: 30_000,
    sessions: 512,
    manyFiles: [100_000],
    startRounds: 11,
    measuresLarge: true,
  },
  full: {
    mode: "full",
    rounds: 7,
    roundMs: 1000,
    warmMs: 300,
    warmOps: 100_000,
    warmRequests: 30_000,
    sessions: 512,
    manyFiles: [100_000, 1_000_000],
    startRounds: 11,
    measuresLarge: true,
  },
};

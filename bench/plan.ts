// How long and how often is measured.

export interface Plan {
  readonly mode: "quick" | "normal" | "full";
  readonly rounds: number;
  readonly roundMs: number;
  readonly warmMs: number;
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
    warmMs: 150,
    sessions: 512,
    manyFiles: [100_000],
    startRounds: 5,
    measuresLarge: false,
  },
  normal: {
    mode: "normal",
    rounds: 5,
    roundMs: 1000,
    warmMs: 500,
    sessions: 512,
    manyFiles: [100_000],
    startRounds: 11,
    measuresLarge: true,
  },
  full: {
    mode: "full",
    rounds: 7,
    roundMs: 1000,
    warmMs: 500,
    sessions: 512,
    manyFiles: [100_000, 1_000_000],
    startRounds: 11,
    measuresLarge: true,
  },
};

// How long and how often is measured.

export interface Plan {
  readonly mode: "quick" | "normal" | "full";
  readonly rounds: number;
  readonly roundMs: number;
  /** One piece of the warm-up; there are as many as it takes to reach `warmOps`, at most `maxWarmUps`. */
  readonly warmMs: number;
  readonly maxWarmUps: number;
  readonly warmOps: number;
  /** The same for a site, in requests. */
  readonly maxSiteWarmUps: number;
  readonly warmRequests: number;
  /** Sessions that exist in the store cases and are used in turn. */
  readonly sessions: number;
  /** Session files in the start and memory cases. */
  readonly manyFiles: readonly number[];
  readonly startRounds: number;
  /** Operations of the soak. */
  readonly soakOps: number;
  /** Also sessions of 8 KB. */
  readonly measuresLarge: boolean;
  /** Cases that are only run when they are asked for. */
  readonly leavesOutCases: readonly string[];
  /** Contenders that are left out because others of their kind are there: everywhere, in `<case>: ...`, or in `<case> alone: ...`. */
  readonly leavesOut: readonly string[];
}

export const PLANS: Readonly<Record<Plan["mode"], Plan>> = {
  quick: {
    mode: "quick",
    rounds: 3,
    roundMs: 150,
    warmMs: 100,
    maxWarmUps: 8,
    warmOps: 20_000,
    maxSiteWarmUps: 24,
    warmRequests: 30_000,
    sessions: 256,
    manyFiles: [20_000],
    startRounds: 3,
    soakOps: 20_000,
    measuresLarge: false,
    leavesOutCases: [
      "write-scale",
      "redis-read",
      "redis-change",
      "redis-visit",
      "redis-count",
      "redis-http-read",
      "redis-http-write",
      "redis-memory",
    ],
    leavesOut: [
      "connect-memcached",
      "connect-redis/node-redis",
      "gambas-session, every key",
      "gambas-session sqlite tmpfs",
      "better-sqlite3",
      "get-warm alone: session-file-store",
      "set alone: session-file-store",
      "set alone: session-file-store tmpfs",
      "set alone: connect-redis/node-redis AOF",
      "set: connect-redis/ioredis",
      "touch: connect-redis/ioredis",
      "touch: session-file-store",
      "touch: connect-redis/node-redis AOF",
      "increment: session-file-store",
      "http-read: session-file-store",
      "http-read: connect-redis/ioredis",
      "http-read: connect-redis/node-redis AOF",
      "http-write: session-file-store",
      "http-write: connect-redis/ioredis",
      "http-write: connect-redis/node-redis AOF",
      "http-write: gambas-session tmpfs",
      "http-write: gambas-session sqlite",
    ],
  },
  normal: {
    mode: "normal",
    rounds: 5,
    roundMs: 1000,
    warmMs: 300,
    maxWarmUps: 16,
    warmOps: 100_000,
    maxSiteWarmUps: 16,
    warmRequests: 30_000,
    sessions: 512,
    manyFiles: [100_000],
    startRounds: 11,
    soakOps: 200_000,
    measuresLarge: true,
    leavesOutCases: [],
    leavesOut: [],
  },
  full: {
    mode: "full",
    rounds: 7,
    roundMs: 1000,
    warmMs: 300,
    maxWarmUps: 16,
    warmOps: 100_000,
    maxSiteWarmUps: 16,
    warmRequests: 30_000,
    sessions: 512,
    manyFiles: [100_000, 1_000_000],
    startRounds: 11,
    soakOps: 200_000,
    measuresLarge: true,
    leavesOutCases: [],
    leavesOut: [],
  },
};

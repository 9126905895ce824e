// The goals of sessions on Redis: as fast as connect-redis, and exact.

import type { Row } from "../row.ts";
import { find, rateOf, ratio, type Where } from "./derived/find.ts";
import { atLeast, atMost, besideOf, bestOf, type Goal, ratesBeside, timeOf } from "./goal.ts";

const OURS = "gambas-session redis";
const BACKEND = `${OURS}, backend`;
const STALE = `${OURS}, 50 ms`;
const IOREDIS = "connect-redis/ioredis AOF";
const CONNECT_REDIS = /^connect-redis/;
const WATCHED = /WATCH/;

type Size = "realistic" | "large";

export function redisGoals(rows: readonly Row[]): Goal[] {
  return [...readGoals(rows), ...changeGoals(rows), ...countGoals(rows), ...httpGoals(rows), memoryGoal(rows)];
}

function readGoals(rows: readonly Row[]): Goal[] {
  const name = "redis-read";
  const where: Where = { case: name, contender: OURS };
  const cpu = (contender: string): number | undefined =>
    find(rows, { ...where, contender })?.cpu_us_per_op ?? undefined;
  const workerCpu = atMost(
    name,
    "CPU of the worker: <= 0.4 x connect-redis/ioredis",
    0.4,
    ratio(cpu(OURS), cpu(IOREDIS)),
  );
  const backend: Where = { case: name, contender: BACKEND };
  return [
    rateGoal(rows, backend, { size: "realistic", target: 3, said: "backend alone" }),
    rateGoal(rows, backend, { size: "large", target: 5, said: "backend alone" }),
    serverGoal(rows, backend, { target: 1, said: "Redis' CPU for a read" }),
    rateGoal(rows, where, { size: "realistic", target: 1.3 }),
    rateGoal(rows, where, { size: "large", target: 3 }),
    against(rows, where, { peer: "gambas-session memory", target: 0.75, said: "type memory" }),
    { ...workerCpu, beside: besideOf(rows, where, [IOREDIS], (row) => timeOf(row.cpu_us_per_op)) },
    against(
      rows,
      { ...where, contender: STALE },
      { peer: "gambas-session", target: 0.8, said: "type file", of: "50 ms" },
    ),
  ];
}

function changeGoals(rows: readonly Row[]): Goal[] {
  const backend: Where = { case: "redis-change", contender: BACKEND };
  return [
    rateGoal(rows, backend, { size: "realistic", target: 1, said: "backend alone" }),
    rateGoal(rows, backend, { size: "large", target: 2.5, said: "backend alone" }),
    serverGoal(rows, backend, { target: 16, said: "Redis' CPU for a change" }),
    rateGoal(rows, { case: "redis-visit", contender: OURS }, { size: "realistic", target: 0.9 }),
  ];
}

function countGoals(rows: readonly Row[]): Goal[] {
  const name = "redis-count";
  const found = [1, 3].map((procs) => find(rows, { case: name, procs, contender: OURS }));
  const lost = found.includes(undefined) ? undefined : found.reduce((sum, row) => sum + (row?.lost ?? 0), 0);
  const targets = [
    [1, 20],
    [3, 15],
  ] as const;
  const rates = targets.map(([hosts, target]): Goal => {
    const where: Where = { case: name, procs: hosts, contender: OURS };
    const watched = rows.filter((row) => row.case === name && row.procs === hosts && WATCHED.test(row.contender));
    const best = bestOf(watched, (row) => -(row.ops_per_s ?? 0));
    const text = `${hosts === 1 ? "1 host" : `${hosts} hosts`}: >= ${target} x WATCH/MULTI`;
    const reached = ratio(rateOf(rows, where), best?.ops_per_s ?? undefined);
    const peers = best === undefined ? [] : [best.contender];
    return { ...atLeast(name, text, target, reached), beside: ratesBeside(rows, where, peers) };
  });
  return [{ ...atMost(name, "none lost", 0, lost), unit: "lost" }, ...rates];
}

function httpGoals(rows: readonly Row[]): Goal[] {
  const page = (name: string, contender: string, target: number): Goal => {
    const peers = rows.filter((row) => row.case === name && CONNECT_REDIS.test(row.contender));
    const best = bestOf(peers, (row) => -(row.ops_per_s ?? 0));
    const where: Where = { case: name, contender };
    const text = `${contender === STALE ? "50 ms: " : ""}>= ${target} x express-session + connect-redis`;
    const reached = ratio(rateOf(rows, where), best?.ops_per_s ?? undefined);
    const names = best === undefined ? [] : [best.contender];
    return { ...atLeast(name, text, target, reached), beside: ratesBeside(rows, where, names) };
  };
  return [
    page("redis-http-read", OURS, 1.5),
    page("redis-http-read", STALE, 2.5),
    page("redis-http-write", OURS, 1),
    page("redis-http-write", STALE, 1),
  ];
}

function memoryGoal(rows: readonly Row[]): Goal {
  const of = (name: string): number | undefined =>
    rows.find((row) => row.case === "redis-memory" && row.contender.startsWith(`${name}, `))?.bytes_per_session;
  return atMost("redis-memory", "each session: <= 1.2 x connect-redis", 1.2, ratio(of(OURS), of(IOREDIS)));
}

interface RateGoal {
  readonly size: Size;
  readonly target: number;
  /** Default: from a worker. */
  readonly said?: string;
}

/** So many times as often as connect-redis on ioredis. */
function rateGoal(rows: readonly Row[], where: Where, { size, target, said = "from a worker" }: RateGoal): Goal {
  const own: Where = size === "large" ? { ...where, size } : where;
  const reached = ratio(rateOf(rows, own), rateOf(rows, { ...own, contender: IOREDIS }));
  const text = `${said}${size === "large" ? ", 8 KB" : ""}: >= ${target} x connect-redis/ioredis`;
  return { ...atLeast(where.case, text, target, reached), beside: ratesBeside(rows, own, [IOREDIS]) };
}

/** The CPU of Redis alone, which is the server of a backend that is measured by itself. */
function serverGoal(rows: readonly Row[], where: Where, { target, said }: { target: number; said: string }): Goal {
  const cpu = find(rows, where)?.server_cpu_us_per_op ?? undefined;
  const beside = besideOf(rows, where, [IOREDIS], (row) => timeOf(row.server_cpu_us_per_op));
  return { ...atMost(where.case, `${said}: <= ${target} µs`, target, cpu), unit: "µs", beside };
}

interface Against {
  readonly peer: string;
  readonly target: number;
  readonly said: string;
  readonly of?: string;
}

function against(rows: readonly Row[], where: Where, { peer, target, said, of = "from a worker" }: Against): Goal {
  const reached = ratio(rateOf(rows, where), rateOf(rows, { ...where, contender: peer }));
  const goal = atLeast(where.case, `${of}: >= ${target} x the same of ${said}`, target, reached);
  return { ...goal, beside: ratesBeside(rows, where, [peer]) };
}

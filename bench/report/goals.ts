// The goals the project has set itself, computed from the rows of one run.

import type { Row } from "../row.ts";
import { find, rateOf, ratio } from "./derived/find.ts";
import { pricesOf } from "./derived/prices.ts";
import { atLeast, atMost, besideOf, bestOf, type Figure, type Goal, ratesBeside, timeOf } from "./goal.ts";
import { redisGoals } from "./redis-goals.ts";
import { sqliteGoals } from "./sqlite-goals.ts";

export type { Figure, Goal } from "./goal.ts";

const OURS = "gambas-session";
const IOREDIS = "connect-redis/ioredis";
const AOF = `${IOREDIS} AOF`;
const BARE = "no session";
const FLOOR_IN_C = "floor: daemon in C";
/** With its log, so that Redis keeps what it acknowledges. */
const CONNECT_REDIS = /^connect-redis.*AOF$/;
/** OPERATING, "Memory": of a worker twice what is bounded, besides the process; of the daemon all, which so few operations do not fill. */
const [SOAK_WORKER_MB, SOAK_DAEMON_MB] = [222, 388];

export function goalsOf(rows: readonly Row[]): Goal[] {
  return [
    ...readGoals(rows),
    ...setGoals(rows),
    ...incrementGoals(rows),
    ...httpGoals(rows),
    ...priceGoals(rows),
    ...scaleGoals(rows),
    ...startGoals(rows),
    ...memoryGoals(rows),
    ...soakGoals(rows),
    ...redisGoals(rows),
    ...sqliteGoals(rows),
  ];
}

function readGoals(rows: readonly Row[]): Goal[] {
  const against = (name: string, procs: number, target: number): Goal => {
    const ours = rateOf(rows, { case: name, procs, contender: OURS });
    const theirs = rateOf(rows, { case: name, procs, contender: IOREDIS });
    const shape = procs === 1 ? "1 x 1" : "4 x 16";
    const goal = atLeast(name, `${shape}: >= ${target} x ${IOREDIS}`, target, ratio(ours, theirs));
    return { ...goal, beside: ratesBeside(rows, { case: name, procs, contender: OURS }, [IOREDIS]) };
  };
  return [against("get-warm", 1, 35), against("get-warm", 4, 5), against("get-miss", 4, 0.9)];
}

function setGoals(rows: readonly Row[]): Goal[] {
  const onDisk = setRates(rows, OURS, { fileStore: "session-file-store", target: 20, suffix: "" });
  const onTmpfs = setRates(rows, `${OURS} tmpfs`, {
    fileStore: "session-file-store tmpfs",
    target: 12,
    suffix: ", tmpfs",
  });
  const p50 = (contender: string): number | undefined =>
    find(rows, { case: "set", procs: 1, contender })?.p50_us ?? undefined;
  const slower = (contender: string, suffix: string): Goal => ({
    ...atMost("set", `1 x 1, p50${suffix}: <= 1.5 x ${AOF}`, 1.5, ratio(p50(contender), p50(AOF))),
    beside: besideOf(rows, { case: "set", procs: 1, contender }, [AOF], (row) => timeOf(row.p50_us)),
  });
  const where = { case: "set-sizes", contender: OURS };
  const sizes = ratio(rateOf(rows, where), rateOf(rows, { ...where, contender: AOF }));
  const half = atLeast("set-sizes", `4 x 16: >= 0.4 x ${AOF}`, 0.4, sizes);
  return [
    ...onDisk,
    ...onTmpfs,
    { ...half, beside: ratesBeside(rows, where, [AOF]) },
    slower(OURS, ""),
    slower(`${OURS} tmpfs`, ", tmpfs"),
  ];
}

interface FileStoreGoal {
  readonly fileStore: string;
  readonly target: number;
  readonly suffix: string;
}

function setRates(rows: readonly Row[], ours: string, { fileStore, target: times, suffix }: FileStoreGoal): Goal[] {
  const against = (contender: string, target: number): Goal => {
    const mine = rateOf(rows, { case: "set", procs: 4, contender: ours });
    const theirs = rateOf(rows, { case: "set", procs: 4, contender });
    const goal = atLeast("set", `4 x 16${suffix}: >= ${target} x ${contender}`, target, ratio(mine, theirs));
    return { ...goal, beside: ratesBeside(rows, { case: "set", procs: 4, contender: ours }, [contender]) };
  };
  return [against(AOF, 0.7), against("connect-redis/node-redis AOF", 1.3), against(fileStore, times)];
}

function incrementGoals(rows: readonly Row[]): Goal[] {
  const ours = find(rows, { case: "increment", contender: OURS });
  const against = (contender: string): Goal => {
    const theirs = rateOf(rows, { case: "increment", contender });
    const goal = atLeast("increment", `>= 3 x ${contender}`, 3, ratio(ours?.ops_per_s ?? undefined, theirs));
    return { ...goal, beside: ratesBeside(rows, { case: "increment", contender: OURS }, [contender]) };
  };
  const names = ["ioredis AOF, WATCH/MULTI", "ioredis AOF, Lua", "node-redis AOF, WATCH/MULTI", "node-redis AOF, Lua"];
  return [{ ...atMost("increment", "none lost", 0, ours?.lost ?? undefined), unit: "lost" }, ...names.map(against)];
}

function httpGoals(rows: readonly Row[]): Goal[] {
  const against = (name: string, target: number, on = ""): Goal => {
    const best = bestOf(
      rows.filter((row) => row.case === name && CONNECT_REDIS.test(row.contender)),
      (row) => -(row.ops_per_s ?? 0),
    );
    const contender = `${OURS}${on && ` ${on}`}`;
    const reached = ratio(rateOf(rows, { case: name, contender }), best?.ops_per_s ?? undefined);
    const text = `${on && `${on}: `}>= ${target} x the best express-session + connect-redis`;
    const peers = best === undefined ? [] : [best.contender];
    return { ...atLeast(name, text, target, reached), beside: ratesBeside(rows, { case: name, contender }, peers) };
  };
  const where = { case: "http-read", contender: OURS };
  const bare = ratio(rateOf(rows, where), rateOf(rows, { ...where, contender: BARE }));
  return [
    against("http-read", 3),
    {
      ...atLeast("http-read", ">= 0.9 x the page without sessions", 0.9, bare),
      beside: ratesBeside(rows, where, []),
    },
    against("http-write", 1.4),
    against("http-write", 1.6, "tmpfs"),
  ];
}

/** What the session costs a request in CPU, above the page without one: in the worker and in the server that it asks. */
function priceGoals(rows: readonly Row[]): Goal[] {
  const against = (name: string, target: number): Goal => {
    const prices = pricesOf(rows, name);
    const ours = prices.find(({ contender }) => contender === OURS);
    const best = bestOf(
      prices.filter(({ contender }) => CONNECT_REDIS.test(contender)),
      ({ sessionUs }) => sessionUs,
    );
    const text = `CPU of the session: <= ${target} x express-session + connect-redis`;
    const beside = [ours, best].flatMap((price): Figure[] =>
      price === undefined ? [] : [{ contender: price.contender, value: price.sessionUs, unit: "µs" }],
    );
    return { ...atMost(name, text, target, ratio(ours?.sessionUs, best?.sessionUs)), beside };
  };
  return [against("http-read", 0.1), against("http-write", 0.35)];
}

function scaleGoals(rows: readonly Row[]): Goal[] {
  const cpu = (contender: string): number | undefined =>
    find(rows, { case: "write-scale", procs: 4, contender })?.server_cpu_us_per_op ?? undefined;
  const text = "4 x 16, daemon's CPU: <= 1.8 x the same system calls in C";
  const where = { case: "write-scale", procs: 4, contender: OURS };
  return [
    {
      ...atMost("write-scale", text, 1.8, ratio(cpu(OURS), cpu(FLOOR_IN_C))),
      beside: besideOf(rows, where, [AOF], (row) => timeOf(row.server_cpu_us_per_op)),
    },
  ];
}

function startGoals(rows: readonly Row[]): Goal[] {
  const time = (contender: string): number | undefined => find(rows, { case: "start", contender })?.p50_us ?? undefined;
  const files = Math.max(0, ...rows.filter((row) => row.case === "start").map((row) => row.sessions ?? 0));
  const spawnedUs = time(`${OURS} spawned, 0 files`);
  const spawnedMs = spawnedUs === undefined ? undefined : spawnedUs / 1000;
  const same = ratio(time(`${OURS} running, ${files} files`), time(`${OURS} running, 0 files`));
  return [
    { ...atMost("start", "first answer of a spawned daemon <= 300 ms", 300, spawnedMs), unit: "ms" },
    // "The same" within what two runs of the same thing differ by.
    atMost(
      "start",
      `a running daemon with ${files} files on disk answers as with none`,
      1.25,
      files === 0 ? undefined : same,
    ),
  ];
}

function memoryGoals(rows: readonly Row[]): Goal[] {
  const measured = rows.filter((row) => row.case === "memory");
  const counts = [...new Set(measured.map((row) => row.sessions ?? 0))];
  const of = (name: string, count: number): Row | undefined =>
    find(measured, { case: "memory", contender: `${name}, ${count}` });
  return counts.flatMap((count) => {
    const cached = of(`${OURS} cached`, count)?.bytes_per_session;
    const cold = of(`${OURS} cold`, count)?.resident_mb;
    const text = `${count} files on disk, cold cache: <= 120 MB resident`;
    return [
      atMost(
        "memory",
        `${count} cached sessions: <= 1 x Redis`,
        1,
        ratio(cached, of("connect-redis", count)?.bytes_per_session),
      ),
      { ...atMost("memory", text, 120, cold), unit: "MB" },
    ];
  });
}

function soakGoals(rows: readonly Row[]): Goal[] {
  const against = (who: string, mb: number): Goal => {
    const resident = find(rows, { case: "soak", contender: `${OURS} ${who}` })?.resident_mb;
    return { ...atMost("soak", `${who}: <= ${mb} MB resident`, mb, resident), unit: "MB" };
  };
  return [against("worker", SOAK_WORKER_MB), against("daemon", SOAK_DAEMON_MB)];
}

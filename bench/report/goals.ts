// The goals the project has set itself, computed from the rows of one run.

import type { Row } from "../row.ts";

export interface Goal {
  readonly case: string;
  readonly text: string;
  /** How the two sides compare; undefined where one was not measured. */
  readonly reached: number | undefined;
  readonly target: number;
  readonly isMet: boolean | undefined;
  readonly unit: string;
}

const OURS = "gambas-session";
const IOREDIS = "connect-redis/ioredis";
/** OPERATING, "Memory": of a worker twice what is bounded, besides the process; of the daemon all, which so few operations do not fill. */
const [SOAK_WORKER_MB, SOAK_DAEMON_MB] = [222, 388];

interface Where {
  readonly case: string;
  readonly procs?: number;
  readonly contender: string;
}

export function goalsOf(rows: readonly Row[]): Goal[] {
  return [
    ...readGoals(rows),
    ...setGoals(rows),
    ...incrementGoals(rows),
    ...httpGoals(rows),
    ...startGoals(rows),
    ...memoryGoals(rows),
    ...soakGoals(rows),
  ];
}

function readGoals(rows: readonly Row[]): Goal[] {
  const against = (name: string, procs: number, target: number): Goal => {
    const ours = rateOf(rows, { case: name, procs, contender: OURS });
    const theirs = rateOf(rows, { case: name, procs, contender: IOREDIS });
    const shape = procs === 1 ? "1 x 1" : "4 x 16";
    return atLeast(name, `${shape}: >= ${target} x ${IOREDIS}`, target, ratio(ours, theirs));
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
  const sizes = ratio(
    rateOf(rows, { case: "set-sizes", contender: OURS }),
    rateOf(rows, { case: "set-sizes", contender: `${IOREDIS} AOF` }),
  );
  const p50 = (contender: string): number | undefined =>
    find(rows, { case: "set", procs: 1, contender })?.p50_us ?? undefined;
  const slower = (contender: string, suffix: string): Goal =>
    atMost("set", `1 x 1, p50${suffix}: <= 1.5 x ${IOREDIS} AOF`, 1.5, ratio(p50(contender), p50(`${IOREDIS} AOF`)));
  const half = atLeast("set-sizes", `4 x 16: >= 0.4 x ${IOREDIS} AOF`, 0.4, sizes);
  return [...onDisk, ...onTmpfs, half, slower(OURS, ""), slower(`${OURS} tmpfs`, ", tmpfs")];
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
    return atLeast("set", `4 x 16${suffix}: >= ${target} x ${contender}`, target, ratio(mine, theirs));
  };
  return [against(`${IOREDIS} AOF`, 0.7), against("connect-redis/node-redis AOF", 1.3), against(fileStore, times)];
}

function incrementGoals(rows: readonly Row[]): Goal[] {
  const ours = find(rows, { case: "increment", contender: OURS });
  const against = (contender: string): Goal => {
    const theirs = rateOf(rows, { case: "increment", contender });
    return atLeast("increment", `>= 3 x ${contender}`, 3, ratio(ours?.ops_per_s ?? undefined, theirs));
  };
  const names = ["ioredis AOF, WATCH/MULTI", "ioredis AOF, Lua", "node-redis AOF, WATCH/MULTI", "node-redis AOF, Lua"];
  return [{ ...atMost("increment", "none lost", 0, ours?.lost ?? undefined), unit: "lost" }, ...names.map(against)];
}

function httpGoals(rows: readonly Row[]): Goal[] {
  const against = (name: string, target: number, on = ""): Goal => {
    const peers = rows.filter((row) => row.case === name && /^connect-redis.*AOF$/.test(row.contender));
    const best = peers.length === 0 ? undefined : Math.max(...peers.map((row) => row.ops_per_s ?? 0));
    const ours = rateOf(rows, { case: name, contender: `${OURS}${on && ` ${on}`}` });
    const text = `${on && `${on}: `}>= ${target} x the best express-session + connect-redis`;
    return atLeast(name, text, target, ratio(ours, best));
  };
  const bare = rateOf(rows, { case: "http-read", contender: "no session" });
  const ours = rateOf(rows, { case: "http-read", contender: OURS });
  return [
    against("http-read", 3),
    atLeast("http-read", ">= 0.9 x the page without sessions", 0.9, ratio(ours, bare)),
    against("http-write", 1.4),
    against("http-write", 1.6, "tmpfs"),
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

function find(rows: readonly Row[], where: Where): Row | undefined {
  // The realistic size comes first.
  return rows.find(
    (row) =>
      row.case === where.case &&
      row.contender === where.contender &&
      (where.procs === undefined || row.procs === where.procs),
  );
}

function rateOf(rows: readonly Row[], where: Where): number | undefined {
  return find(rows, where)?.ops_per_s ?? undefined;
}

function ratio(a: number | undefined, b: number | undefined): number | undefined {
  return a === undefined || b === undefined ? undefined : a / b;
}

function atLeast(name: string, text: string, target: number, reached: number | undefined): Goal {
  return { case: name, text, target, reached, isMet: reached === undefined ? undefined : reached >= target, unit: "x" };
}

function atMost(name: string, text: string, target: number, reached: number | undefined): Goal {
  return { case: name, text, target, reached, isMet: reached === undefined ? undefined : reached <= target, unit: "x" };
}

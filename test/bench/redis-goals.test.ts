// The goals of sessions on Redis, from rows: who is compared with whom, at which size, and that a goal nobody measured is not reached.

import { expect, test } from "vitest";
import { goalsOf } from "../../bench/report/goals.ts";
import type { Row } from "../../bench/row.ts";

const OURS = "gambas-session redis";
const IOREDIS = "connect-redis/ioredis AOF";
const NODE_REDIS = "connect-redis/node-redis AOF";

function rowOf(name: string, contender: string, rate: number | null, more: Partial<Row> = {}): Row {
  const shape = { case: name, contender, procs: 1, concurrency: 64, size: 319, ops_per_s: rate };
  return { ...shape, p50_us: 1, p99_us: 2, cpu_us_per_op: 10, server_cpu_us_per_op: 4, lost: null, ...more };
}

function goal(rows: readonly Row[], text: string) {
  const found = goalsOf(rows).find((one) => `${one.case}: ${one.text}`.startsWith(text));
  if (found === undefined) throw new Error(`There is no goal "${text}".`);
  return found;
}

test("a read of the backend alone is held against the same size of connect-redis", () => {
  const rows = [319, 8214].flatMap((size, index) => [
    rowOf("redis-read", `${OURS}, backend`, 400, { size }),
    rowOf("redis-read", IOREDIS, [100, 200][index] ?? 0, { size }),
    rowOf("redis-read", NODE_REDIS, 1, { size }),
  ]);
  expect(goal(rows, "redis-read: backend alone: >= 3")).toMatchObject({ reached: 4, isMet: true });
  expect(goal(rows, "redis-read: backend alone, 8 KB")).toMatchObject({ reached: 2, isMet: false });
  expect(goal(rows, "redis-read: Redis' CPU")).toMatchObject({ reached: 4, target: 1, isMet: false, unit: "µs" });
});

test("a read from a worker is held against its peers, the memory type and the file type", () => {
  const rows = [
    rowOf("redis-read", OURS, 100, { cpu_us_per_op: 6 }),
    rowOf("redis-read", `${OURS}, 50 ms`, 400),
    rowOf("redis-read", "gambas-session memory", 200),
    rowOf("redis-read", "gambas-session", 500),
    rowOf("redis-read", IOREDIS, 50, { cpu_us_per_op: 20 }),
  ];
  expect(goal(rows, "redis-read: from a worker: >= 1.3").reached).toBe(2);
  expect(goal(rows, "redis-read: from a worker: >= 0.75").reached).toBe(0.5);
  expect(goal(rows, "redis-read: 50 ms").reached).toBe(0.8);
  expect(goal(rows, "redis-read: CPU of the worker")).toMatchObject({ reached: 0.3, isMet: true });
});

test("counting goes by the better of both ways with WATCH, and every host counts for what is lost", () => {
  const at = (procs: number, lost: number) => ({ procs, lost });
  const rows = [
    rowOf("redis-count", OURS, 1000, at(1, 0)),
    rowOf("redis-count", OURS, 600, at(3, 1)),
    ...["ioredis AOF, WATCH/MULTI", "node-redis AOF, WATCH/MULTI"].flatMap((name, index) => [
      rowOf("redis-count", name, 40 + index, at(1, 0)),
      rowOf("redis-count", name, 30 + index, at(3, 0)),
    ]),
  ];
  expect(goal(rows, "redis-count: none lost")).toMatchObject({ reached: 1, isMet: false });
  expect(goal(rows, "redis-count: 1 host").reached).toBe(1000 / 41);
  expect(goal(rows, "redis-count: 3 hosts").reached).toBe(600 / 31);
  expect(goal(rows.slice(0, 1), "redis-count: none lost").isMet).toBeUndefined();
});

test("a page is held against the faster of both clients, memory against connect-redis' own", () => {
  const rows = [
    rowOf("redis-http-read", OURS, 300),
    rowOf("redis-http-read", IOREDIS, 100),
    rowOf("redis-http-read", NODE_REDIS, 200),
    rowOf("redis-memory", `${OURS}, 1000`, null, { bytes_per_session: 600 }),
    rowOf("redis-memory", `${IOREDIS}, 1000`, null, { bytes_per_session: 500 }),
  ];
  expect(goal(rows, "redis-http-read: >= 1.5")).toMatchObject({ reached: 1.5, isMet: true });
  expect(goal(rows, "redis-http-read: 50 ms").isMet).toBeUndefined();
  expect(goal(rows, "redis-memory")).toMatchObject({ reached: 1.2, isMet: true });
});

test("every goal fits beside its bar in the picture", () => {
  const lengths = goalsOf([]).map((one) => `${one.case}: ${one.text}`.length);
  expect(Math.max(...lengths)).toBeLessThan(76);
});

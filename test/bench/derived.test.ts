// What is computed from the rows of a run: the CPU that a session costs a page, where one server is the limit, what stands beside a goal. And the
// floor in C, which is there where a compiler is.

import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { setSizes } from "../../bench/cases/set.ts";
import { writeScale } from "../../bench/cases/write-scale.ts";
import { floorSocket } from "../../bench/contenders/floor-socket.ts";
import { contenderNamed } from "../../bench/contenders/list.ts";
import { goalCells, limitCells, priceCells, sizeChangesText } from "../../bench/report/columns.ts";
import { limitsOf } from "../../bench/report/derived/limits.ts";
import { pricesOf } from "../../bench/report/derived/prices.ts";
import { goalsOf } from "../../bench/report/goals.ts";
import { markdownOf } from "../../bench/report/markdown.ts";
import { chartsOf } from "../../bench/report/measures.ts";
import { pageOf } from "../../bench/report/page.ts";
import type { Result } from "../../bench/report/result.ts";
import { rowTables } from "../../bench/report/table.ts";
import type { Row } from "../../bench/row.ts";
import { commandOf, missingProgram } from "../../bench/servers/commands.ts";
import { ServerProcess } from "../../bench/servers/server-process.ts";
import { SIZES, shareOfSizeChanges, sizeOf } from "../../bench/session-values.ts";

const SHAPE = { procs: 4, concurrency: 16, size: 319, ops_per_s: 1000, p50_us: 1, p99_us: 2, lost: null };

function rowOf(name: string, contender: string, cpuUs: number, serverUs: number | null, more: Partial<Row> = {}): Row {
  const cpu = { cpu_us_per_op: cpuUs, server_cpu_us_per_op: serverUs };
  return { ...SHAPE, case: name, contender, ...cpu, ...more };
}

const PAGES: readonly Row[] = [
  rowOf("http-write", "no session", 20, null, { is_floor: true }),
  rowOf("http-write", "gambas-session", 40, 10),
  rowOf("http-write", "connect-redis/ioredis AOF", 80, 20),
  rowOf("http-write", "connect-redis/node-redis AOF", 130, 10),
  rowOf("http-write", "connect-memcached", 80, 20),
  rowOf("http-write", "gambas-session in Express", 200, 10),
];

const SCALE: readonly Row[] = [
  rowOf("write-scale", "floor: daemon in C", 5, 8, { is_floor: true }),
  rowOf("write-scale", "gambas-session", 30, 12),
  rowOf("write-scale", "connect-redis/ioredis AOF", 24, 6),
];

test("what a session costs is the CPU of worker and server above the page without one", () => {
  const prices = pricesOf(PAGES, "http-write").map(({ contender, sessionUs }) => [contender, sessionUs]);
  expect(prices.slice(0, 3)).toEqual([
    ["gambas-session", 30],
    ["connect-redis/ioredis AOF", 80],
    ["connect-redis/node-redis AOF", 120],
  ]);
});

test("a page in Express has its price above a bare page in Express, and none where that was not measured", () => {
  const named = (rows: readonly Row[]) =>
    pricesOf(rows, "http-write").find(({ contender }) => contender === "gambas-session in Express");
  expect(named(PAGES)).toBeUndefined();
  const bare = rowOf("http-write", "no session in Express", 150, null, { is_floor: true });
  expect(named([...PAGES, bare])).toMatchObject({ bareUs: 150, sessionUs: 60 });
});

test("the goal of the price goes by the peer that costs least, and is missed by what it says", () => {
  const goal = goalsOf(PAGES).find(({ text }) => text.startsWith("CPU of the session: <= 0.35"));
  expect(goal).toMatchObject({ case: "http-write", reached: 30 / 80, isMet: false });
  expect(goal && goalCells(goal).at(-1)).toBe("gambas-session 30 µs; connect-redis/ioredis AOF 80 µs");
});

test("one server is the limit at 1 + w / s cores; a floor and a server of many threads have none", () => {
  const limits = limitsOf([...SCALE, ...PAGES]).map(({ contender, cores, perSecond }) => [contender, cores, perSecond]);
  expect(limits).toEqual([
    ["gambas-session", 3.5, 83_333],
    ["connect-redis/ioredis AOF", 5, 166_667],
    ["gambas-session", 5, 100_000],
    ["connect-redis/ioredis AOF", 5, 50_000],
    ["connect-redis/node-redis AOF", 14, 100_000],
    ["gambas-session in Express", 21, 100_000],
  ]);
});

test("the daemon's CPU for a commit stands beside the same system calls in C, and beside Redis", () => {
  const goal = goalsOf(SCALE).find(({ case: name }) => name === "write-scale");
  expect(goal).toMatchObject({ reached: 1.5, target: 1.8, isMet: true });
  expect(goal?.beside).toEqual([
    { contender: "gambas-session", value: 12, unit: "µs" },
    { contender: "connect-redis/ioredis AOF", value: 6, unit: "µs" },
    { contender: "floor: daemon in C", value: 8, unit: "µs" },
  ]);
});

test("every goal fits beside its bar in the picture", () => {
  const lengths = goalsOf([...PAGES, ...SCALE]).map((goal) => `${goal.case}: ${goal.text}`.length);
  expect(Math.max(...lengths)).toBeLessThan(76);
});

test("a goal on tmpfs stands beside the floors of tmpfs, a goal on disk beside those of the disk", () => {
  const floors = ["floor: socket echo", "floor: file in place", "floor: file in place tmpfs"];
  const names = ["gambas-session", "gambas-session tmpfs", "connect-redis/ioredis AOF"];
  const rows = [
    ...names.map((name) => rowOf("set", name, 1, 1)),
    ...floors.map((name) => rowOf("set", name, 1, null, { is_floor: true })),
  ];
  const beside = (text: string) => goalsOf(rows).find((goal) => goal.text.startsWith(text))?.beside;
  const [onDisk, onTmpfs] = [beside("4 x 16: >= 0.7"), beside("4 x 16, tmpfs: >= 0.7")];
  expect(onDisk?.map(({ contender }) => contender)).toEqual([names[0], names[2], floors[0], floors[1]]);
  expect(onTmpfs?.map(({ contender }) => contender)).toEqual([names[1], names[2], floors[0], floors[2]]);
});

test("half of the changes of one workload make a session longer or shorter, and none of the other", () => {
  const share = (valuesAfter = writeScale.valuesAfter) => shareOfSizeChanges(valuesAfter ?? (() => ({})));
  expect([share(), share(setSizes.valuesAfter)]).toEqual([0, 0.5]);
  const row = (share: number | undefined): Row =>
    rowOf("set", "a", 1, 1, share === undefined ? {} : { size_changes: share });
  const texts = [undefined, 0, 0.0004, 0.5].map((share) => sizeChangesText([row(share)]).split(" make")[0]);
  expect(texts).toEqual(["", "None of the changes", "Less than 1 % of the changes", "50 % of the changes"]);
});

test("the terminal, the tables and the picture show the price, the limit and the changes of size", () => {
  const rows = [...SCALE.map((row) => ({ ...row, size_changes: 0.5 })), ...PAGES];
  const machine = { cores: 2, cpu: "c", memory_gb: 1, kernel: "k", node: "n", disk: "d", redis: "r", memcached: "m" };
  const result: Result = { mode: "quick", machine, rows, goals: goalsOf(rows), skipped: [] } as Result;
  const cells = [priceCells(PAGES)[1] ?? [], limitCells(SCALE)[0] ?? []];
  expect(cells).toEqual([
    ["connect-redis/ioredis AOF", "80", "20", "20", "80", "2.67 x"],
    ["write-scale", "4", "gambas-session", "30", "12", "83 333", "3.50"],
  ]);
  const [price = "", limit = ""] = cells.map((row) => `| ${row.join(" | ")} |`);
  const [tables, page, terminal] = [markdownOf(result), pageOf(result), rowTables(rows)];
  for (const part of [price, limit, "50 % of the changes"]) expect(tables).toContain(part);
  for (const part of ["-cpu.svg", limit, "50 % of the changes"]) expect(page).toContain(part);
  for (const part of ["2.67 x", "3.50", "50 % of the changes"]) expect(terminal).toContain(part);
  const bars = chartsOf(PAGES).find(({ file }) => file.endsWith("-cpu"))?.bars ?? [];
  expect(bars[0]).toMatchObject({ label: "gambas-session", value: 30, text: "30 µs" });
});

test("the floor in C writes the image of each session to its file; without a compiler it is skipped by name", async () => {
  const name = contenderNamed("floor: daemon in C").server;
  if (name === undefined) throw new Error("it has a server");
  if (missingProgram(name) !== undefined) {
    expect(missingProgram(name)).toBe("cc");
    return;
  }
  const directory = mkdtempSync(join(tmpdir(), "bench-floor-"));
  const server = await ServerProcess.start(commandOf(name, directory));
  const subject = await floorSocket.open?.({ socket: server.socket, directory }, { keepsCopies: true });
  try {
    const ids = [await subject?.create(SIZES.realistic), await subject?.create(SIZES.realistic)];
    const held = await Promise.all(ids.map((id) => subject?.hold(id ?? "")));
    await Promise.all([...held, ...held].map((one) => one?.change(1)));
    const files = readdirSync(directory).filter((file) => file.startsWith("session-"));
    expect(files.toSorted()).toEqual(["session-1", "session-2"]);
    // Of a frame the image is what stands behind the length of the answer and the number of the session.
    for (const file of files) expect(readFileSync(join(directory, file)).length).toBe(sizeOf(SIZES.realistic) - 8);
    expect(readFileSync(join(directory, "journal-0")).length).toBe(4 * 80);
  } finally {
    await subject?.close();
    await server.end();
    rmSync(directory, { recursive: true, force: true });
  }
});

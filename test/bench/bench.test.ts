// The benchmark from end to end, with a handful of operations: that it runs, cleans up and says what it should. No times are judged.

import { execFile } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { goalsOf } from "../../bench/report/goals.ts";
import type { Result } from "../../bench/report/result.ts";
import type { Row } from "../../bench/row.ts";
import { repository } from "../support/repository.ts";

const run = promisify(execFile);
const directory = mkdtempSync(join(tmpdir(), "bench-test-"));
const SHORT = ["--rounds", "1", "--round-ms", "1", "--warm-ms", "1", "--sessions", "64"];

let output = "";
let result: Result | undefined;

beforeAll(async () => {
  const file = join(directory, "rows.json");
  const cases = ["--only", "set", "--only", "increment", "--contender", "gambas-session"];
  const args = [join(repository, "dist/bench/run.js"), "--quick", ...cases, ...SHORT, "--json", file];
  // Its temporary directories go where their absence can be seen.
  const { stdout } = await run(process.execPath, args, { env: { ...process.env, TMPDIR: directory } });
  output = stdout;
  result = JSON.parse(readFileSync(file, "utf8"));
});

afterAll(() => rmSync(directory, { recursive: true, force: true }));

test("a run brings one row for each shape, with every field", () => {
  const rows = result?.rows ?? [];
  expect(rows.map((row) => `${row.case} ${row.procs}x${row.concurrency}`)).toEqual([
    "set 1x1",
    "set 4x16",
    "increment 4x16",
  ]);
  for (const row of rows) {
    expect(row.contender).toBe("gambas-session");
    expect(row.ops_per_s).toBeGreaterThan(0);
    expect(row).toHaveProperty("p50_us");
    expect(row).toHaveProperty("p99_us");
    expect(row).toHaveProperty("cpu_us_per_op");
    expect(row).toHaveProperty("server_cpu_us_per_op");
    expect(row).toHaveProperty("size");
  }
});

test("no increment that was acknowledged is lost", () => {
  expect(result?.rows.find((row) => row.case === "increment")?.lost).toBe(0);
});

test("the summary shows the rows, and goals that need another contender as not measured", () => {
  expect(output).toContain("set 4 x 16");
  expect(output).toMatch(/none lost +0 lost +ok/);
  expect(output).toMatch(/>= 3 x ioredis AOF, Lua +– +not measured/);
});

test("a run leaves nothing behind in the temporary directory", () => {
  expect(readdirSync(directory)).toEqual(["rows.json"]);
});

test("an unknown case is refused with the list of those there are", async () => {
  const args = [join(repository, "dist/bench/run.js"), "--only", "get-luke"];
  await expect(run(process.execPath, args)).rejects.toMatchObject({
    code: 2,
    stderr: expect.stringContaining("get-warm"),
  });
});

test("a goal says what was reached, and that it was missed", () => {
  const rows = [rowOf("get-miss", "gambas-session", 75), rowOf("get-miss", "connect-redis/ioredis", 100)];
  const goal = goalsOf(rows).find((one) => one.case === "get-miss");
  expect(goal).toMatchObject({ target: 0.9, reached: 0.75, isMet: false });
});

test("sessions in databases are measured beside those in files and connect-redis", () => {
  const rows = [
    rowOf("set", "gambas-session sqlite tmpfs", 30),
    rowOf("set", "gambas-session tmpfs", 40),
    rowOf("get-warm", "gambas-session sqlite", 200),
    rowOf("get-warm", "connect-redis/ioredis", 100),
  ];
  const goals = goalsOf(rows).filter(({ text }) => text.startsWith("sqlite"));
  expect(goals.map(({ case: name, reached, isMet }) => [name, reached, isMet])).toEqual([
    ["get-warm", 2, false],
    ["set", 0.75, true],
  ]);
});

function rowOf(name: string, contender: string, rate: number): Row {
  const figures = { ops_per_s: rate, p50_us: 1, p99_us: 2, cpu_us_per_op: 3, server_cpu_us_per_op: null, lost: null };
  return { case: name, contender, procs: 4, concurrency: 16, size: 319, ...figures };
}

// The cases about sessions on Redis from end to end, with a handful of operations: three hosts have three daemons on one Redis. No times are judged.

import { execFile } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import type { Result } from "../../bench/report/result.ts";
import { describeWithRedis } from "../support/redis/redis-server.ts";
import { repository } from "../support/repository.ts";

const run = promisify(execFile);
const SHORT = ["--rounds", "1", "--round-ms", "20", "--warm-ms", "1", "--sessions", "64"];

async function runWith(...flags: readonly string[]): Promise<Result> {
  const directory = mkdtempSync(join(tmpdir(), "bench-redis-"));
  try {
    const file = join(directory, "rows.json");
    const args = [join(repository, "dist/bench/run.js"), "--quick", ...flags, ...SHORT, "--json", file];
    // Its temporary directories go where their absence can be seen.
    await run(process.execPath, args, { env: { ...process.env, TMPDIR: directory } });
    expect(readdirSync(directory)).toEqual(["rows.json"]);
    return JSON.parse(readFileSync(file, "utf8")) as Result;
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

describeWithRedis("the benchmark on Redis", () => {
  test("counts from one host and from three in one session, and finds all that was acknowledged", async () => {
    const { rows, skipped } = await runWith("--only", "redis-count", "--contender", "gambas-session redis");
    expect(skipped).toEqual([]);
    expect(rows.map(({ procs, lost }) => [procs, lost])).toEqual([
      [1, 0],
      [3, 0],
      [4, 0],
    ]);
    for (const row of rows) expect(row.ops_per_s).toBeGreaterThan(0);
  });

  test("reads and changes with the backend alone, and reads as many values as it wrote", async () => {
    const cases = ["--only", "redis-read", "--only", "redis-change"];
    const { rows, skipped } = await runWith(...cases, "--contender", "gambas-session redis, backend");
    expect(skipped).toEqual([]);
    expect(rows.map((row) => row.case)).toEqual(["redis-read", "redis-change"]);
    for (const row of rows) expect(row.ops_per_s).toBeGreaterThan(0);
  });
});

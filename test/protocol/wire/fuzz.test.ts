// A sample of the fuzzer in test/storms: a few thousand hostile inputs, new ones each time.

import { expect, test } from "vitest";
import { fuzz } from "../../storms/fuzzing.ts";
import { fuzzDaemon } from "../../storms/fuzzing-daemon.ts";

const seed = Date.now() % 2 ** 32;

test("hostile bytes are refused or read, by every reader, and nothing is allocated that was only announced", () => {
  console.log(`seed ${seed}`);
  const before = process.memoryUsage().rss;
  const { inputs, refused } = fuzz(5_000, seed);
  expect(inputs).toBe(5_000);
  expect(Object.keys(refused).length).toBeGreaterThan(3);
  expect(process.memoryUsage().rss - before).toBeLessThan(256 * 1024 * 1024);
});

test("a daemon serves others beside hostile connections, and no id leads out of its directory", async () => {
  const { hostileIds, idsTaken } = await fuzzDaemon(200, seed);
  expect(idsTaken).toBeGreaterThan(0);
  expect(idsTaken).toBeLessThan(hostileIds);
});

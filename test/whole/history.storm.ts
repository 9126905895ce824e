// The storms of test/storms, short: random load, random deaths, and every history linearizable.

import { expect, test } from "vitest";
import { runStorm, type StormOptions } from "../storms/storm.ts";

const STORM: Omit<StormOptions, "seed"> = {
  workers: 4,
  sessions: 2,
  operations: 3_000,
  width: 3,
  readShare: 48,
  workerKills: 2,
  daemonKills: 0,
  durability: "file",
};

function newSeed(): number {
  const seed = Date.now() % 2 ** 32;
  console.log(`seed ${seed}`);
  return seed;
}

test("four workers of which some are killed lose nothing and read nothing stale", async () => {
  const figures = await runStorm({ ...STORM, seed: newSeed() });
  expect(figures).toMatchObject({ violations: [], lost: 0, doubled: 0, torn: 0 });
  expect(figures.failures).toEqual({});
  expect(figures.workersKilled).toBeGreaterThan(0);
});

test("four workers that read far more than they change read nothing stale from files they keep open", async () => {
  const storm: StormOptions = { ...STORM, seed: newSeed(), sessions: 16, operations: 40_000, readShare: 98 };
  const figures = await runStorm({ ...storm, daemonKills: 2 });
  expect(figures).toMatchObject({ violations: [], lost: 0, doubled: 0, torn: 0 });
  expect(figures.failures).toEqual({});
});

test("four workers whose daemon is killed again and again lose nothing, and no call fails", async () => {
  const figures = await runStorm({ ...STORM, seed: newSeed(), workerKills: 1, daemonKills: 8 });
  expect(figures).toMatchObject({ violations: [], lost: 0, doubled: 0, torn: 0 });
  expect(figures.failures).toEqual({});
  expect(figures.daemonsKilled).toBeGreaterThan(3);
});

test("the same with a daemon that waits for the disk", async () => {
  const storm: StormOptions = { ...STORM, seed: newSeed(), operations: 1_500, daemonKills: 4, durability: "fsync" };
  const figures = await runStorm(storm);
  expect(figures).toMatchObject({ violations: [], lost: 0, doubled: 0, torn: 0 });
  expect(figures.failures).toEqual({});
  expect(figures.daemonsKilled).toBeGreaterThan(1);
});

// The storms of test/storms in databases: random load, the daemon killed at random, and every history linearizable.

import { expect, test } from "vitest";
import { runStorm, type StormOptions } from "../../../storms/storm.ts";
import { describeSqlite } from "../../../support/sqlite.ts";

const STORM: Omit<StormOptions, "seed"> = {
  workers: 3,
  sessions: 2,
  operations: 6_000,
  width: 3,
  readShare: 48,
  workerKills: 1,
  daemonKills: 25,
  durability: "file",
  type: "sqlite",
};

describeSqlite("in databases", () => {
  test("workers whose daemon is killed again and again lose nothing, read nothing stale, and have nothing applied twice", async () => {
    const seed = Date.now() % 2 ** 32;
    console.log(`seed ${seed}`);
    const figures = await runStorm({ ...STORM, seed });
    expect(figures).toMatchObject({ violations: [], lost: 0, doubled: 0, torn: 0 });
    expect(figures.failures).toEqual({});
    expect(figures.daemonsKilled).toBeGreaterThan(10);
  });

  test("workers that read far more than they change read nothing stale from copies whose log alone they look at", async () => {
    const seed = Date.now() % 2 ** 32;
    console.log(`seed ${seed}`);
    const many = { sessions: 16, operations: 40_000, readShare: 98, daemonKills: 2 };
    const figures = await runStorm({ ...STORM, ...many, seed });
    expect(figures).toMatchObject({ violations: [], lost: 0, doubled: 0, torn: 0 });
    expect(figures.failures).toEqual({});
  });
});

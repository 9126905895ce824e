// Node beside the real Gambas on one session of type sqlite: no save of either is lost or waits for long. The longer run is sqlite-beside.long.ts.

import { afterAll, beforeAll, expect, it } from "vitest";
import { describeDatabases } from "../support/gambas/databases.ts";
import { SqliteNeighbours } from "./beside-sqlite.ts";

/** A save of Gambas that has begun before a commit of ours came is lost after 20 s. */
const STALLED_MS = 10_000;

let neighbours: SqliteNeighbours;

describeDatabases("Node beside Gambas, in databases", () => {
  beforeAll(async () => {
    neighbours = await SqliteNeighbours.open(2);
  });
  afterAll(() => neighbours.close());

  it("loses no save of either, and keeps none waiting", async () => {
    const outcome = await neighbours.storm({ runs: 25, mostMs: 8_000, savesPerRun: 4, pauseMs: 0 });
    console.log(outcome);
    expect(outcome).toMatchObject({ gambasLost: 0, transactionsLost: 0, keysWrong: 0 });
    expect(outcome.gambasSaves).toBe(outcome.gambasRuns * 4);
    expect(outcome.longestSaveMs).toBeLessThan(STALLED_MS);
  });
});

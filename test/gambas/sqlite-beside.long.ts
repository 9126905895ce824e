// The longer run of sqlite-beside.test.ts, at several rates. And without the guard the same storm finds what it is there for.

import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, expect, it } from "vitest";
import { describeDatabases } from "../support/gambas/databases.ts";
import { repository } from "../support/repository.ts";
import { SqliteNeighbours, type SqliteOutcome } from "./beside-sqlite.ts";

/** Gambas waits so long for a snapshot that will never be current again, and then drops the save. */
const GIVES_UP_MS = 20_000;
const SAVES = 2;
const RUNS = 250;

let neighbours: SqliteNeighbours | undefined;

afterEach(() => neighbours?.close());

/** A NODE_PATH with a guard that is none: every lock is granted. In the repository, since the house has a /tmp of its own. */
function guardless(): string {
  const folder = join(repository, "node_modules/.cache/gambas-session/no-guard");
  mkdirSync(join(folder, "koffi"), { recursive: true });
  const code = "module.exports = { load: () => ({ func: () => () => 0 }), errno: () => 0 };";
  writeFileSync(join(folder, "koffi/index.js"), code);
  return `${folder}:${process.env.NODE_PATH}`;
}

async function storm(pauseMs: number, mostMs: number, env: Record<string, string> = {}): Promise<SqliteOutcome> {
  neighbours = await SqliteNeighbours.open(2, env);
  const outcome = await neighbours.storm({ runs: RUNS, mostMs, savesPerRun: SAVES, pauseMs });
  console.log(`pause ${pauseMs} ms: ${JSON.stringify(outcome)}`);
  return outcome;
}

describeDatabases("Node beside Gambas, in databases, for long", () => {
  it.each([0, 2, 10])("loses no save of either, with a pause of %s ms between commits", async (pauseMs) => {
    const outcome = await storm(pauseMs, 240_000);
    expect(outcome).toMatchObject({ gambasRuns: RUNS, gambasSaves: SAVES * RUNS, gambasLost: 0 });
    expect(outcome).toMatchObject({ transactionsLost: 0, keysWrong: 0 });
    expect(outcome.longestSaveMs).toBeLessThan(GIVES_UP_MS / 2);
  });

  it("without the guard a save of Gambas is stalled, and lost", async () => {
    const { longestSaveMs, gambasLost } = await storm(0, 3 * GIVES_UP_MS, { NODE_PATH: guardless() });
    expect(longestSaveMs).toBeGreaterThan(GIVES_UP_MS - 1_000);
    expect(gambasLost).toBeGreaterThan(0);
  });
});

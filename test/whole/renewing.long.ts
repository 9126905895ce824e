// Sessions that get new ids all the time while their daemon is killed again and again: there is always exactly one of the old and the new.

import { statSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { Renewed } from "../storms/renewing.ts";
import { daemonPid, freshRoot, kill, killAndWait, removeRoot, until, WorkerProcess } from "../support/processes.ts";
import { Random } from "../support/values/random.ts";

const WORKERS = 3;
const KILLS = 8;
/** What a daemon writes into its journal before it is killed, at most. */
const JOURNAL_BYTES = 4_000;

let root: string;
beforeEach(() => {
  root = freshRoot();
});
afterEach(() => removeRoot(root));

function start(): WorkerProcess {
  return WorkerProcess.start("test/storms/renewing.js", [], { GAMBAS_SESSION_ROOT: root });
}

function journalBytes(): number {
  return statSync(join(root, "sessiond.journal"), { throwIfNoEntry: false })?.size ?? 0;
}

/** Kills one daemon after the other, each when it has written something. */
async function killDaemons(random: Random, isOver: () => boolean): Promise<number> {
  let kills = 0;
  for (let last = 0; kills < KILLS && !isOver(); ) {
    const pid = await until(() => isOver() || (daemonPid(root) !== last && daemonPid(root)));
    if (typeof pid !== "number") break;
    const [begun, more] = [journalBytes(), 1 + random.below(JOURNAL_BYTES)];
    await until(() => isOver() || journalBytes() > begun + more);
    if (isOver()) break;
    last = pid;
    if (kill(pid)) kills += 1;
    await killAndWait(pid);
  }
  return kills;
}

test.each([
  ["file", 120],
  ["fsync", 40],
] as const)(
  'with durability "%s" each session is there once, under its last id, with all its counts',
  async (durability, rounds) => {
    const seed = Date.now() % 2 ** 32;
    console.log(`seed ${seed}`);
    const random = new Random(seed);
    const workers = Array.from({ length: WORKERS }, start);
    let isOver = false;
    const killing = killDaemons(random, () => isOver);
    try {
      const runs = workers.map((worker) =>
        worker.call<Renewed>("run", { seed: random.below(2 ** 32), rounds, durability }),
      );
      const renewed = await Promise.all(runs);
      isOver = true;
      expect(await killing).toBeGreaterThan(1);
      expect(renewed.flatMap(({ problems }) => problems)).toEqual([]);
      expect(Math.min(...renewed.map(({ renewals }) => renewals))).toBeGreaterThan(0);
      const left = await workers[0]?.call("list");
      expect(left).toEqual(Object.fromEntries(renewed.map(({ id, n }) => [id, n])));
    } finally {
      isOver = true;
      await killing;
      await Promise.all(workers.map((worker) => worker.kill()));
    }
  },
);

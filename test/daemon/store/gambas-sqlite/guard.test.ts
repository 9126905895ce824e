// The guard against the smallest gap: another program reads and then writes in one transaction, as a save of Gambas does, over and over, while the engine commits
// all the time. A commit that became visible in between would leave it with a snapshot that is stale for ever: Gambas waits for 20 s, and drops the save.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, statSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { StoreBusy } from "../../../../daemon/store/store.ts";
import { applyDelta, newImage } from "../../../../protocol/image/image.ts";
import { newId } from "../../../support/daemon/lab.ts";
import { deltaOf } from "../../../support/daemon/raw-worker.ts";
import { repository } from "../../../support/repository.ts";
import { describeSqlite } from "../../../support/sqlite.ts";
import { contentsOf, Databases, MAX_BYTES } from "./databases.ts";

const COMMITS = 3_000;
/** What the other program leaves between two transactions. */
const PAUSE_MS = 0.05;
const LIBRARY = join(repository, "dist/daemon/store/gambas-sqlite/library.js");
/** SQLITE_BUSY_SNAPSHOT. */
const STALE = 517;
const CODE = `
  const { findLibrary } = await import(process.argv[1]);
  const database = findLibrary().open(process.argv[2]);
  const [begin, read, schema, write, commit, rollback] = [
    "BEGIN", 'SELECT * FROM "config"', "SELECT * FROM sqlite_master",
    \`UPDATE "values" SET "sValue" = X'0401000000' WHERE "sKey" = 'g'\`, "COMMIT", "ROLLBACK",
  ].map((sql) => database.prepare(sql));
  let [done, stale, isOver] = [0, 0, false];
  function save() {
    begin.run();
    try {
      read.all();
      schema.all();
      write.run();
      commit.run();
      done += 1;
    } catch (error) {
      if (error.code === "SQLITE_BUSY_SNAPSHOT" || error.errcode === ${STALE}) stale += 1;
      else if (!/locked|busy/.test(error.message)) throw error;
      rollback.run();
    }
    for (const endMs = performance.now() + ${PAUSE_MS}; performance.now() < endMs; );
  }
  process.once("message", () => {
    isOver = true;
  });
  process.send("ready");
  while (!isOver) {
    for (let n = 0; n < 50; n++) save();
    await new Promise((resolve) => setImmediate(resolve));
  }
  database.close();
  process.send({ done, stale });
  process.disconnect();`;

describeSqlite("a commit of ours", () => {
  let databases: Databases;
  let id: string;
  let other: ChildProcess | undefined;

  beforeEach(() => {
    databases = new Databases();
    id = databases.store.nameOf(newId());
    write({ g: 0, n: 0 });
  });
  afterEach(async () => {
    other?.kill("SIGKILL");
    await databases.close();
  });

  /** False where another program was in the way. */
  function write(values: Record<string, unknown>): boolean {
    const { store } = databases;
    try {
      const present = store.load(id, MAX_BYTES);
      const before = present?.image ?? newImage({ nowMs: Date.now(), timeoutSeconds: 60 });
      const image = applyDelta(before, { delta: deltaOf(values), nowMs: Date.now() });
      return store.publish(id, store.stage(id, image, present));
    } catch (error) {
      if (error instanceof StoreBusy) return false;
      throw error;
    }
  }

  it("is never made visible inside a transaction of another program, not for a moment in a thousand of them", async () => {
    const args = ["--input-type=module", "-e", CODE, LIBRARY, databases.path(id)];
    other = spawn(process.execPath, args, { stdio: ["ignore", "inherit", "inherit", "ipc"] });
    await once(other, "message");
    for (let written = 0; written < COMMITS; ) {
      for (let n = 0; n < 20; n++) if (write({ n: written })) written += 1;
      await new Promise((resolve) => setImmediate(resolve));
    }
    other.send("end");
    const [{ done, stale }] = (await once(other, "message")) as [{ done: number; stale: number }];
    expect(done).toBeGreaterThan(100);
    expect(stale).toBe(0);
  });

  it("brings the log into the database now and then, so that it stays small, and what is in it is there without it", () => {
    const log = `${databases.path(id)}-wal`;
    let most = 0;
    for (let n = 1; n <= 500; n++) {
      expect(write({ n, long: "x".repeat(n) })).toBe(true);
      most = Math.max(most, statSync(log).size);
    }
    // 32 commits of at most five pages.
    expect(most).toBeLessThan(700_000);
    for (let n = 1; n <= 12; n++) {
      expect(write({ long: String(n).repeat(1_000_000) })).toBe(true);
      most = Math.max(most, statSync(log).size);
    }
    expect(most).toBeLessThan(7_000_000);
    databases.store.close();
    expect(existsSync(log)).toBe(false);
    expect(contentsOf(databases.path(id)).values).toHaveLength(3);
  });
});

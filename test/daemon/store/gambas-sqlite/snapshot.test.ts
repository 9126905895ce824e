// What `show` reads of a database that is written to meanwhile: one state that it had, and no mixture of two.

import { readFileSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { findLibrary } from "../../../../daemon/store/gambas-sqlite/library.ts";
import { readDatabase } from "../../../../daemon/store/gambas-sqlite/opening.ts";
import { valuesIn } from "../../../support/daemon/raw-worker.ts";
import { freshRoot, removeRoot } from "../../../support/processes.ts";
import { describeSqlite } from "../../../support/sqlite.ts";
import { MAX_BYTES } from "./databases.ts";
import { make } from "./outsider.ts";

/** What a read of a log gives, once; undefined: what is there. */
const planted = vi.hoisted(() => ({ log: undefined as Buffer | undefined }));

vi.mock("node:fs", async (original) => {
  const fs = await original<typeof import("node:fs")>();
  const read = (path: string, ...rest: unknown[]): unknown => {
    const { log } = planted;
    if (log === undefined || !String(path).endsWith("-wal")) return fs.readFileSync(path, ...(rest as []));
    planted.log = undefined;
    return log;
  };
  return { ...fs, readFileSync: read };
});

describeSqlite("a snapshot of a database", () => {
  let root: string;

  beforeEach(() => {
    root = freshRoot();
  });
  afterEach(() => removeRoot(root));

  it("is no mixture where the log is begun anew while it is being read", async () => {
    const path = join(root, "one.db");
    make(path, {});
    const database = findLibrary().open(path);
    const put = (n: number): void => database.exec(`UPDATE "values" SET "sValue" = X'040${n}000000'`);
    database.exec("PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0");
    put(5);
    const first = statSync(`${path}-wal`).size;
    put(2);
    const old = readFileSync(`${path}-wal`);
    database.exec("PRAGMA wal_checkpoint(PASSIVE)");
    put(3);
    // The first part was read before, the rest after it.
    const now = readFileSync(`${path}-wal`);
    expect(now.subarray(0, 32).equals(old.subarray(0, 32))).toBe(false);
    planted.log = Buffer.concat([old.subarray(0, first), Buffer.alloc(old.length - first)]);
    expect(valuesIn((await readDatabase("one", path, MAX_BYTES)).image)).toEqual({ a: 3 });
    expect(planted.log).toBeUndefined();
    database.close();
  });

  it.each(["-wal", "-journal"])(
    "is not made where there is more beside the database than is read (%s), and it is said what to do",
    async (ending) => {
      const path = join(root, "one.db");
      make(path, {});
      writeFileSync(path + ending, "");
      truncateSync(path + ending, 5 * MAX_BYTES);
      await expect(readDatabase("one", path, MAX_BYTES)).rejects.toMatchObject({
        code: "ERR_UNREADABLE",
        message: expect.stringMatching(
          new RegExp(`one.db${ending} has ${5 * MAX_BYTES} bytes.*PRAGMA wal_checkpoint`, "s"),
        ),
      });
    },
  );
});

// Databases as other programs make them, leave them and use them: what Gambas takes as a session is one here, unless that could lose anything; what is not is
// refused with its path. Nothing of it is lost, and the other sessions go on meanwhile.

import {
  closeSync,
  existsSync,
  lstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { databaseName } from "../../../../protocol/session-id.ts";
import { Lab, newId } from "../../../support/daemon/lab.ts";
import type { RawWorker } from "../../../support/daemon/raw-worker.ts";
import { describeSqlite } from "../../../support/sqlite.ts";
import { change, contentsOf, rowsOf } from "./databases.ts";
import { make, Outsider } from "./outsider.ts";

const DAY_S = 86_400;
const PAGE_BYTES = 4_096;
/** Of the automatic index of "values", where Gambas makes the tables. */
const INDEX_PAGE = 5;
const EMPTY_INDEX = Buffer.from([0x0a, 0, 0, 0, 0, 0x10, 0, 0]);

const PLAIN_TABLES = `
  CREATE TABLE "config" ( "fStartup" FLOAT8 NOT NULL DEFAULT 0, "fTimeout" FLOAT8 NOT NULL DEFAULT 1, "sCookiePath" TEXT );
  INSERT INTO "config" ("sCookiePath") VALUES (NULL);
  CREATE TABLE "values" ( "sKey" VARCHAR(255) NOT NULL, "sValue" BLOB );`;

describeSqlite("a database that another program", () => {
  let lab: Lab;
  let anna: RawWorker;
  let id: string;
  let path: string;
  /** A session like any other, which nothing of all this may touch. */
  let other: string;

  beforeEach(async () => {
    lab = await Lab.open({ type: "sqlite", lockWaitMs: 150 });
    anna = await lab.worker("anna");
    [id, other] = [newId(), newId()];
    path = lab.path(databaseName(id));
    await anna.create(other, { n: 0 });
  });
  afterEach(async () => {
    vi.useRealTimers();
    await anna.commit(other, { n: 1 });
    expect(await anna.values(other)).toEqual({ n: 1 });
    await lab.close();
  });

  it("gave a stamp and a row number that no JavaScript number holds is read and written by either library", async () => {
    const tables = PLAIN_TABLES.replace('"fStartup" FLOAT8', '"fStartup"');
    const row = `INSERT INTO "values" (rowid, "sKey", "sValue") VALUES (9007199254740995, 'far', X'0402000000');`;
    make(path, { tables, more: `UPDATE "config" SET "fStartup" = 9007199254740993; ${row}` });
    expect(await anna.values(id)).toEqual({ a: 1, far: 2 });
    await anna.commit(id, { m: 3 });
    expect(await anna.values(id)).toEqual({ a: 1, far: 2, m: 3 });
  });

  async function errorOf(call: Promise<unknown>): Promise<{ code?: string; message: string }> {
    return call.then(
      () => ({ message: "the call did not fail" }),
      (error: Error) => error,
    );
  }

  async function restart(how: () => void | Promise<void>): Promise<void> {
    await lab.stop();
    await how();
    await lab.start();
    anna = await lab.worker("anna");
  }

  /** Before the daemon has opened it: closing a file drops all locks that this process has on it. */
  function writeAt(at: number, bytes: Uint8Array): void {
    const fd = openSync(path, "r+");
    writeSync(fd, bytes, 0, bytes.length, at);
    closeSync(fd);
  }

  describe("has made otherwise than Gambas is a session like any other, and stays as it is made:", () => {
    it.each<[string, Parameters<typeof make>[1], Record<string, unknown>]>([
      ["pages of 512 bytes", { pragmas: "PRAGMA page_size = 512" }, { page_size: 512 }],
      ["pages of 64 KiB", { pragmas: "PRAGMA page_size = 65536" }, { page_size: 65_536 }],
      ["auto_vacuum", { pragmas: "PRAGMA auto_vacuum = FULL" }, { auto_vacuum: 1 }],
      ["incremental auto_vacuum", { pragmas: "PRAGMA auto_vacuum = INCREMENTAL" }, { auto_vacuum: 2 }],
      ["a journal that is truncated", { pragmas: "PRAGMA journal_mode = TRUNCATE" }, {}],
      ["a journal that is kept", { pragmas: "PRAGMA journal_mode = PERSIST" }, {}],
      ["a write-ahead log", { pragmas: "PRAGMA journal_mode = WAL" }, { journal_mode: "wal" }],
      ["an application's id", { pragmas: "PRAGMA application_id = 99" }, { application_id: 99 }],
      ["tables without keys", { tables: PLAIN_TABLES }, {}],
      [
        "another collation of keys",
        { tables: PLAIN_TABLES.replace('NOT NULL, "sValue"', 'NOT NULL COLLATE NOCASE, "sValue"') },
        {},
      ],
      [
        "an index, a view and a table more",
        { more: `CREATE INDEX i ON "values" ("sValue"); CREATE VIEW v AS SELECT 1; CREATE TABLE t (x);` },
        {},
      ],
    ])("%s", async (_name, how, pragmas) => {
      make(path, how);
      expect(await anna.values(id)).toEqual({ a: 1 });
      await anna.commit(id, { a: 2, b: "x", c: [1] });
      await anna.commit(id, { b: undefined });
      await anna.call("touch", id, 0);
      expect(await anna.values(id)).toEqual({ a: 2, c: [1] });
      for (const [name, value] of Object.entries(pragmas))
        expect(rowsOf(path, `PRAGMA ${name}`)).toEqual([{ [name]: value }]);
      expect(rowsOf(path, "PRAGMA integrity_check")).toEqual([{ integrity_check: "ok" }]);
      await anna.abandon(id);
      expect(existsSync(path)).toBe(false);
    });

    it("a journal, by a program that had it for itself for a moment", async () => {
      make(path, {});
      await anna.commit(id, { a: 2 });
      await restart(() => change(path, "PRAGMA journal_mode = DELETE"));
      await anna.commit(id, { b: 3 });
      expect(await anna.values(id)).toEqual({ a: 2, b: 3 });
    });
  });

  describe("has made of what is no session is refused with its path, and left as it is:", () => {
    it.each<[string, Parameters<typeof make>[1], RegExp]>([
      ["encoded in UTF-16", { pragmas: "PRAGMA encoding = 'UTF-16le'" }, /UTF-16le/],
      ["encoded in UTF-16 the other way round", { pragmas: "PRAGMA encoding = 'UTF-16be'" }, /UTF-16be/],
      [
        "tables without row numbers",
        {
          tables: `${PLAIN_TABLES.replace('"sKey" VARCHAR(255) NOT NULL', '"sKey" TEXT PRIMARY KEY').replace("BLOB )", "BLOB ) WITHOUT ROWID")}`,
        },
        /rowid/,
      ],
      ["no cookie path", { more: 'ALTER TABLE "config" DROP COLUMN "sCookiePath";' }, /sCookiePath/],
      [
        "a view for its values",
        { more: `ALTER TABLE "values" RENAME TO "old"; CREATE VIEW "values" AS SELECT * FROM "nowhere";` },
        /nowhere/,
      ],
    ])("%s", async (_name, how, reason) => {
      make(path, how);
      const bytes = readFileSync(path);
      for (const call of [() => anna.open(id), () => anna.commit(id, { a: 2 }), () => anna.call("touch", id, 0)]) {
        const error = await errorOf(call());
        expect(error).toMatchObject({ code: "ERR_UNREADABLE" });
        expect(error.message).toContain(path);
        expect(error.message).toMatch(reason);
      }
      await lab.stop();
      expect(readFileSync(path).equals(bytes)).toBe(true);
      await lab.start();
      anna = await lab.worker("anna");
      await anna.abandon(id);
      expect(existsSync(path)).toBe(false);
    });

    it("a version of the format that can only be read by this SQLite, which it is", async () => {
      make(path, {});
      writeAt(18, Buffer.of(3));
      expect(await anna.values(id)).toEqual({ a: 1 });
      const error = await errorOf(anna.commit(id, { a: 2 }));
      expect(error).toMatchObject({ code: "ERR_STORE" });
      expect(error.message).toContain(path);
      expect(await anna.values(id)).toEqual({ a: 1 });
    });

    it("a version of the format that cannot be read", async () => {
      make(path, {});
      writeAt(18, Buffer.of(3, 3));
      expect(await errorOf(anna.open(id))).toMatchObject({ code: "ERR_UNREADABLE" });
    });
  });

  it("has given a rule of its own takes what keeps to that, and refuses all else in its words", async () => {
    make(path, { tables: PLAIN_TABLES.replace('"sValue" BLOB )', `"sValue" BLOB, CHECK ("sKey" <> 'forbidden') )`) });
    const error = await errorOf(anna.commit(id, { a: 2, forbidden: 1 }));
    expect(error).toMatchObject({ code: "ERR_STORE" });
    expect(error.message).toContain(path);
    expect(error.message).toContain("CHECK");
    expect(await anna.values(id)).toEqual({ a: 1 });
    await anna.commit(id, { a: 2, allowed: 1 });
    expect(await anna.values(id)).toEqual({ a: 2, allowed: 1 });
  });

  describe("has given triggers", () => {
    it("holds what they make of a commit", async () => {
      const after = `CREATE TRIGGER t AFTER UPDATE ON "values" WHEN new."sKey" = 'a' BEGIN UPDATE "values" SET "sValue" = X'0409000000' WHERE "sKey" = 'b'; END;`;
      make(path, { more: `INSERT INTO "values" VALUES ('b', X'0402000000'); ${after}` });
      expect(await anna.values(id)).toEqual({ a: 1, b: 2 });
      await anna.commit(id, { a: 5 });
      expect(await anna.values(id)).toEqual({ a: 5, b: 9 });
      await anna.commit(id, { b: 6 });
      expect(await anna.values(id)).toEqual({ a: 5, b: 6 });
    });

    it("is not changed where they refuse it, in their words", async () => {
      make(path, {
        more: `CREATE TRIGGER t BEFORE INSERT ON "values" BEGIN SELECT RAISE(ABORT, 'no more keys'); END;`,
      });
      const error = await errorOf(anna.commit(id, { a: 2, b: 3 }));
      expect(error).toMatchObject({ code: "ERR_STORE" });
      expect(error.message).toContain("no more keys");
      expect(await anna.values(id)).toEqual({ a: 1 });
      await anna.commit(id, { a: 2 });
      expect(await anna.values(id)).toEqual({ a: 2 });
    });

    it("is not changed where they keep a row as it is", async () => {
      make(path, { more: `CREATE TRIGGER t BEFORE UPDATE ON "values" BEGIN SELECT RAISE(IGNORE); END;` });
      expect(await errorOf(anna.commit(id, { a: 2 }))).toMatchObject({ code: "ERR_UNREADABLE" });
      expect(await anna.values(id)).toEqual({ a: 1 });
    });
  });

  it("has damaged in its index never has two rows for a key: what was acknowledged would not be found", async () => {
    make(path, {});
    writeAt((INDEX_PAGE - 1) * PAGE_BYTES, EMPTY_INDEX);
    expect(await anna.values(id)).toEqual({ a: 1 });
    for (const changes of [{ a: 2 }, { a: undefined }, { b: 1, a: 2 }]) {
      const error = await errorOf(anna.commit(id, changes));
      expect(error).toMatchObject({ code: "ERR_UNREADABLE" });
      expect(error.message).toMatch(/"a".*index/);
    }
    await anna.commit(id, { b: 1 });
    expect(await anna.values(id)).toEqual({ a: 1, b: 1 });
  });

  it("has put a row without a key into, or one with a key beyond all bounds, keeps both and gives all others", async () => {
    make(path, {
      more: `INSERT INTO "values" VALUES ('', X'0403000000'), ('${"k".repeat(70_000)}', X'0404000000'), ('z', X'0405000000');`,
    });
    expect(await anna.values(id)).toMatchObject({ a: 1, z: 5 });
    await anna.commit(id, { a: 2, b: 3 });
    expect(await anna.values(id)).toMatchObject({ a: 2, z: 5, b: 3 });
    expect(contentsOf(path).values.map(({ value }) => value)).toEqual([
      "0402000000",
      "0403000000",
      "0404000000",
      "0405000000",
      "0403000000",
    ]);
  });

  describe("has left", () => {
    it("in the middle of a change without a log is what it was before", async () => {
      make(path, {});
      await restart(async () => {
        const outsider = await Outsider.open(path);
        await outsider.run(`PRAGMA cache_size = 1; BEGIN IMMEDIATE; UPDATE "values" SET "sValue" = X'0463000000';
          WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500) INSERT INTO "values" SELECT 'k' || i, zeroblob(3000) FROM n`);
        await outsider.kill();
        // What it has changed is in the file, and what was there before in the journal.
        expect(lstatSync(`${path}-journal`).size).toBeGreaterThan(PAGE_BYTES);
        expect(lstatSync(path).size).toBeGreaterThan(100 * PAGE_BYTES);
      });
      expect(await anna.values(id)).toEqual({ a: 1 });
      expect(existsSync(`${path}-journal`)).toBe(false);
      await anna.commit(id, { a: 2 });
      expect(await anna.values(id)).toEqual({ a: 2 });
    });

    it("with a journal that is none is what it is", async () => {
      make(path, {});
      writeFileSync(`${path}-journal`, "no journal ".repeat(1_000));
      expect(await anna.values(id)).toEqual({ a: 1 });
    });

    it("with a log holds what is in that, whatever is in what readers share", async () => {
      make(path, {});
      await anna.commit(id, { a: 2 });
      await restart(async () => {
        const outsider = await Outsider.open(path);
        await outsider.run(`UPDATE "values" SET "sValue" = X'0407000000'`);
        await outsider.kill();
        expect(lstatSync(`${path}-wal`).size).toBeGreaterThan(0);
        writeFileSync(`${path}-shm`, Buffer.alloc(40_000, "of another protocol "));
      });
      expect(await anna.values(id)).toEqual({ a: 7 });
      await anna.commit(id, { b: 8 });
      expect(await anna.values(id)).toEqual({ a: 7, b: 8 });
    });

    it("with something else in the place of what readers share is not written until that has gone: the error has its path", async () => {
      make(path, {});
      await anna.commit(id, { a: 2 });
      await restart(() => {
        mkdirSync(`${path}-shm`);
      });
      const error = await errorOf(anna.commit(id, { a: 3 }));
      expect(error).toMatchObject({ code: "ERR_STORE" });
      expect(error.message).toContain(path);
      expect(await anna.values(id)).toEqual({ a: 2 });
      rmSync(`${path}-shm`, { recursive: true });
      await anna.commit(id, { a: 4 });
      expect(await anna.values(id)).toEqual({ a: 4 });
    });
  });

  describe("has for itself", () => {
    it("is waited for, for lockWaitMs at most, by readers too where it has no log, and is given when it is free", async () => {
      make(path, {});
      const outsider = await Outsider.open(path);
      await outsider.run("BEGIN EXCLUSIVE");
      for (const call of [() => anna.open(id), () => anna.commit(id, { a: 2 }), () => anna.abandon(id)]) {
        const error = await errorOf(call());
        expect(error).toMatchObject({ code: "ERR_SESSION_BUSY" });
        expect(error.message).toContain(path);
      }
      expect(await anna.call("sweep", false)).toMatchObject({ seen: 2, ended: 0, failed: 1 });
      const waiting = anna.values(id);
      await anna.settle();
      await outsider.run("ROLLBACK");
      expect(await waiting).toEqual({ a: 1 });
      await anna.commit(id, { a: 3 });
      await outsider.end();
      expect(await anna.values(id)).toEqual({ a: 3 });
    });

    it("keeps no daemon from its start, even where its last commit was to that one", async () => {
      make(path, {});
      await anna.commit(id, { a: 2 });
      let outsider: Outsider | undefined;
      await restart(async () => {
        outsider = await Outsider.open(path);
        await outsider.run(`PRAGMA locking_mode = EXCLUSIVE; BEGIN IMMEDIATE; COMMIT`);
      });
      expect(await anna.values(other)).toEqual({ n: 0 });
      expect(await errorOf(anna.open(id))).toMatchObject({ code: "ERR_SESSION_BUSY" });
      await outsider?.end();
      expect(await anna.values(id)).toEqual({ a: 2 });
    });
  });

  describe("has taken the names of", () => {
    it.each([[["-wal"]], [["-shm"]], [["-wal", "-shm"]]])(
      "%j while we have it open, loses no commit: programs that come then see ours, and we theirs",
      async (endings) => {
        make(path, {});
        await anna.commit(id, { a: 2 });
        for (const ending of endings) rmSync(path + ending);
        // It is looked for several times a second.
        vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 1_000 });
        await anna.commit(id, { b: 3 });
        const outsider = await Outsider.open(path);
        expect(await outsider.all('SELECT "sKey" AS key FROM "values"')).toEqual([{ key: "a" }, { key: "b" }]);
        await outsider.run(`UPDATE "values" SET "sValue" = X'0409000000' WHERE "sKey" = 'a'`);
        expect(await anna.values(id)).toEqual({ a: 9, b: 3 });
        await anna.commit(id, { c: 4 });
        expect(await outsider.all("PRAGMA integrity_check")).toEqual([{ integrity_check: "ok" }]);
        await outsider.end();
        expect(await anna.values(id)).toEqual({ a: 9, b: 3, c: 4 });
      },
    );
  });

  describe("has made and not saved yet", () => {
    beforeEach(() => make(path, { more: 'UPDATE "config" SET "fStartup" = 0;' }));

    it("is no session yet, and is left alone: that program would lose its first save", async () => {
      expect((await anna.open(id)).kind).toBe(0);
      expect(await errorOf(anna.commit(id, { a: 2 }))).toMatchObject({ code: "ERR_SESSION_GONE" });
      expect(await errorOf(anna.call("touch", id, 0))).toMatchObject({ code: "ERR_SESSION_GONE" });
      expect(await anna.call("sweep", false)).toMatchObject({ seen: 2, ended: 0 });
      expect(rowsOf(path, "PRAGMA journal_mode")).toEqual([{ journal_mode: "delete" }]);
      change(path, 'UPDATE "config" SET "fStartup" = 1e7');
      expect(await anna.values(id)).toEqual({ a: 1 });
    });

    it("is in the way of one that is to be made with its id, for lockWaitMs at most, and then the session of that id", async () => {
      const error = await errorOf(anna.create(id, { b: 2 }));
      expect(error).toMatchObject({ code: "ERR_SESSION_BUSY" });
      expect(error.message).toContain(path);
      expect(rowsOf(path, 'SELECT "fStartup" AS startup FROM "config"')).toEqual([{ startup: 0 }]);
      change(path, 'UPDATE "config" SET "fStartup" = 1e7');
      expect(await errorOf(anna.create(id, { b: 2 }))).toMatchObject({ code: "ERR_ID_TAKEN" });
      expect(await anna.values(id)).toEqual({ a: 1 });
    });

    it("ends when it was left so for as long as it would have lived", async () => {
      const longAgo = Date.now() / 1000 - DAY_S - 1;
      utimesSync(path, longAgo, longAgo);
      expect(await anna.call("sweep", false)).toMatchObject({ seen: 2, ended: 1 });
      expect(existsSync(path)).toBe(false);
    });

    it("can be ended", async () => {
      await anna.abandon(id);
      expect(existsSync(path)).toBe(false);
    });
  });

  it("has made for an id of more bytes than ours may have is nobody's here, and is left", async () => {
    const long = `${"x".repeat(180)}:${"A".repeat(24)}`;
    const theirs = lab.path(`${"x".repeat(180)}_${long.slice(-24)}.db`);
    make(theirs, {});
    expect(await errorOf(anna.open(long))).toMatchObject({ code: "ERR_BAD_ID" });
    expect((await anna.call("list", "", null, 10)).sessions).toHaveLength(1);
    expect(await anna.call("sweep", false)).toMatchObject({ seen: 1 });
    expect(existsSync(theirs)).toBe(true);
  });

  it("may meet under the longest id that there is, of letters that take more bytes than one", async () => {
    const long = newId("é".repeat(87));
    await anna.create(long, { a: 1 });
    const { sessions } = await anna.call("list", "", "é".repeat(87), 10);
    expect(sessions).toHaveLength(1);
    expect(await anna.values(sessions[0]?.id ?? "")).toEqual({ a: 1 });
    expect(existsSync(lab.path(`${"_".repeat(175)}${long.slice(-24)}.db`))).toBe(true);
    await anna.abandon(long);
  });
});

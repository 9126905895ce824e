// Databases that are damaged, odd or in use: each gets a clear answer, keeps what it holds, and hides nothing of the others. What Gambas makes of the same
// says GAMBAS.md 6.

import { execFileSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { findLibrary } from "../../../../daemon/store/gambas-sqlite/library.ts";
import { readDatabase } from "../../../../daemon/store/gambas-sqlite/opening.ts";
import { databaseName, mappedId } from "../../../../protocol/session-id.ts";
import { codeOf, Lab, newId } from "../../../support/daemon/lab.ts";
import type { RawWorker } from "../../../support/daemon/raw-worker.ts";
import { describeSqlite } from "../../../support/sqlite.ts";
import { change, contentsOf, Databases, rowsOf } from "./databases.ts";
import { Outsider } from "./outsider.ts";

describeSqlite("a database of a session", () => {
  let lab: Lab;
  let anna: RawWorker;
  let id: string;
  let path: string;

  beforeEach(async () => {
    lab = await Lab.open({ type: "sqlite", lockWaitMs: 150 });
    anna = await lab.worker("anna");
    id = newId();
    path = lab.path(databaseName(id));
    await anna.create(id, { a: 1 });
    await anna.commit(id, { b: "two" });
  });
  afterEach(() => lab.close());

  /** Changes the file while no daemon has it open. */
  async function damage(how: () => void): Promise<void> {
    await lab.stop();
    how();
    await lab.start();
    anna = await lab.worker("anna");
  }

  const run = (sql: string) => (): void => change(path, sql);

  /** As long as nobody loads it a database of Gambas has no log. */
  function overwriteValues(): void {
    change(path, "PRAGMA journal_mode = DELETE");
    const [first] = rowsOf(path, "SELECT rootpage FROM sqlite_master WHERE name = 'values'");
    const page = 4096 * (Number(first?.rootpage) - 1);
    writeFileSync(path, readFileSync(path).fill(0xaa, page, page + 4096));
  }

  describe("that is none is told to be unreadable, left as it is, and can be ended:", () => {
    it.each<[string, () => void]>([
      ["an empty file", () => truncateSync(path)],
      ["no database", () => writeFileSync(path, "x".repeat(30_000))],
      ["fifty bytes", () => truncateSync(path, 50)],
      ["half of it", () => truncateSync(path, 6_000)],
      ['no table "config"', run('DROP TABLE "config"')],
      ['no row in "config"', run('DELETE FROM "config"')],
      ['no table "values"', run('DROP TABLE "values"')],
      ["a stamp that is text", run(`UPDATE "config" SET "fStartup" = 'soon'`)],
      ["values that are damaged, in a database without a log", () => overwriteValues()],
    ])("%s", async (_name, how) => {
      await damage(how);
      const bytes = readFileSync(path);
      for (const call of [() => anna.open(id), () => anna.commit(id, { a: 2 }), () => anna.call("touch", id, 0)])
        expect(await codeOf(call())).toBe("ERR_UNREADABLE");
      expect(await anna.call("sweep", false)).toMatchObject({ seen: 1, ended: 0 });
      await lab.stop();
      expect(readFileSync(path).equals(bytes)).toBe(true);
      await lab.start();
      anna = await lab.worker("anna");
      await anna.abandon(id);
      expect(existsSync(path)).toBe(false);
    });

    it("a directory, and a link to another one", async () => {
      await damage(() => {
        rmSync(path);
        mkdirSync(path);
      });
      expect(await codeOf(anna.open(id))).toBe("ERR_UNREADABLE");
      const other = newId();
      await anna.create(other, { a: 1 });
      await damage(() => {
        renameSync(lab.path(databaseName(other)), `${lab.root}/elsewhere`);
        symlinkSync(`${lab.root}/elsewhere`, lab.path(databaseName(other)));
      });
      expect(await codeOf(anna.open(other))).toBe("ERR_UNREADABLE");
      expect(existsSync(`${lab.root}/elsewhere`)).toBe(true);
    });
  });

  it.each(["-journal", "-wal", "-shm"])(
    "beside which %s is a pipe is told to be unreadable, and nobody waits for it",
    async (ending) => {
      await damage(() => {
        change(path, "PRAGMA journal_mode = DELETE");
        execFileSync("mkfifo", [path + ending]);
      });
      await expect(anna.open(id)).rejects.toMatchObject({
        code: "ERR_UNREADABLE",
        message: expect.stringContaining(path + ending),
      });
      expect(await codeOf(anna.commit(id, { a: 2 }))).toBe("ERR_UNREADABLE");
      await anna.abandon(id);
      expect([existsSync(path), existsSync(path + ending)]).toEqual([false, false]);
    },
  );

  it("is not there where only its log is", async () => {
    await damage(() => {
      rmSync(path);
      writeFileSync(`${path}-wal`, "x");
    });
    expect((await anna.open(id)).kind).toBe(0);
    expect(readFileSync(`${path}-wal`, "utf8")).toBe("x");
  });

  describe("with one value that no Gambas reads keeps it, and gives all others:", () => {
    it.each<[string, string]>([
      ["an unknown tag", "X'7701'"],
      ["a value cut short", "X'0401'"],
      ["a string longer than its bytes", "X'090561'"],
      ["text", "'hello'"],
      ["a number", "5"],
      ["nothing", "X''"],
      ["null", "NULL"],
      ["a reference to what comes later", "X'4009000000'"],
    ])("%s", async (_name, value) => {
      await damage(run(`INSERT INTO "values" VALUES ('bad', ${value}), ('c', X'0403000000')`));
      const before = await lab.stop().then(() => contentsOf(path).values.find(({ key }) => key === "626164"));
      await lab.start();
      anna = await lab.worker("anna");
      const state = await anna.open(id);
      expect(state.kind).toBe(2);
      expect(state.image?.includes("bad")).toBe(true);
      await anna.commit(id, { a: 7, d: [{ x: 1 }] });
      await lab.stop();
      const { values } = contentsOf(path);
      expect(values.find(({ key }) => key === "626164")).toEqual(before);
      expect(values.find(({ key }) => key === "61")).toMatchObject({ value: "0407000000" });
      expect(values.find(({ key }) => key === "63")).toMatchObject({ value: "0403000000" });
    });
  });

  it("may hold text whose bytes are a value, bytes behind one, and values of newer programs", async () => {
    await damage(
      run(
        `INSERT INTO "values" VALUES ('t', CAST(X'0402000000' AS TEXT)), ('l', X'0403000000FFFF'), ('n', X'44010161' || X'0405000000')`,
      ),
    );
    expect(await anna.values(id)).toMatchObject({ t: 2, l: 3, n: { a: 5 } });
  });

  it("may hold keys that no program finds, and they stay", async () => {
    await damage(run(`INSERT INTO "values" VALUES (X'61', X'0409000000')`));
    expect(await anna.values(id)).toEqual({ a: 1, b: "two" });
    await anna.commit(id, { a: 3 });
    await lab.stop();
    expect(contentsOf(path).values.map(({ value }) => value)).toContain("0409000000");
  });

  it.each<[string, string]>([
    ["values", "'k', CAST(zeroblob(1500) AS TEXT)"],
    ["characters of several bytes", "replace(hex(zeroblob(300)), '0', 'ж'), X'0401000000'"],
    ["keys that begin with a NUL", "char(0) || hex(zeroblob(750)), X'0401000000'"],
  ])("of more bytes than are read says so, and that all of them are counted: %s", async (_name, row) => {
    await damage(run(`INSERT INTO "values" VALUES (${row})`));
    await expect(readDatabase(id, path, 1_000_000)).resolves.toBeDefined();
    const databases = new Databases();
    databases.put(id, path);
    expect(() => databases.store.load(id, 1_000)).toThrow("at most 1000 are read");
    await databases.close();
  });

  it("keeps tables, columns, pages and numbers of others", async () => {
    await damage(() => {
      change(
        path,
        'ALTER TABLE "values" ADD COLUMN extra DEFAULT 7; CREATE TABLE mine (x); INSERT INTO mine VALUES (1)',
      );
      change(path, "PRAGMA application_id = 99");
    });
    await anna.commit(id, { c: 3 });
    await lab.stop();
    const database = findLibrary().open(path);
    expect(database.prepare("SELECT x FROM mine").all()).toEqual([{ x: 1 }]);
    expect(database.prepare('SELECT extra FROM "values"').all()).toEqual([{ extra: 7 }, { extra: 7 }, { extra: 7 }]);
    expect(database.prepare("PRAGMA application_id").get()).toEqual({ application_id: 99 });
    database.close();
  });

  it("of several rows in config the first counts, and it alone is renewed", async () => {
    await damage(run(`INSERT INTO "config" VALUES (5, 6, '/other')`));
    await anna.commit(id, { a: 2 });
    await lab.stop();
    expect(contentsOf(path).config[1]).toMatchObject({ fStartup: 5, fTimeout: 6, sCookiePath: "/other" });
    expect(contentsOf(path).config[0]?.fStartup).toBeGreaterThan(2_490_000);
  });

  it("is waited for while somebody writes, for lockWaitMs at most, and read meanwhile", async () => {
    const other = findLibrary().open(path);
    other.exec("BEGIN IMMEDIATE");
    expect(await anna.values(id)).toEqual({ a: 1, b: "two" });
    expect(await codeOf(anna.commit(id, { a: 2 }))).toBe("ERR_SESSION_BUSY");
    expect(await codeOf(anna.abandon(id))).toBe("ERR_SESSION_BUSY");
    other.exec("ROLLBACK");
    other.close();
  });

  it("is not written while another program is inside a transaction, which our commit would make stale", async () => {
    const reader = await Outsider.open(path);
    await reader.run('BEGIN; SELECT * FROM "config"');
    expect(await codeOf(anna.commit(id, { a: 2 }))).toBe("ERR_SESSION_BUSY");
    expect(await anna.values(id)).toEqual({ a: 1, b: "two" });
    const waiting = anna.commit(id, { a: 3 });
    await reader.end();
    await waiting;
    expect(await anna.values(id)).toEqual({ a: 3, b: "two" });
  });

  it("that somebody else commits to is seen at the next request, and in the next commit", async () => {
    await anna.values(id);
    change(path, `UPDATE "values" SET "sValue" = X'0455000000' WHERE "sKey" = 'a'`);
    expect(await anna.values(id)).toMatchObject({ a: 0x55, b: "two" });
    change(path, `UPDATE "values" SET "sValue" = X'0456000000' WHERE "sKey" = 'a'`);
    await anna.commit(id, { b: 3 });
    expect(await anna.values(id)).toEqual({ a: 0x56, b: 3 });
  });

  it("whose file is another one all at once is another session", async () => {
    const other = newId();
    await anna.create(other, { other: true });
    await damage(() => undefined);
    await anna.values(id);
    await lab.stop();
    const bytes = readFileSync(lab.path(databaseName(other)));
    await lab.start();
    anna = await lab.worker("anna");
    await anna.values(id);
    for (const ending of ["", "-wal", "-shm"]) rmSync(path + ending, { force: true });
    writeFileSync(path, bytes);
    expect(await anna.values(id)).toEqual({ other: true });
    await anna.commit(id, { more: 1 });
    expect(await anna.values(id)).toEqual({ other: true, more: 1 });
  });

  it("is one session under all ids that name it", async () => {
    const [odd, plain] = [id, mappedId(id)];
    expect(odd).not.toBe(plain);
    expect(await anna.values(plain)).toEqual({ a: 1, b: "two" });
    expect(await codeOf(anna.create(plain, {}))).toBe("ERR_ID_TAKEN");
    const { fence } = await anna.lease(odd);
    const waiting = anna.commit(plain, { a: 2 });
    await anna.commitLeased(odd, { b: "three" }, fence);
    await waiting;
    expect(await anna.values(odd)).toEqual({ a: 2, b: "three" });
    await anna.abandon(plain);
    expect((await anna.open(odd)).kind).toBe(0);
    expect(await codeOf(anna.commit(odd, { a: 1 }))).toBe("ERR_SESSION_GONE");
    expect(await codeOf(anna.create(odd, {}))).toBe("ERR_ID_TAKEN");
  });
});

// The engine of Type "sqlite" by the suite of the seam, and what it does where a package is missing.

import { spawnSync } from "node:child_process";
import { copyFileSync, existsSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { afterAll, expect, it, vi } from "vitest";
import { stampOf } from "../../../../daemon/store/gambas-sqlite/changes.ts";
import type { Surroundings } from "../../../../daemon/store/gambas-sqlite/connection.ts";
import { findGuard, type Guard } from "../../../../daemon/store/gambas-sqlite/guard.ts";
import {
  type Database,
  findLibrary,
  type Library,
  Missing,
  RESULT,
  resultOf,
  type Statement,
} from "../../../../daemon/store/gambas-sqlite/library.ts";
import { openGambasSqlite } from "../../../../daemon/store/gambas-sqlite/opening.ts";
import { Revisions } from "../../../../daemon/store/gambas-sqlite/schema.ts";
import { GambasSqliteStore } from "../../../../daemon/store/gambas-sqlite/store.ts";
import { StoreBusy } from "../../../../daemon/store/store.ts";
import { newImage, readDaysOf } from "../../../../protocol/image/image.ts";
import { databaseName } from "../../../../protocol/session-id.ts";
import { Lab, newId } from "../../../support/daemon/lab.ts";
import { freshRoot, removeRoot } from "../../../support/processes.ts";
import { repository } from "../../../support/repository.ts";
import { describeSqlite } from "../../../support/sqlite.ts";
import { describeStore } from "../conformance.ts";
import { rowsOf } from "./databases.ts";

const log = { info: () => undefined, warn: () => undefined };
const roots: string[] = [];

function makeRoot(): string {
  const root = freshRoot();
  roots.push(root);
  return root;
}

function open(): GambasSqliteStore {
  return openGambasSqlite({ root: makeRoot(), gambas: "3.18", openSessions: 100, durability: "file", log });
}

afterAll(async () => {
  for (const root of roots) await removeRoot(root);
});

describeSqlite("of databases", () => {
  const close = (store: { close(): void }): void => store.close();
  describeStore("gambas-sqlite", { open, close });

  it("tells results of SQLite that mean something from all others, in whichever library's words", () => {
    expect(["SQLITE_BUSY_SNAPSHOT", "SQLITE_LOCKED", "SQLITE_NOTADB"].map((code) => resultOf({ code }))).toEqual([
      RESULT.busy,
      RESULT.busy,
      RESULT.notADatabase,
    ]);
    expect([517, 6, 26, 1].map((errcode) => resultOf({ errcode }))).toEqual([5, 5, 26, 1]);
    expect([resultOf({ code: "SQLITE_FULL" }), resultOf({ errcode: 13 })]).not.toContain(RESULT.error);
    expect(resultOf(new Error("no result"))).toBeUndefined();
  });

  it("has the guard", () => expect(findGuard()).not.toBeInstanceOf(Missing));

  it("tells of each commit of ours the head of the log that it has made, and of none of others", () => {
    const root = makeRoot();
    const options = { root, gambas: "3.18", openSessions: 10, durability: "file", log } as const;
    const store = openGambasSqlite(options);
    const id = store.nameOf(newId());
    store.publish(id, store.stage(id, newImage({ nowMs: 0, timeoutSeconds: 60 }), undefined));
    // Another process reads it: a descriptor that was closed in this one would cost the locks of SQLite.
    const log48 = (): Buffer =>
      spawnSync("head", ["-c", "48", `${join(store.directory, databaseName(id))}-shm`]).stdout;
    const heads = new Set<string>();
    for (let nowMs = 1; nowMs <= 20; nowMs++) {
      const present = store.load(id, 1_000);
      store.publish(id, store.stage(id, newImage({ nowMs, timeoutSeconds: 60 }), present));
      expect(store.stat(id)?.head?.toString("hex")).toBe(log48().toString("hex"));
      heads.add(log48().toString("hex"));
      const days = Buffer.alloc(8);
      days.writeDoubleLE(nowMs);
      const stamped = store.stamp(id, days, store.stat(id) ?? { ino: 0, size: 0, mtimeMs: 0 });
      expect(stamped?.head?.toString("hex")).toBe(log48().toString("hex"));
      heads.add(log48().toString("hex"));
    }
    expect(heads.size).toBe(40);
    saveOutside(join(store.directory, databaseName(id)));
    expect(store.stat(id)?.head).toBeUndefined();
    store.close();
  });

  /** Another program, which begins and ends meanwhile, gives the session a life time of 2 days. */
  function saveOutside(path: string): void {
    const library = join(repository, "dist/daemon/store/gambas-sqlite/library.js");
    const script = `
      const { findLibrary } = await import(process.argv[1]);
      findLibrary().open(process.argv[2]).exec('UPDATE "config" SET "fTimeout" = 2');`;
    const args = ["--input-type=module", "--eval", script, library, path];
    const { status, stderr } = spawnSync(process.execPath, args, { encoding: "utf8" });
    expect(status, stderr).toBe(0);
  }

  it("tells no head that another program has made, however soon behind a commit of ours, and sees that it has changed something", () => {
    const found = findGuard();
    const { open: openDatabase } = findLibrary();
    let follow: (() => void) | undefined;
    const library: Library = { ...findLibrary(), open: (path) => followed(openDatabase(path)) };
    const { store } = assembled({ library, guard: found instanceof Missing ? undefined : found });
    const id = store.nameOf(newId());
    store.publish(id, store.stage(id, image, undefined));
    follow = () => saveOutside(join(store.directory, databaseName(id)));
    const staged = store.stage(id, image, store.load(id, 1_000));
    expect(store.publish(id, staged)).toBe(true);
    follow = undefined;
    expect(staged.revision.head).toBeUndefined();
    expect(store.stat(id)?.mtimeMs).not.toBe(staged.revision.mtimeMs);
    const present = store.load(id, 1_000);
    expect(present && readDaysOf(present.image).timeout).toBe(2);
    expect(store.publish(id, store.stage(id, image, present))).toBe(true);
    expect(store.stat(id)?.head).toBeDefined();
    store.close();

    /** As if the system let this process wait behind its commit, before anything else is done. */
    function followed(database: Database): Database {
      return {
        exec: (sql) => database.exec(sql),
        close: () => database.close(),
        prepare(sql) {
          const statement = database.prepare(sql);
          if (sql !== "COMMIT") return statement;
          return {
            get: (...values) => statement.get(...values),
            all: (...values) => statement.all(...values),
            run(...values) {
              const done = statement.run(...values);
              follow?.();
              return done;
            },
          };
        },
      };
    }
  });

  /** An engine with parts of its own. */
  function assembled(
    parts: Partial<Surroundings>,
    lacks: readonly string[] = [],
  ): { store: GambasSqliteStore; root: string } {
    const root = makeRoot();
    const rest = {
      guard: undefined,
      isAlone: () => true,
      revisions: new Revisions(),
      isDurable: false,
      leavesMode: false,
    };
    const around = { library: findLibrary(), ...rest, ...parts };
    const dialect = () => "3.18" as const;
    return { store: new GambasSqliteStore({ root, openSessions: 10, dialect, log, lacks, around }), root };
  }

  const image = newImage({ nowMs: Date.now(), timeoutSeconds: 60 });

  it("makes no database in the place of one that goes in the moment in which it is opened", () => {
    const { open: openDatabase } = findLibrary();
    let goes = false;
    const library: Library = {
      ...findLibrary(),
      open(path) {
        if (goes) rmSync(path);
        return openDatabase(path);
      },
    };
    const { store, root } = assembled({ library });
    const id = store.nameOf(newId());
    expect(store.publish(id, store.stage(id, image, undefined))).toBe(true);
    store.close();
    goes = true;
    expect(() => store.load(id, 1_000)).toThrow(StoreBusy);
    expect(existsSync(join(root, "session", databaseName(id)))).toBe(false);
    goes = false;
    expect(store.load(id, 1_000)).toBeUndefined();
    store.close();
  });

  it("says of a file system without memory to share that it has none, makes nothing there, and reads what it can", () => {
    const { open: openDatabase } = findLibrary();
    const library: Library = { ...findLibrary(), open: (path) => staying(openDatabase(path)) };
    const found = findGuard();
    const { store, root } = assembled({ library, guard: found instanceof Missing ? undefined : found });
    const id = store.nameOf(newId());
    const path = join(root, "session", databaseName(id));
    const refused = expect.objectContaining({
      code: "ERR_STORE",
      message: expect.stringMatching(
        new RegExp(`${path} cannot have a write-ahead log.* stays in mode delete.*--root`),
      ),
    });
    expect(problemOf(() => store.publish(id, store.stage(id, image, undefined)))).toEqual(refused);
    expect(readdirSync(join(root, "session"))).toEqual([]);
    copyFileSync(join(repository, "test/fixtures/sqlite/minimal.db"), path);
    const present = store.load(id, 10_000);
    expect(present).toBeDefined();
    expect(problemOf(() => store.publish(id, store.stage(id, image, present)))).toEqual(refused);
    store.remove(id);
    expect(readdirSync(join(root, "session"))).toEqual([]);
    store.close();

    /** As SQLite does it there: no error, and the mode that it has. */
    function staying(database: Database): Database {
      const without = (sql: string): string => sql.replace("PRAGMA journal_mode = WAL", "PRAGMA journal_mode");
      return {
        exec: (sql) => database.exec(without(sql)),
        prepare: (sql) => database.prepare(without(sql)),
        close: () => database.close(),
      };
    }
  });

  function problemOf(step: () => unknown): unknown {
    try {
      step();
    } catch (error) {
      return error;
    }
    return undefined;
  }

  it("gives the guard back whatever fails, and goes on with a database that it opens anew", () => {
    const { open: openDatabase } = findLibrary();
    let fails = false;
    const library: Library = { ...findLibrary(), open: (path) => failing(openDatabase(path)) };
    let isTaken = false;
    const guard: Guard = {
      take() {
        isTaken = true;
        return true;
      },
      takeAgain: () => isTaken,
      release() {
        isTaken = false;
      },
    };
    const { store } = assembled({ library, guard });
    const id = store.nameOf(newId());
    store.publish(id, store.stage(id, image, undefined));
    const write = (): boolean => store.publish(id, store.stage(id, image, store.load(id, 1_000)));
    expect(write()).toBe(true);
    fails = true;
    expect(write).toThrow("planted");
    expect(isTaken).toBe(false);
    fails = false;
    expect(write()).toBe(true);
    expect(isTaken).toBe(false);
    store.close();

    /** Its disk does not take what is to be committed, and not that it is to be undone either. */
    function failing(database: Database): Database {
      return {
        exec: (sql) => database.exec(sql),
        close: () => database.close(),
        prepare(sql) {
          const statement = database.prepare(sql);
          if (sql !== "COMMIT" && sql !== "ROLLBACK") return statement;
          return Object.create(statement, {
            // It would be called on an object that is no statement.
            setReadBigInts: { value: undefined },
            run: {
              value: () => {
                if (fails) throw Object.assign(new Error("planted"), { code: "SQLITE_IOERR", errcode: 10 });
                return statement.run();
              },
            },
          }) as Statement;
        },
      };
    }
  });

  it("without the guard writes nothing while a program may be there, and says so", () => {
    let isAlone = true;
    const { store } = assembled({ isAlone: () => isAlone }, ["the guard"]);
    const id = store.nameOf(newId());
    store.publish(id, store.stage(id, image, undefined));
    const write = (): boolean => store.publish(id, store.stage(id, image, store.load(id, 1_000)));
    expect(write()).toBe(true);
    isAlone = false;
    expect(write).toThrow(StoreBusy);
    expect(() => store.remove(id)).toThrow(StoreBusy);
    isAlone = true;
    expect(write()).toBe(true);
    expect(store.fileSystem).toEqual({ report: { guard: false }, lacks: ["the guard"] });
    store.close();
  });

  it("has its stamp renewed by each commit, as by each save of Gambas, and tells the worker so", async () => {
    const lab = await Lab.open({ type: "sqlite" });
    const anna = await lab.worker("anna");
    const id = newId();
    const madeMs = Date.now();
    const clock = vi.spyOn(Date, "now").mockReturnValue(madeMs);
    const path = join(lab.root, "session", databaseName(id));
    const renewedBy = async (ms: number): Promise<boolean> => {
      clock.mockReturnValue(madeMs + ms);
      const told = (await anna.commit(id, { n: ms })).startupMs;
      const [row] = rowsOf(path, 'SELECT "fStartup" FROM "config"');
      const stamp = stampOf(readDaysOf(newImage({ nowMs: madeMs + ms, timeoutSeconds: 60 })).startup);
      return told === madeMs + ms && row?.fStartup === stamp;
    };
    try {
      await anna.create(id, { n: 0 });
      expect([await renewedBy(1), await renewedBy(1_000), await renewedBy(1_001)]).toEqual([true, true, true]);
    } finally {
      clock.mockRestore();
      await lab.close();
    }
  });

  it("opens no more of them for one turn than may be open: each is written at the second try at the latest", async () => {
    const lab = await Lab.open({ type: "sqlite", openSessions: 2 });
    const anna = await lab.worker("anna");
    const ids = Array.from({ length: 20 }, () => newId());
    for (const id of ids) await anna.create(id, { n: 0 });
    const publish = vi.spyOn(GambasSqliteStore.prototype, "publish");
    await Promise.all(ids.map((id) => anna.commit(id, { n: 1 })));
    const tries = publish.mock.results.length;
    publish.mockRestore();
    expect(tries).toBeLessThanOrEqual(2 * ids.length);
    await lab.close();
  });
});

// A Node that has SQLite never misses it.
if (process.getBuiltinModule?.("node:sqlite") === undefined) {
  it("without SQLite a daemon names the command that installs it", () => {
    const args = [join(repository, "dist/daemon/main.js"), "run", "--type", "sqlite", "--root", makeRoot()];
    const env = { ...process.env, NODE_PATH: "" };
    const { status, stderr } = spawnSync(process.execPath, args, { env, encoding: "utf8" });
    expect(stderr).toContain("npm install better-sqlite3@12");
    expect(status).toBe(2);
  });
}

// What is found out of a machine without a daemon, where something is missing: the library and the guard answer here as they do there.

import { mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { findGuard, type Guard, guardBy } from "../../../../daemon/store/gambas-sqlite/guard.ts";
import { type Database, findLibrary, type Library, Missing } from "../../../../daemon/store/gambas-sqlite/library.ts";
import { lacksOf, outfit } from "../../../../daemon/store/gambas-sqlite/opening.ts";
import { freshRoot, removeRoot } from "../../../support/processes.ts";
import { describeSqlite } from "../../../support/sqlite.ts";

let place: string;
let folder: string;

beforeEach(() => {
  place = freshRoot();
  folder = join(place, "trial");
  mkdirSync(folder);
});

afterEach(() => removeRoot(place));

/** The library of this Node, whose databases do this in another way. */
function libraryWith(change: Partial<Database>): Library {
  const { open, ...library } = findLibrary();
  const changed = (path: string): Database => {
    const database = open(path);
    const own: Database = {
      prepare: (sql) => database.prepare(sql),
      exec: (sql) => database.exec(sql),
      close: () => database.close(),
    };
    return { ...own, ...change };
  };
  return { ...library, open: changed };
}

function failing(message: string, code: string, errcode: number): () => never {
  return () => {
    throw Object.assign(new Error(message), { code, errcode });
  };
}

describeSqlite("a trial of a file system", () => {
  it("finds nothing lacking where all is well, and makes nothing but in its folder", () => {
    expect(lacksOf(folder)).toEqual([]);
    expect(readdirSync(place)).toEqual(["trial"]);
  });

  it("finds that a write-ahead log cannot be had, refused or by an error", () => {
    const statement = { get: () => ({ journal_mode: "delete" }), all: () => [], run: () => ({ changes: 0 }) };
    const refusing = libraryWith({ prepare: () => statement });
    expect(lacksOf(folder, { library: refusing, guard: findGuard() })).toEqual([
      { feature: "log", words: expect.stringMatching(/cannot have a write-ahead log.* \(it stays in mode delete\)$/) },
    ]);
    const library = libraryWith({ exec: failing("disk I/O error", "SQLITE_IOERR_SHMMAP", 5_386) });
    expect(lacksOf(folder, { library, guard: findGuard() })?.map(({ words }) => words)).toEqual([
      expect.stringMatching(/ \(disk I\/O error\)$/),
    ]);
  });

  it("says nothing of a disk that is full", () => {
    const library = libraryWith({ exec: failing("database or disk is full", "SQLITE_FULL", 13) });
    expect(() => lacksOf(folder, { library, guard: findGuard() })).toThrow("is full");
  });

  it.each<[string, Guard, string]>([
    ["keeps nobody out", { take: () => true, takeAgain: () => true, release: () => undefined }, "both get one"],
    ["is never had", { take: () => false, takeAgain: () => false, release: () => undefined }, "nobody gets one"],
  ])("finds that a lock %s", (_name, guard, why) => {
    expect(lacksOf(folder, { library: findLibrary(), guard })).toEqual([
      { feature: "locks", words: expect.stringMatching(new RegExp(`does not keep others out.* \\(${why}\\)$`)) },
    ]);
  });

  it("finds that locks run out, and leaves none of those that it had", () => {
    const [unlock, write, byProcess, noLocks] = [2, 1, 6, 37];
    const locked = new Set<number>();
    /** The system has a lock for an open file, and none for a process. */
    const fcntl = (_fd: number, command: number, lock: Uint8Array): number => {
      const view = new DataView(lock.buffer, lock.byteOffset);
      if (command === byProcess && view.getInt16(0, true) === write) return -1;
      if (view.getInt16(0, true) === unlock) locked.delete(view.getUint32(8, true));
      else locked.add(view.getUint32(8, true));
      return 0;
    };
    const guard = guardBy({ load: () => ({ func: () => fcntl }), errno: () => noLocks });
    expect(() => guard.take(5)).toThrow(/could not be locked \(error 37\)/);
    expect([...locked]).toEqual([]);
  });

  it("tries nothing without a library, and without the guard no locks", () => {
    const guard = new Missing("it needs a package", "npm install it");
    const library = findLibrary();
    expect(lacksOf(folder, { library, guard })).toEqual([]);
    const missing = new Missing("there is none");
    expect(lacksOf(folder, { library: missing, guard })).toBeUndefined();
    expect(outfit({ library: missing, guard })).toEqual({ library: { lacks: missing }, guard: { lacks: guard } });
    expect([missing.words, guard.words]).toEqual(["there is none", "it needs a package: npm install it"]);
  });
});

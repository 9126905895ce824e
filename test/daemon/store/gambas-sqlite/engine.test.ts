// The engine of Type "sqlite" by the suite of the seam, and what it does where a package is missing.

import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { afterAll, expect, it } from "vitest";
import { findGuard } from "../../../../daemon/store/gambas-sqlite/guard.ts";
import { findLibrary, RESULT, resultOf } from "../../../../daemon/store/gambas-sqlite/library.ts";
import { openGambasSqlite } from "../../../../daemon/store/gambas-sqlite/opening.ts";
import { Revisions } from "../../../../daemon/store/gambas-sqlite/revisions.ts";
import { GambasSqliteStore } from "../../../../daemon/store/gambas-sqlite/store.ts";
import { StoreBusy } from "../../../../daemon/store/store.ts";
import { newImage } from "../../../../protocol/image/image.ts";
import { newId } from "../../../support/daemon/lab.ts";
import { freshRoot, removeRoot } from "../../../support/processes.ts";
import { repository } from "../../../support/repository.ts";
import { describeSqlite } from "../../../support/sqlite.ts";
import { describeStore } from "../conformance.ts";

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

  it("has the guard", () => expect(typeof findGuard()).toBe("object"));

  it("without the guard writes nothing while a program may be there, and says so", () => {
    let isAlone = true;
    const around = {
      library: findLibrary(),
      guard: undefined,
      isAlone: () => isAlone,
      revisions: new Revisions(),
      isDurable: false,
      leavesMode: false,
    };
    const dialect = () => "3.18" as const;
    const options = { root: makeRoot(), openSessions: 10, dialect, log, around };
    const store = new GambasSqliteStore({ ...options, lacks: ["the guard"] });
    const id = store.nameOf(newId());
    const image = newImage({ nowMs: 0, timeoutSeconds: 60 });
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

// A session in a database ends, and a kill may come between any two of its names: what each kill would leave is kept aside, and then looked at. It is the whole
// session, or nothing that holds a value of it.

import { copyFileSync, mkdirSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { applyDelta, newImage } from "../../../../protocol/image/image.ts";
import { databaseName } from "../../../../protocol/session-id.ts";
import { newId } from "../../../support/daemon/lab.ts";
import { deltaOf } from "../../../support/daemon/raw-worker.ts";
import { freshRoot, removeRoot } from "../../../support/processes.ts";
import { describeSqlite } from "../../../support/sqlite.ts";
import { Databases, MAX_BYTES, rowsOf } from "./databases.ts";

const removals = vi.hoisted(() => ({ before: undefined as (() => void) | undefined }));

vi.mock("node:fs", async (original) => {
  const fs = await original<typeof import("node:fs")>();
  const rmSync: typeof fs.rmSync = (path, options) => {
    removals.before?.();
    fs.rmSync(path, options);
  };
  return { ...fs, rmSync };
});

const SECRET = "the value of a session that has ended";

describeSqlite("what a kill leaves of a session that is ending", () => {
  let databases: Databases;
  let id: string;
  let aside: string;
  let kills: string[];

  beforeEach(() => {
    databases = new Databases();
    id = databases.store.nameOf(newId());
    aside = freshRoot();
    kills = [];
  });
  afterEach(async () => {
    removals.before = undefined;
    await databases.close();
    await removeRoot(aside);
  });

  function write(values: Record<string, unknown>): void {
    const { store } = databases;
    const present = store.load(id, MAX_BYTES);
    const before = present?.image ?? newImage({ nowMs: Date.now(), timeoutSeconds: 60 });
    const image = applyDelta(before, { delta: deltaOf(values), nowMs: Date.now() });
    expect(store.publish(id, store.stage(id, image, present))).toBe(true);
  }

  function keepAside(): void {
    const kill = join(aside, String(kills.length));
    mkdirSync(kill);
    for (const name of databases.names()) copyFileSync(join(databases.path(id), "..", name), join(kill, name));
    kills.push(kill);
  }

  it.each<[string, () => unknown]>([
    ["by somebody", () => databases.store.remove(id)],
    ["since its time is over", () => databases.store.removeUnchanged(id, revision())],
  ])("%s is all of it, or no value", (_name, end) => {
    write({ n: 1 });
    write({ secret: SECRET });
    removals.before = keepAside;
    end();
    removals.before = undefined;
    expect(databases.names()).toEqual([]);
    expect(kills.length).toBeGreaterThanOrEqual(4);
    for (const kill of kills) {
      const names = readdirSync(kill);
      if (names.includes(databaseName(id))) {
        const path = join(kill, databaseName(id));
        expect(rowsOf(path, `SELECT CAST("sKey" AS TEXT) AS key FROM "values"`)).toEqual([
          { key: "n" },
          { key: "secret" },
        ]);
        expect(rowsOf(path, `SELECT "fTimeout" > 0 AS lives FROM "config"`)).toEqual([{ lives: 1 }]);
      } else for (const name of names) expect(readFileSync(join(kill, name)).includes(SECRET), name).toBe(false);
    }
  });

  function revision(): NonNullable<ReturnType<Databases["store"]["stat"]>> {
    const found = databases.store.stat(id);
    if (found === undefined) throw new Error("there is no session");
    return found;
  }
});

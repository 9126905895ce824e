// The packages that sessions of type "sqlite" need beside Node: SQLite before Node 22.13, and the guard. They are no dependency of ours, so tests have them in a
// folder of their own, which `.ci/run` fills; without it the tests of that type are skipped, and say so.

import { createRequire } from "node:module";
import { join } from "node:path";
import { describe, it } from "vitest";
import { requireGambas } from "./gambas/interop-name.ts";
import { repository } from "./repository.ts";

export const SQLITE_FOLDER: string = join(repository, "node_modules/.cache/gambas-session/sqlite");
const COMMAND = "npm install --no-save --prefix node_modules/.cache/gambas-session/sqlite better-sqlite3@12 koffi@3";

// Where every `require` of this process, and of those it starts, looks last.
process.env.NODE_PATH = join(SQLITE_FOLDER, "node_modules");
(createRequire(import.meta.url)("node:module") as { _initPaths(): void })._initPaths();

/** Why sessions of type "sqlite" cannot be had here; undefined where they can. */
export const sqliteMissing: string | undefined = findObstacle();

function findObstacle(): string | undefined {
  const hasBuiltin = process.getBuiltinModule?.("node:sqlite") !== undefined;
  for (const name of hasBuiltin ? ["koffi"] : ["koffi", "better-sqlite3"]) {
    try {
      createRequire(import.meta.url)(name);
    } catch (error) {
      return `${name} cannot be loaded (${error instanceof Error ? error.message.split("\n", 1)[0] : error}): ${COMMAND}`;
    }
  }
  return undefined;
}

/** A suite that needs SQLite and the guard: skipped where they are missing, or failed where everything is required. */
export function describeSqlite(name: string, body: () => void): void {
  if (sqliteMissing === undefined) describe(name, body);
  else if (requireGambas) {
    describe(name, () => {
      it("finds SQLite", () => {
        throw new Error(sqliteMissing);
      });
    });
  } else {
    console.warn(`\n*** SKIPPED: ${name}\n*** ${sqliteMissing}\n`);
    describe.skip(name, body);
  }
}

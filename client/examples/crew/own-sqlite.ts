// What `TYPE=sqlite npm start` needs beside this package: SQLite, which newer Nodes have.

import { createRequire, isBuiltin } from "node:module";

/** Without a change of the clone. */
const COMMAND = "npm install --no-save better-sqlite3@12 koffi";
export const GUARD_COMMAND = "npm install --no-save koffi";

/** Before a daemon is started that would find none. @throws Error with what to install. */
export function checkSqlite(): void {
  if (isBuiltin("node:sqlite") || isInstalled("better-sqlite3")) return;
  const { node } = process.versions;
  throw new Error(
    `TYPE=sqlite needs SQLite: a Node from 22.13 on, which has it (this is ${node}), or the package better-sqlite3. Install that: ${COMMAND}`,
  );
}

/** From where the daemon looks for it. */
function isInstalled(name: string): boolean {
  try {
    createRequire(import.meta.resolve("gambas-session/package.json")).resolve(name);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "MODULE_NOT_FOUND") throw error;
    return false;
  }
}

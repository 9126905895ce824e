// Packages that an application may install beside ours. Here they lie in a folder of their own, which `.ci/run` fills for the tests; what cannot be had
// is skipped by name.

import { createRequire } from "node:module";
import { delimiter, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const FOLDER = "node_modules/.cache/gambas-session/sqlite";
const COMMAND = `npm install --no-save --prefix ${FOLDER} better-sqlite3@12 koffi@3`;
/** Above the sources, also when this runs from dist. */
const repository = dirname(dirname(dirname(fileURLToPath(import.meta.url.replace("/dist/bench/", "/bench/")))));
const folder = join(repository, FOLDER, "node_modules");

/** What a daemon of type "sqlite" needs beside Node. */
export const FOR_SQLITE: readonly string[] =
  process.getBuiltinModule?.("node:sqlite") === undefined ? ["better-sqlite3", "koffi"] : ["koffi"];

/** For this process, and for those that it starts: there every `require` looks last. */
export function findOptionalPackages(): void {
  const before = process.env.NODE_PATH?.split(delimiter) ?? [];
  if (before.includes(folder)) return;
  process.env.NODE_PATH = [...before, folder].join(delimiter);
  (requireHere("node:module") as { _initPaths(): void })._initPaths();
}

/** Why a contender that needs these cannot be measured, or undefined. */
export function missingPackage(names: readonly string[]): string | undefined {
  findOptionalPackages();
  for (const name of names) {
    try {
      requireHere.resolve(name);
    } catch {
      // Whatever the reason is: it cannot be loaded.
      return `${name} is not installed: ${COMMAND}`;
    }
  }
  return undefined;
}

export function requireOptional(name: string): unknown {
  findOptionalPackages();
  return requireHere(name);
}

const requireHere: NodeJS.Require = createRequire(import.meta.url);

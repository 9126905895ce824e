// What type "sqlite" needs beside code of ours, for whoever looks without being a daemon: SQLite, the guard, and a file system on which a database can have a
// write-ahead log and a lock on some bytes keeps others out. Tried in a folder that nobody else uses.

import { closeSync, existsSync, openSync } from "node:fs";
import { join } from "node:path";
import { native } from "../../files/files.ts";
import { findGuard, type Guard } from "./guard.ts";
import { type Library, lookForLibrary, Missing, RESULT, resultOf } from "./library.ts";

/** Something that is there, in words, or what is to be said of it where it is not. */
export type Need = { readonly has: string } | { readonly lacks: Missing };

/** What this process has. */
export interface Outfit {
  readonly library: Need;
  readonly guard: Need;
}

const WORDS = {
  log: "a database cannot have a write-ahead log, which every session has",
  locks: "a lock on some bytes of a file does not keep others out, which SQLite and the guard go by",
} as const;

/** A feature that a file system lacks, with the consequence. */
export interface Lack {
  readonly feature: keyof typeof WORDS;
  readonly words: string;
}

/** What there is in this process, or why it is not. */
interface Parts {
  readonly library: Library | Missing;
  readonly guard: Guard | Missing;
}

function partsHere(): Parts {
  return { library: lookForLibrary(), guard: findGuard() };
}

export function outfit({ library, guard }: Parts = partsHere()): Outfit {
  return {
    library: library instanceof Missing ? { lacks: library } : { has: wordsOf(library) },
    guard: guard instanceof Missing ? { lacks: guard } : { has: "by koffi" },
  };
}

function wordsOf({ name, release, open }: Library): string {
  const database = open(":memory:");
  try {
    const { version } = database.prepare("SELECT sqlite_version() AS version").get() ?? {};
    return `${name} (${release}, SQLite ${version})`;
  } finally {
    database.close();
  }
}

/**
 * What the file system of this folder lacks: makes files in it, and leaves them to whoever made the folder. Undefined: there is no SQLite to try it with.
 *
 * @throws SQLite's error, or the system's, where it cannot be tried: on a full disk, say.
 */
export function lacksOf(folder: string, { library, guard }: Parts = partsHere()): readonly Lack[] | undefined {
  if (library instanceof Missing) return undefined;
  const found = {
    log: problemOf(() => tryLog(library, join(folder, "trial.db"))),
    locks: guard instanceof Missing ? undefined : problemOf(() => tryLocks(guard, join(folder, "trial.lock"))),
  };
  return (["log", "locks"] as const).flatMap((feature) => {
    const problem = found[feature];
    return problem === undefined ? [] : [{ feature, words: `${WORDS[feature]} (${problem})` }];
  });
}

/** As the first commit to a new session does it. */
function tryLog(library: Library, path: string): string | undefined {
  const database = library.open(path);
  try {
    const mode = database.prepare("PRAGMA journal_mode = WAL").get()?.journal_mode;
    if (mode !== "wal") return `it stays in mode ${mode}`;
    database.exec("CREATE TABLE trial (n); INSERT INTO trial VALUES (1)");
    return existsSync(`${path}-shm`) ? undefined : "it has nothing that programs share";
  } finally {
    database.close();
  }
}

/** The guard's lock, which belongs to this process, beside one that belongs to an open file: neither lets the other in. */
function tryLocks(guard: Guard, path: string): string | undefined {
  // Without the addon there is nobody to be kept out.
  if (native === undefined) return undefined;
  const [ours, theirs] = [openSync(path, "w+", 0o600), openSync(path, "r+")];
  try {
    if (!guard.take(ours)) return "nobody gets one";
    if (native.tryLock(theirs)) return "both get one";
    guard.release(ours);
    if (!native.tryLock(theirs)) return "it is not given back";
    return guard.take(ours) ? "both get one" : undefined;
  } finally {
    closeSync(theirs);
    closeSync(ours);
  }
}

function problemOf(attempt: () => string | undefined): string | undefined {
  try {
    return attempt();
  } catch (error) {
    if (resultOf(error) === RESULT.full) throw error;
    return error instanceof Error ? error.message : String(error);
  }
}

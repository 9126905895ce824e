// What a database holds at one moment, for somebody who only looks. SQLite never opens the database itself: it would lock it for a moment, which a Gambas
// program that is about to save pays for with 200 ms, make files beside it, and bring its log into it. A copy in a folder of our own is opened instead.
//
// Three files make the contents, and others may be writing them. They are read in the order in which they are of use, and the first two once more:
//
//   1. the database      2. its log       what was committed since, each frame with a checksum
//   3. its journal       whatever a transaction without a log has overwritten before we read it
//   4. the database      the same bytes as in 1: nothing was brought into it from its log, and nothing written without one, while we read
//   5. its log's head    the same as in 2: it was not begun anew, over frames that we had not read yet, and of which the database may have the pages
//
// Only in a process that has no connection to it: closing a file drops all locks that the process has on it.

import {
  closeSync,
  lstatSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readSync,
  realpathSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { SessionError } from "../../../protocol/errors.ts";
import { isMissing, unreadable } from "../../files/files.ts";
import { Connection } from "./connection.ts";
import { findLibrary } from "./library.ts";
import { Revisions } from "./schema.ts";

/** Tries to read one that is written to all the time, and ms between two of them. */
const TRIES = 200;
const PAUSE_MS = 5;
const LOG = "-wal";
/** Of a log. It has two numbers that change when it is begun anew, before its first frame does. */
const HEAD_BYTES = 32;
const JOURNAL = "-journal";
/** So many times the bytes that a database may have: a log holds several states of it. */
const MAX_TIMES = 4;
const OF_LONG_LOG =
  "Let whoever uses the database bring that in: a daemon does as it commits; without one, sqlite3 FILE 'PRAGMA wal_checkpoint(TRUNCATE)'.";
const PRIVATE = 0o600;

/** Contents of files, by what is behind the name of the database. */
type Files = ReadonlyMap<string, Buffer>;

export interface Snapshot {
  readonly image: Buffer;
  /** Of the database and its log. */
  readonly bytes: number;
}

/**
 * Reads the database of a session, and changes nothing of it.
 *
 * @param name what errors call the session.
 * @param maxBytes of a database that is read, and of what is in it.
 * @throws SessionError ERR_UNREADABLE, ERR_SESSION_BUSY where it is written to all the time, ERR_STORE; ERR_BAD_OPTION where this process has no SQLite.
 */
export async function readDatabase(name: string, path: string, maxBytes: number): Promise<Snapshot> {
  const library = findLibrary();
  try {
    // A log has the name of the database, and not of a link to it.
    const files = await filesOf(name, realpathSync(path), maxBytes);
    const none = { guard: undefined, isAlone: () => true, isDurable: false, leavesMode: true };
    const around = { ...none, library, revisions: new Revisions() };
    const image = inFolder(files, (copy) => {
      let connection: Connection | undefined;
      try {
        // One that is called by its path is called so once.
        connection = Connection.open({ id: name === path ? copy : name, path: copy }, around);
        return connection?.load(maxBytes).image;
      } catch (error) {
        throw ofDatabase(error, copy, path);
      } finally {
        connection?.close();
      }
    });
    if (image === undefined) throw unreadable(name, "could not be copied");
    return { image, bytes: [...files.values()].reduce((sum, { length }) => sum + length, 0) };
  } catch (error) {
    if (error instanceof SessionError) throw error;
    throw new SessionError("ERR_STORE", `The database of session ${name} could not be read: ${String(error)}.`, {
      cause: error,
    });
  }
}

/** What is wrong with the copy is wrong with the database, which is the one to look at. */
function ofDatabase(error: unknown, copy: string, path: string): unknown {
  if (!(error instanceof SessionError)) return error;
  return new SessionError(error.code, error.what.replaceAll(copy, path), { cause: error });
}

async function filesOf(name: string, path: string, maxBytes: number): Promise<Files> {
  const stat = lstatSync(path);
  if (!stat.isFile()) throw unreadable(name, "is not a regular file");
  if (stat.size > maxBytes) throw unreadable(name, `has ${stat.size} bytes; at most ${maxBytes} are read`);
  for (let tried = 0; tried < TRIES; tried++) {
    if (tried > 0) await pause(PAUSE_MS);
    const database = readFileSync(path);
    const beside = [LOG, JOURNAL].map((ending) => [ending, readBeside(path + ending, maxBytes)] as const);
    if (!readFileSync(path).equals(database) || !isBegunAs(path + LOG, beside[0]?.[1])) continue;
    return new Map([["", database] as const, ...beside.filter(isThere)]);
  }
  throw new SessionError("ERR_SESSION_BUSY", `The database of session ${name} is written to all the time.`);
}

function isThere(file: readonly [string, Buffer | undefined]): file is readonly [string, Buffer] {
  return file[1] !== undefined;
}

function isBegunAs(path: string, log: Buffer | undefined): boolean {
  const now = ifThere(() => headOf(path));
  return now === undefined || log === undefined ? now === log : now.equals(log.subarray(0, HEAD_BYTES));
}

function headOf(path: string): Buffer {
  const fd = openSync(path, "r");
  try {
    const head = Buffer.alloc(HEAD_BYTES);
    return head.subarray(0, readSync(fd, head, 0, HEAD_BYTES, 0));
  } finally {
    closeSync(fd);
  }
}

/** A log or a journal. It is copied as a whole, in memory and to the disk: one that nobody brings in would take any amount of both. */
function readBeside(path: string, maxBytes: number): Buffer | undefined {
  const stat = ifThere(() => statSync(path));
  if (stat === undefined) return undefined;
  if (stat.size <= MAX_TIMES * maxBytes) return ifThere(() => readFileSync(path));
  const what = `The stored session cannot be read: ${path} has ${stat.size} bytes; at most ${MAX_TIMES * maxBytes} are copied to be looked at.`;
  throw new SessionError("ERR_UNREADABLE", what, { remedy: OF_LONG_LOG });
}

function ifThere<T>(look: () => T): T | undefined {
  try {
    return look();
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

/** Puts them into a folder that is there as long as `use` takes, and that nobody else can read. */
function inFolder<T>(files: Files, use: (copy: string) => T): T {
  const folder = mkdtempSync(join(tmpdir(), "gambas-session-"));
  try {
    const copy = join(folder, "copy.db");
    for (const [ending, bytes] of files) writeFileSync(copy + ending, bytes, { mode: PRIVATE });
    return use(copy);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

// What SQLite and the system say of a database, in the words of the seam: it is damaged, another program is at it, or it cannot be had now. Whoever reads an
// error is told its path. Opens no file.

import { accessSync, constants, lstatSync, statfsSync } from "node:fs";
import { dirname } from "node:path";
import { SessionError } from "../../../protocol/errors.ts";
import { isMissing, isSystemError } from "../../files/files.ts";
import { StoreBusy } from "../store.ts";
import { RESULT, resultOf } from "./library.ts";

/** A database by the id of its session. */
export interface Named {
  readonly id: string;
  readonly path: string;
}

/** What SQLite keeps beside a database, behind its name: its log, what readers and writers share, what a transaction without a log leaves. */
const BESIDE = ["-wal", "-shm", "-journal"] as const;

/** Bytes that a disk has left which is full for a database: what readers and writers share takes 32 KiB. */
const ROOM = 65_536;

/** Number of the file of a database. @throws SessionError ERR_UNREADABLE for what can be none, or has a pipe beside it. */
export function inodeOf(named: Named): number | undefined {
  const stat = lstatSync(named.path, { throwIfNoEntry: false });
  if (stat === undefined) return undefined;
  if (stat.isSymbolicLink()) throw unreadable(named, "is a symbolic link");
  if (!stat.isFile()) throw unreadable(named, "is not a regular file");
  const uid = process.getuid?.();
  // It cannot be replaced by one of ours, as a file can: programs that have it open would go on with theirs.
  if (uid !== undefined && stat.uid !== uid) throw unreadable(named, `belongs to uid ${stat.uid}, not to ${uid}`);
  // SQLite would take it for a new database, and drop a log beside it.
  if (stat.size === 0) throw unreadable(named, "is empty");
  checkBeside(named);
  return stat.ino;
}

/** Who opens a pipe waits for its other end, and would keep all sessions waiting. @throws SessionError ERR_UNREADABLE. */
function checkBeside(named: Named): void {
  for (const ending of BESIDE) {
    const path = named.path + ending;
    if (lstatSync(path, { throwIfNoEntry: false })?.isFIFO() === true)
      throw unreadable(named, `cannot be opened: ${path} beside it is a pipe`);
  }
}

export function unreadable({ id, path }: Named, reason: string): SessionError {
  const whose = id === path ? "" : ` of session ${id}`;
  return new SessionError("ERR_UNREADABLE", `The database ${path}${whose} ${reason}.`);
}

/** @param why there is no guard, and what to do. */
export function unguarded(why = "there is none"): StoreBusy {
  return new StoreBusy(`a Gambas program runs, and without the guard nothing is written beside one; ${why}`);
}

export function inTransaction({ path }: Named): StoreBusy {
  return new StoreBusy(`another program is inside a transaction of ${path}`);
}

/** Takes the step; what SQLite and the system say becomes what the seam says. */
export function translated<T>(named: Named, step: () => T): T {
  try {
    return step();
  } catch (error) {
    throw inOurWords(named, error);
  }
}

function inOurWords(named: Named, error: unknown): unknown {
  const result = resultOf(error);
  const reason = error instanceof Error ? error.message : String(error);
  if (result === RESULT.busy || isMissing(error)) return new StoreBusy(`${named.path}: ${reason}`);
  if (result === undefined) return error;
  if (result === RESULT.notADatabase || result === RESULT.corrupt) return unreadable(named, `is damaged (${reason})`);
  if (result === RESULT.error) return unreadable(named, `is no database of a session (${reason})`);
  const mode = result === RESULT.cannotOpen ? forbiddingMode(named.path) : undefined;
  if (mode !== undefined) return unreadable(named, `may not be read: its mode is ${mode}`);
  // Of a directory or a mount that may not be written to, of a full disk, of too few descriptors, of a rule of its own: it is no damage.
  const where = result === RESULT.cannotOpen ? `${named.path}, or what SQLite keeps beside it` : named.path;
  return new Error(`${where}: ${reason}${roomLeft(named.path)}`, { cause: error });
}

/** Of a disk that is full SQLite says that, or "disk I/O error", by the file that it could not make larger. */
function roomLeft(path: string): string {
  try {
    const { bavail, bsize } = statfsSync(dirname(path));
    return bavail * bsize < ROOM ? `; its file system has ${bavail * bsize} bytes left` : "";
  } catch {
    // Whatever the system error: there is one already that is told.
    return "";
  }
}

/** The mode of a file that its owner may not read, undefined for one that may be. */
function forbiddingMode(path: string): string | undefined {
  try {
    accessSync(path, constants.R_OK);
    return undefined;
  } catch (error) {
    if (!isSystemError(error, "EACCES")) return undefined;
    const mode = lstatSync(path, { throwIfNoEntry: false })?.mode ?? 0;
    return (mode & 0o7777).toString(8).padStart(4, "0");
  }
}

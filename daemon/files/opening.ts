// Opens the files of a session. In their place there may be a file of another user, or of another mode than the daemon
// gives, a link, a directory, a pipe. The daemon leaves a session's file as it is; a twin is its own, and it makes it
// anew.

import { constants, fstatSync, openSync, rmSync, type Stats, statSync } from "node:fs";
import { SessionError } from "../../protocol/errors.ts";
import { isUnsupported } from "./native.ts";
import { isMissing, isSystemError } from "./system-errors.ts";
import { closeDescriptor } from "./whole.ts";

/** Absent outside Linux. */
const O_NOATIME: number = constants.O_NOATIME ?? 0;
const READ_FLAGS = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
const STAMP_FLAGS = constants.O_RDWR | constants.O_NOFOLLOW | constants.O_NONBLOCK;
const TWIN_FLAGS = constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW | constants.O_NONBLOCK;
const FILE_MODE = 0o600;
/** Errors of opening a twin which show that something else has its name, or that it cannot be there as it should. */
const OBSTACLES = ["EACCES", "EPERM", "ELOOP", "EISDIR", "ENXIO", "ENOTDIR", "ENOENT"];

/** An open file of one session: the file with the session's name, or its twin. */
export interface OpenFile {
  readonly fd: number;
  readonly ino: number;
  size: number;
  /**
   * Whether a foreign writer had read the file before our last stamp in place: the stamp has set the access time, which
   * was the only trace of that.
   */
  wasRead: boolean;
}

/**
 * Opens the file of a session for reading; undefined when there is no file.
 *
 * @param isQuiet reads shall not move its access time, where the system permits that: it does not for another user's
 * file.
 */
export function openToRead(id: string, path: string, isQuiet: boolean): number | undefined {
  try {
    return openSync(path, isQuiet ? READ_FLAGS | O_NOATIME : READ_FLAGS);
  } catch (error) {
    if (isMissing(error)) return undefined;
    if (isQuiet && (isSystemError(error, "EPERM") || isUnsupported(error))) return openToRead(id, path, false);
    throw explained(id, path, error);
  }
}

/**
 * The error to throw: ERR_UNREADABLE with the reason for a link, a special file or one that the daemon may not read.
 */
function explained(id: string, path: string, error: unknown): unknown {
  if (isSystemError(error, "ELOOP")) return unreadable(id, "is a symbolic link");
  if (isSystemError(error, "ENXIO")) return unreadable(id, "is not a regular file");
  const stat = isSystemError(error, "EACCES") ? statSync(path, { throwIfNoEntry: false }) : undefined;
  const uid = process.getuid?.();
  if (stat === undefined || (stat.uid === uid && (stat.mode & 0o400) !== 0)) return error;
  const mode = (stat.mode & 0o7777).toString(8).padStart(4, "0");
  return unreadable(id, `belongs to uid ${stat.uid} and has mode ${mode}: uid ${uid} may not read it`);
}

/** Opens a session's file to stamp it in place; undefined when the daemon has no permission to write to it. */
export function openToStamp(path: string): number | undefined {
  try {
    return openSync(path, STAMP_FLAGS);
  } catch (error) {
    if (isSystemError(error, "EACCES", "EPERM")) return undefined;
    throw error;
  }
}

/** Opens the twin, made empty if it was missing. Undefined when something that is not our twin has its name. */
export function openTwin(path: string, uid: number | undefined): OpenFile | undefined {
  let fd: number;
  try {
    fd = openSync(path, TWIN_FLAGS, FILE_MODE);
  } catch (error) {
    if (isSystemError(error, ...OBSTACLES)) return undefined;
    throw error;
  }
  let isOurs = false;
  try {
    const stat = fstatSync(fd);
    isOurs = isOnlyOurs(stat, uid) && (stat.mode & 0o777) === FILE_MODE;
    return isOurs ? { fd, ino: stat.ino, size: stat.size, wasRead: false } : undefined;
  } finally {
    if (!isOurs) closeDescriptor(fd);
  }
}

/** Makes a new twin, and removes anything else that has the twin's name. */
export function makeTwin(path: string): OpenFile {
  rmSync(path, { recursive: true, force: true });
  return describeFile(openSync(path, TWIN_FLAGS | constants.O_EXCL, FILE_MODE));
}

/**
 * Whether the daemon alone owns the file, so that writing to it changes no data of others: a second name of the inode
 * may be a backup.
 *
 * @param ours the daemon's uid.
 */
export function isOnlyOurs({ nlink, mode, uid }: Stats, ours: number | undefined): boolean {
  return nlink === 1 && (mode & constants.S_IFMT) === constants.S_IFREG && (ours === undefined || uid === ours);
}

/** The new file behind a descriptor, which is closed if fstat fails. */
function describeFile(fd: number): OpenFile {
  try {
    const { ino, size } = fstatSync(fd);
    return { fd, ino, size, wasRead: false };
  } catch (error) {
    closeDescriptor(fd);
    throw error;
  }
}

export function unreadable(id: string, reason: string): SessionError {
  return new SessionError("ERR_UNREADABLE", `The file of session ${id} ${reason}.`);
}

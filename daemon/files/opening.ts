// How the files of a session are opened, whatever is in their place: a file of another user, or of a mode that is not ours, a link, a
// directory, a pipe. What is a session is left as it is; what lies aside is ours, and made anew.

import { constants, fstatSync, openSync, rmSync, type Stats, statSync } from "node:fs";
import { SessionError } from "../../protocol/errors.ts";
import { closeDescriptor, isMissing, isSystemError } from "./files.ts";
import { isUnsupported } from "./native.ts";

/** Absent outside Linux. */
const O_NOATIME: number = constants.O_NOATIME ?? 0;
const READ_FLAGS = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
const STAMP_FLAGS = constants.O_RDWR | constants.O_NOFOLLOW | constants.O_NONBLOCK;
const TWIN_FLAGS = constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW | constants.O_NONBLOCK;
const FILE_MODE = 0o600;
/** What opening says of something in the twin's place that cannot be written to. */
const OBSTACLES = ["EACCES", "EPERM", "ELOOP", "EISDIR", "ENXIO", "ENOTDIR", "ENOENT"];

/** A file of one session that is kept open: the one that has the session's name, or its twin. */
export interface OpenFile {
  readonly fd: number;
  readonly ino: number;
  size: number;
  /** Read by another program before the last stamp in place; the stamp wiped out what the access time said. */
  wasRead: boolean;
}

/** Undefined when there is none. `isQuiet`: without moving its access time, where that may be done; of another user's file it may not. */
export function openToRead(id: string, path: string, isQuiet: boolean): number | undefined {
  try {
    return openSync(path, isQuiet ? READ_FLAGS | O_NOATIME : READ_FLAGS);
  } catch (error) {
    if (isMissing(error)) return undefined;
    if (isQuiet && (isSystemError(error, "EPERM") || isUnsupported(error))) return openToRead(id, path, false);
    throw explained(id, path, error);
  }
}

/** What is no file, or may not be read, is told as what it is. */
function explained(id: string, path: string, error: unknown): unknown {
  if (isSystemError(error, "ELOOP")) return unreadable(id, "is a symbolic link");
  if (isSystemError(error, "ENXIO")) return unreadable(id, "is not a regular file");
  const stat = isSystemError(error, "EACCES") ? statSync(path, { throwIfNoEntry: false }) : undefined;
  const uid = process.getuid?.();
  if (stat === undefined || (stat.uid === uid && (stat.mode & 0o400) !== 0)) return error;
  const mode = (stat.mode & 0o7777).toString(8).padStart(4, "0");
  return unreadable(id, `belongs to uid ${stat.uid} and has mode ${mode}: uid ${uid} may not read it`);
}

/** Undefined when it may not be written to, whatever the reason. */
export function openToStamp(path: string): number | undefined {
  try {
    return openSync(path, STAMP_FLAGS);
  } catch (error) {
    if (isSystemError(error, "EACCES", "EPERM")) return undefined;
    throw error;
  }
}

/** The twin as we left it. Undefined when there is none, or something else has its name. */
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

/** In place of whatever has its name. */
export function makeTwin(path: string): OpenFile {
  rmSync(path, { recursive: true, force: true });
  return describeFile(openSync(path, TWIN_FLAGS | constants.O_EXCL, FILE_MODE));
}

/** Whether what is written to it is written to nothing of anybody else: a second name may be somebody's backup. `ours`: our uid. */
export function isOnlyOurs({ nlink, mode, uid }: Stats, ours: number | undefined): boolean {
  return nlink === 1 && (mode & constants.S_IFMT) === constants.S_IFREG && (ours === undefined || uid === ours);
}

/** Closes it where that fails. */
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

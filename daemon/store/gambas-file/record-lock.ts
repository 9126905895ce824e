// Gambas' lock on one session: a write lock on the whole of `<id>.lock` (GAMBAS.md 4). Ours belongs to the open file, so that
// nothing else this process closes can drop it, and it conflicts with Gambas' just the same.

import { chmodSync, constants, fstatSync, lstatSync, openSync, statSync, unlinkSync } from "node:fs";
import { closeDescriptor, isMissing, isSystemError } from "../../files/files.ts";
import { isUnsupported, native } from "../../files/native.ts";
import type { LockResult } from "../store.ts";
import type { FileSystem } from "./file-system.ts";

const FLAGS = constants.O_WRONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
/** How often a lock file may be replaced under our hands before it counts as held by another. */
const MAX_REPLACEMENTS = 3;

export class RecordLock {
  readonly #path: string;
  readonly #fileSystem: FileSystem;
  #fd: number | undefined;
  #isHeld = false;
  /** Of the file, when its name was last looked at. */
  #ctimeMs = 0;

  constructor(path: string, fileSystem: FileSystem) {
    this.#path = path;
    this.#fileSystem = fileSystem;
  }

  get isHeld(): boolean {
    return this.#isHeld;
  }

  /** "missing": the lock file is not there and `mayCreate` is false. Never waits. */
  take(mayCreate: boolean): LockResult {
    for (let round = 0; round < MAX_REPLACEMENTS; round++) {
      if (this.#fd === undefined && !this.#open(mayCreate)) return "missing";
      try {
        if (!this.#tryLock()) return "busy";
        this.#isHeld = this.#isStillNamed();
      } catch (error) {
        // It may be locked by now.
        this.close();
        throw error;
      }
      if (this.#isHeld) return "held";
      // Gambas' Unique deletes lock files: the file that we locked has no name any more and keeps nobody out.
      this.close();
    }
    return "busy";
  }

  release(): void {
    if (!this.#isHeld) return;
    this.#isHeld = false;
    try {
      native?.unlock(this.#openFd);
    } catch {
      // Any system error: closing the file gives the lock back too.
      this.close();
    }
  }

  close(): void {
    this.#isHeld = false;
    if (this.#fd !== undefined) closeDescriptor(this.#fd);
    this.#fd = undefined;
  }

  get #openFd(): number {
    if (this.#fd === undefined) throw new Error("the record lock is not open");
    return this.#fd;
  }

  #tryLock(): boolean {
    if (native === undefined || !this.#fileSystem.has("recordLocks")) return true;
    try {
      return native.tryLock(this.#openFd);
    } catch (error) {
      if (!isUnsupported(error)) throw error;
      this.#fileSystem.lack("recordLocks", error);
      return true;
    }
  }

  #open(mayCreate: boolean): boolean {
    for (let isSecondTry = false; ; isSecondTry = true) {
      try {
        this.#fd = openFile(this.#path, mayCreate ? FLAGS | constants.O_CREAT : FLAGS);
        return true;
      } catch (error) {
        if (!mayCreate && isMissing(error)) return false;
        if (isSecondTry || !isSystemError(error, ...OBSTACLES)) throw error;
        makeWay(this.#path);
      }
    }
  }

  /** An inode that is renamed, or gets or loses a name, gets another change time as well: as long as that is the same, so is the name. */
  #isStillNamed(): boolean {
    const { nlink, ino, ctimeMs } = fstatSync(this.#openFd);
    if (nlink === 0) return false;
    const isTelling = this.#fileSystem.has("unlinks") && this.#fileSystem.has("fineTimes");
    if (isTelling && nlink === 1 && ctimeMs === this.#ctimeMs) return true;
    if (statSync(this.#path, { throwIfNoEntry: false })?.ino !== ino) return false;
    this.#ctimeMs = ctimeMs;
    return true;
  }
}

/** The errors of opening a lock file that is none, or may not be used as one. */
const OBSTACLES = ["EACCES", "EPERM", "ELOOP", "ENXIO"];

function openFile(path: string, flags: number): number {
  const fd = openSync(path, flags, 0o600);
  let isFile = false;
  try {
    isFile = fstatSync(fd).isFile();
  } finally {
    if (!isFile) closeDescriptor(fd);
  }
  if (isFile) return fd;
  throw Object.assign(new Error(`ENXIO: no regular file, open '${path}'`), { code: "ENXIO" });
}

/**
 * A file of ours keeps its inode, since a Gambas program may hold its lock; a file that Gambas could not lock either is made anew. A directory is
 * somebody's lock in another way: it stays, and opening it tells of it.
 */
function makeWay(path: string): void {
  const stat = lstatSync(path);
  if (stat.isFile() && stat.uid === process.getuid?.()) chmodSync(path, stat.mode | 0o600);
  else unlinkSync(path);
}

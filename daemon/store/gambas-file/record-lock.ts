// The record lock of one session: Gambas' write lock on the whole of `<id>.lock` (GAMBAS.md 4). The daemon's lock
// belongs to the open file, not to the process: so closing another descriptor of the same file cannot drop it. It
// conflicts with the lock of a Gambas program just the same.

import { chmodSync, constants, fstatSync, lstatSync, openSync, statSync, unlinkSync } from "node:fs";
import { closeDescriptor, isMissing, isSystemError, isUnsupported, native } from "../../files/files.ts";
import type { LockResult } from "../store.ts";
import type { FileSystem } from "./file-system.ts";

const FLAGS = constants.O_WRONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
/**
 * A lock file that is replaced so often while the daemon takes the lock counts as held by another: `take` never waits.
 */
const MAX_REPLACEMENTS = 3;

export class RecordLock {
  readonly #path: string;
  readonly #fileSystem: FileSystem;
  #fd: number | undefined;
  #isHeld = false;
  /** The change time of the lock file when the daemon last looked at its name. */
  #ctimeMs = 0;

  constructor(path: string, fileSystem: FileSystem) {
    this.#path = path;
    this.#fileSystem = fileSystem;
  }

  get isHeld(): boolean {
    return this.#isHeld;
  }

  /**
   * Takes the record lock, and never waits. "missing": there is no lock file, and `mayCreate` is false. A lock counts
   * only if its file still has the name, because of this race:
   *   1. The daemon opens the lock file.
   *   2. A Gambas program deletes it (`Unique` does), and another one makes a new lock file and locks that.
   *   3. The daemon locks the file that it has open, which has no name any more and keeps nobody out.
   */
  take(mayCreate: boolean): LockResult {
    for (let round = 0; round < MAX_REPLACEMENTS; round++) {
      if (this.#fd === undefined && !this.#open(mayCreate)) return "missing";
      try {
        if (!this.#tryLock()) return "busy";
        this.#isHeld = this.#isStillNamed();
      } catch (error) {
        // The file may be locked by now: closing it gives the lock back.
        this.close();
        throw error;
      }
      if (this.#isHeld) return "held";
      // Step 3 above: the next round opens the file that has the name now.
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
      // Any system error: closing the file gives the lock back as well.
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

  /**
   * Whether the open lock file still has its name. An inode that is renamed, or gets or loses a name, gets another
   * change time: as long as the change time is the same, so is the name.
   */
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

/** Errors of opening which show that the daemon cannot use the file as a lock file: by its kind or its permissions. */
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
 * Makes way for a lock file that the daemon can open. A file that our user owns keeps its inode, since a Gambas program
 * may hold its lock: only its mode is changed. Any other file is removed: a Gambas program could not lock it either. A
 * directory stays, since it may be the lock of a foreign program of another kind: the second opening throws its error.
 */
function makeWay(path: string): void {
  const stat = lstatSync(path);
  if (stat.isFile() && stat.uid === process.getuid?.()) chmodSync(path, stat.mode | 0o600);
  else unlinkSync(path);
}

// Gambas' lock on one session: a write lock on the whole of `<id>.lock` (GAMBAS.md 4). Ours belongs to the open file, so that
// nothing else this process closes can drop it, and it conflicts with Gambas' just the same.

import { constants, fstatSync, openSync } from "node:fs";
import { closeDescriptor } from "./files.ts";
import { native } from "./native.ts";

const FLAGS = constants.O_WRONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
/** How often a lock file may be replaced under our hands before it counts as held by another. */
const MAX_REPLACEMENTS = 3;

export class RecordLock {
  readonly #path: string;
  #fd: number | undefined;
  #isHeld = false;

  constructor(path: string) {
    this.#path = path;
  }

  get isHeld(): boolean {
    return this.#isHeld;
  }

  get isOpen(): boolean {
    return this.#fd !== undefined;
  }

  /** "missing": the lock file is not there and `mayCreate` is false. Never waits. */
  take(mayCreate: boolean): "held" | "busy" | "missing" {
    for (let round = 0; round < MAX_REPLACEMENTS; round++) {
      if (this.#fd === undefined && !this.#open(mayCreate)) return "missing";
      try {
        if (native !== undefined && !native.tryLock(this.#openFd)) return "busy";
        this.#isHeld = this.#isStillNamed();
      } catch (error) {
        // It may be locked by now.
        this.close();
        throw error;
      }
      if (this.#isHeld) return "held";
      // Gambas' Unique deletes lock files: what we locked has no name any more and keeps nobody out.
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
      // Whatever the system error: closing the file gives the lock back too.
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

  #open(mayCreate: boolean): boolean {
    try {
      this.#fd = openSync(this.#path, mayCreate ? FLAGS | constants.O_CREAT : FLAGS, 0o600);
    } catch (error) {
      if (!mayCreate && (error as NodeJS.ErrnoException).code === "ENOENT") return false;
      throw error;
    }
    return true;
  }

  /** Nobody gives these files other names; so one that has a name has this one. */
  #isStillNamed(): boolean {
    return fstatSync(this.#openFd).nlink > 0;
  }
}

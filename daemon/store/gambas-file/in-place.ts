// When a new image may be written over the old one, in the session's file itself. That costs half of a write aside with an exchange of names,
// and for the moment between its bytes and its time stamp the file is neither revision. So all of this must be true, and each has its reason;
// else the image is written aside.

import { fstatSync, type Stats } from "node:fs";
import zlib from "node:zlib";
import { isOnlyOurs, type OpenFile } from "../../files/files.ts";
import type { Revision } from "../store.ts";
import type { Evidence } from "./evidence.ts";
import type { FileSystem } from "./file-system.ts";
import type { HotSession } from "./hot-sessions.ts";

/** The smallest page of the kernels there are. */
const PAGE_BYTES = 4096;
/** A session begins with the time of its last use (GAMBAS.md 4.3). */
const STAMP_BYTES = 8;

interface InPlaceParts {
  readonly fileSystem: FileSystem;
  readonly programs: Evidence;
  /** False where commits are to survive a loss of power: a disk may have written a part of a page. */
  readonly isAllowed: boolean;
}

interface Write {
  readonly hot: HotSession;
  readonly bytes: number;
  readonly existing: Revision | undefined;
}

export class InPlace {
  readonly #fileSystem: FileSystem;
  readonly #programs: Evidence;
  readonly #isAllowed: boolean;
  readonly #uid = process.getuid?.();

  constructor({ fileSystem, programs, isAllowed }: InPlaceParts) {
    this.#fileSystem = fileSystem;
    this.#programs = programs;
    this.#isAllowed = isAllowed;
  }

  /** The session's file, if the image may be written into it. */
  fileFor({ hot, bytes, existing }: Write): OpenFile | undefined {
    const { current } = hot;
    if (current === undefined || existing === undefined || !this.#isAllowed) return undefined;
    if (!isOpenFile(current, existing) || !fitsIntoPage(bytes) || !keepsSize(bytes, existing)) return undefined;
    if (!this.#isUnseen(hot) || !this.#isToldByStat() || !this.#fileSystem.has("wholeWrites")) return undefined;
    return this.#isUntouched(fstatSync(current.fd), existing) ? current : undefined;
  }

  /** Nobody can read the file meanwhile, or have it loaded: programs load and save under the lock, and none is there. */
  #isUnseen({ lock }: HotSession): boolean {
    return lock.isHeld && this.#fileSystem.has("recordLocks") && this.#programs.isNobodyThere;
  }

  /** The revision is known before the file has it: the journal names it before anything is written. */
  #isToldByStat(): boolean {
    return this.#fileSystem.tellsRevisions && this.#fileSystem.givesWholeMicros;
  }

  /** The file has its name, and no second one, which may be a backup; and nobody has written into it since we looked at the name. */
  #isUntouched(stat: Stats, existing: Revision): boolean {
    return isOnlyOurs(stat, this.#uid) && stat.size === existing.size && stat.mtimeMs === existing.mtimeMs;
  }
}

/** What we have open is the file with the session's name: it was replaced by nobody but us. */
function isOpenFile({ ino }: OpenFile, existing: Revision): boolean {
  return ino === existing.ino;
}

/** The kernel looks for a kill between two pages, never within one: all of the bytes are written or none. */
function fitsIntoPage(bytes: number): boolean {
  return bytes <= PAGE_BYTES;
}

/** Bytes and length of a file change in two steps, and a loss of power may come between them. */
function keepsSize(bytes: number, existing: Revision): boolean {
  return bytes === existing.size;
}

/**
 * Tells of the bytes of a file whether they were written. Without the stamp, which a touch changes and no journal notes.
 * `crc32` is not imported by its name: a Node that is too old has none, and must get as far as saying so.
 */
export function checksumOf(bytes: Buffer): number {
  return zlib.crc32(bytes.subarray(STAMP_BYTES));
}

// Keeps the files of sessions open that are read again and again: an fstat of an open file shows whether the session's
// name still stands for this file, in half the time of a stat. For speed only: without it `get-warm` takes 6.0 instead
// of 5.2 us a read.
//
// An inode that loses its name (unlink, rename over it, rename aside, exchange) or is written to gets another change
// time, and no program can give it the old one back. So as long as the change time of the open file is the same, the
// name stands for this inode, under three conditions:
// * The file system changes the change time in all those cases. XFS does not for an exchange; file systems that were
//   tried and do are in `TELLING`.
// * At the last look at the name, the change time was older than a tick of the clock that file systems take it from, or
//   a second where they keep no more of it: so no later change can get the same change time.
// * Nobody renames the directory: an fstat cannot show that, so the name is looked at again once a second.

import { closeSync, constants, fstatSync, openSync, statfsSync } from "node:fs";
import { type Kept, KeptOpen } from "./kept-open.ts";

/** The revision of a session's file when this worker got its contents. */
export interface FileVersion {
  readonly ino: number;
  readonly size: number;
  readonly mtimeMs: number;
}

/** `f_type` of ext2 to ext4, tmpfs and Btrfs. */
const TELLING: ReadonlySet<number> = new Set([0xef53, 0x01021994, 0x9123683e]);
/** Twice the longest tick of the clock that kernels stamp files by. */
export const TICK_MS = 20;
/** Of an ext4 with small inodes, or an ext3, all times are whole. */
const WHOLE_MS = 1_000;
export const LOOK_AGAIN_MS = 1_000;
/** `open` never waits for the other end of a pipe, and never follows a symbolic link. */
const FLAGS = constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOFOLLOW;

export class OpenFile implements Kept {
  readonly #fd: number;
  readonly #ctimeMs: number;
  /** When a look at the session's name last found this file, Unix ms. */
  #lookedMs: number;
  #wasUsed = true;
  #isOpen = true;

  constructor(fd: number, ctimeMs: number, lookedMs: number) {
    this.#fd = fd;
    this.#ctimeMs = ctimeMs;
    this.#lookedMs = lookedMs;
  }

  /** True: the session's name still stands for this file, unchanged. False: only a stat of the name can tell. */
  isCurrent(nowMs: number): boolean {
    this.#wasUsed = true;
    if (!this.#isOpen || Math.abs(nowMs - this.#lookedMs) >= LOOK_AGAIN_MS) return false;
    return fstatSync(this.#fd).ctimeMs === this.#ctimeMs;
  }

  /**
   * Takes the result of a look at the session's name. False: the name stands for another file now, or this file was
   * changed.
   *
   * @param ctimeMs the change time of the file that the look found.
   * @param nowMs Unix ms, read before the look.
   */
  noteLook(ctimeMs: number, nowMs: number): boolean {
    this.#lookedMs = nowMs;
    return this.#isOpen && ctimeMs === this.#ctimeMs;
  }

  /** Whether a request has asked for this file since the last call. */
  takeUse(): boolean {
    const wasUsed = this.#wasUsed;
    this.#wasUsed = false;
    return wasUsed;
  }

  close(): void {
    if (this.#isOpen) closeSync(this.#fd);
    this.#isOpen = false;
  }
}

export class OpenFiles extends KeptOpen<OpenFile> {
  #isTelling = false;

  /** The directory of the session files. A new one closes all files of the old one. */
  set directory(path: string) {
    this.closeAll();
    this.#isTelling = isTelling(path);
  }

  /** Whether opening a file helps, if a look at `nowMs` has found this change time. */
  hasUseFor(ctimeMs: number, nowMs: number): boolean {
    return this.#isTelling && this.hasRoom && isPast(ctimeMs, nowMs);
  }

  /**
   * @param nowMs Unix ms, read before the look that found the version.
   * @returns undefined when the file has another version, was changed just now, or cannot be opened.
   */
  open(path: string, version: FileVersion, nowMs: number): OpenFile | undefined {
    const fd = openQuietly(path);
    if (fd === undefined) return undefined;
    const { ino, size, mtimeMs, ctimeMs } = fstatSync(fd);
    const isMeant = ino === version.ino && size === version.size && mtimeMs === version.mtimeMs;
    if (!isMeant || !this.hasUseFor(ctimeMs, nowMs)) {
      closeSync(fd);
      return undefined;
    }
    const file = new OpenFile(fd, ctimeMs, nowMs);
    this.add(file);
    return file;
  }
}

/** Whether no change after `nowMs` can get this change time. */
export function isPast(ctimeMs: number, nowMs: number): boolean {
  return nowMs - ctimeMs >= (ctimeMs % WHOLE_MS === 0 ? WHOLE_MS + TICK_MS : TICK_MS);
}

function isTelling(directory: string): boolean {
  try {
    return process.platform === "linux" && TELLING.has(statfsSync(directory).type);
  } catch {
    // Any system error: the directory is missing or closed to this worker, so it can open no file there either.
    return false;
  }
}

/** Undefined for any system error (missing, not permitted, too many open files): the worker goes on with stats. */
function openQuietly(path: string): number | undefined {
  try {
    return openSync(path, FLAGS);
  } catch {
    return undefined;
  }
}

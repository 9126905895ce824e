// Keeps the files of sessions that are read again and again open: whether such a file is still what its name stands for takes an fstat,
// and half the time of a stat.
//
// An inode that loses its name (unlink, rename over it, rename aside, exchange) or is written to gets another change time, and nothing
// can give it the old one back. So as long as the change time is the same, the name stands for this inode, under three conditions:
// * The file system does so, an exchange included: XFS does not. Those that were tried are in `TELLING`.
// * The change time was older than a tick of the clock it is taken from when the name was looked at: a later change cannot repeat it.
// * Nobody renames the directory itself: so the name is looked at again once a second.

import { closeSync, constants, fstatSync, openSync, statfsSync } from "node:fs";

/** What a file was when it was last read. */
export interface FileVersion {
  readonly ino: number;
  readonly size: number;
  readonly mtimeMs: number;
}

/** `f_type` of ext2 to ext4, tmpfs and Btrfs. */
const TELLING: ReadonlySet<number> = new Set([0xef53, 0x01021994, 0x9123683e]);
/** Twice the longest tick of the clock that kernels stamp files by. */
const TICK_MS = 20;
const LOOK_AGAIN_MS = 1_000;
/** A file nobody asked for in between is closed: the session may have ended, and its inode goes when the last one closes it. */
const IDLE_MS = 5_000;
/** Never waits for what is at the other end of a pipe, nor follows a link. */
const FLAGS = constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOFOLLOW;

export class OpenFile {
  readonly #fd: number;
  readonly #ctimeMs: number;
  /** When its name was last seen to be its name. */
  #lookedMs: number;
  #wasUsed = true;
  #isOpen = true;

  constructor(fd: number, ctimeMs: number, lookedMs: number) {
    this.#fd = fd;
    this.#ctimeMs = ctimeMs;
    this.#lookedMs = lookedMs;
  }

  /** True: the name still stands for this file, and the file is unchanged. False: only a stat of the name can tell. */
  isCurrent(nowMs: number): boolean {
    this.#wasUsed = true;
    if (!this.#isOpen || Math.abs(nowMs - this.#lookedMs) >= LOOK_AGAIN_MS) return false;
    return fstatSync(this.#fd).ctimeMs === this.#ctimeMs;
  }

  /** Its name was looked at just now, and stands for a file of this change time; `nowMs` was read before. False: it is another one, or was changed. */
  noteLook(ctimeMs: number, nowMs: number): boolean {
    this.#lookedMs = nowMs;
    return this.#isOpen && ctimeMs === this.#ctimeMs;
  }

  /** Whether anybody asked since this was called last. */
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

export class OpenFiles {
  readonly #max: number;
  readonly #files = new Set<OpenFile>();
  #isTelling = false;
  #idleCheck: NodeJS.Timeout | undefined;

  /** @param max how many may be open at once. */
  constructor(max: number) {
    this.#max = max;
  }

  get count(): number {
    return this.#files.size;
  }

  /** Where all files are. */
  set directory(path: string) {
    this.closeAll();
    this.#isTelling = isTelling(path);
  }

  /** Whether a file of this change time, seen at `nowMs`, could be opened with any use. */
  hasUseFor(ctimeMs: number, nowMs: number): boolean {
    return this.#isTelling && this.#files.size < this.#max && nowMs - ctimeMs >= TICK_MS;
  }

  /**
   * @param nowMs Unix ms, read before.
   * @returns undefined when the file is not this version, was changed just now, or cannot be opened.
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
    this.#files.add(file);
    this.#idleCheck ??= setInterval(() => this.closeIdle(), IDLE_MS).unref();
    return file;
  }

  close(file: OpenFile): void {
    this.#files.delete(file);
    file.close();
    if (this.#files.size > 0) return;
    clearInterval(this.#idleCheck);
    this.#idleCheck = undefined;
  }

  /** Closes those nobody asked for since the last call. */
  closeIdle(): void {
    for (const file of this.#files) if (!file.takeUse()) this.close(file);
  }

  closeAll(): void {
    for (const file of this.#files) this.close(file);
  }
}

function isTelling(directory: string): boolean {
  try {
    return process.platform === "linux" && TELLING.has(statfsSync(directory).type);
  } catch {
    // Not there, or not for this worker: then there is nothing to open either.
    return false;
  }
}

/** Not there, not permitted, too many open: whatever it is, a stat does as well. */
function openQuietly(path: string): number | undefined {
  try {
    return openSync(path, FLAGS);
  } catch {
    return undefined;
  }
}

// The modification times that our revisions get. Knows no session.
//
// No two revisions of a session share a stamp:
//   1. Ours differ from each other, because stamps only grow.
//   2. Ours differ from those that other programs gave before, because a file of theirs is kept in memory only once it is older than the lag
//      by which our stamps stay behind the clock.
//   3. Ours differ from those that other programs give later, because those are the kernel's and younger than any stamp given so far.
// Just after a foreign save our stamp must be younger than that save, and may be ahead of the kernel's clock: such a save is fleeting, in
// nobody's memory. After the clock was set back ours still grow; then only the nanoseconds tell theirs apart.

import { fstatSync } from "node:fs";
import type { Revision } from "../store.ts";
import { type FileSystem, setMicros } from "./file-system.ts";

/**
 * How far our modification times stay behind the clock: longer than a tick of the kernel's coarse clock, by which kernels before
 * 6.13 stamp files. So every file that another program writes from now on is younger than every stamp given so far.
 */
const STAMP_LAG_MICROS = 20_000;

export class Stamps {
  readonly #fileSystem: FileSystem;
  #last = 0;

  constructor(fileSystem: FileSystem) {
    this.#fileSystem = fileSystem;
  }

  /** Gives the file a modification time younger than every one given before, and than that of `existing`. Returns it as stat tells it. */
  stamp(fd: number, existing: Revision | undefined): number {
    const micros = this.next(existing);
    this.set(fd, micros);
    return this.#fileSystem.givesWholeMicros ? toMs(micros) : fstatSync(fd).mtimeMs;
  }

  /** Such a time, in µs, for a file that is to get it later. */
  next(existing: Revision | undefined): number {
    const afterMicros = existing === undefined ? 0 : Math.ceil(existing.mtimeMs * 1000) + 1;
    this.#last = Math.max(this.#last + 1, afterMicros, Date.now() * 1000 - STAMP_LAG_MICROS);
    return this.#last;
  }

  set(fd: number, micros: number): void {
    if (this.#fileSystem.has("times")) setMicros(fd, micros);
  }
}

/** As stat tells it where the file system gives whole microseconds. */
export function toMs(micros: number): number {
  return Math.floor(micros / 1e6) * 1e3 + ((micros % 1e6) * 1e3) / 1e6;
}

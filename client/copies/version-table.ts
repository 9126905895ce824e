// The version table of the daemon, as a worker reads it (protocol/version-table.ts): whether a copy is the present version needs two small reads and
// no question. For type "redis" with `coherence: { maxStaleMs }`.

import { closeSync, constants, openSync, readSync } from "node:fs";
import { placeOf, steadyMsOf, VALIDITY_BYTES } from "../../protocol/version-table.ts";

const FLAGS = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
/** Until when by the steady and by the wall clock, and what the sessions' clock is ahead; then the version. */
const numbers = new Float64Array(4);
const bytes = new Uint8Array(numbers.buffer);
const VERSION = 3;

export class VersionTable {
  readonly #fd: number;

  private constructor(fd: number) {
    this.#fd = fd;
  }

  /** Undefined where it cannot be opened, for whatever reason: then the daemon is asked. */
  static open(path: string): VersionTable | undefined {
    try {
      return new VersionTable(openSync(path, FLAGS));
    } catch {
      return undefined;
    }
  }

  /**
   * The time by the clock of the sessions, in Unix ms, if this version is the present one. Undefined: only the daemon can tell. The version is
   * read before the time until which it holds.
   */
  timeOf(id: string, version: number): number | undefined {
    try {
      if (readSync(this.#fd, bytes, VALIDITY_BYTES, 8, placeOf(id)) < 8 || numbers[VERSION] !== version)
        return undefined;
      if (readSync(this.#fd, bytes, 0, VALIDITY_BYTES, 0) < VALIDITY_BYTES) return undefined;
    } catch {
      // Whatever the system error: it costs a question.
      return undefined;
    }
    const steadyMs = steadyMsOf(process.hrtime());
    const [steadyUntilMs = 0, wallUntilMs = 0, aheadMs = 0] = numbers;
    return steadyMs < steadyUntilMs && Date.now() < wallUntilMs ? steadyMs + aheadMs : undefined;
  }

  close(): void {
    closeSync(this.#fd);
  }
}

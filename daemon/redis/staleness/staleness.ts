// How old what a reader is given may be. "strict", the default: not at all, each read waits for a barrier (`sessions.ts`). `maxStaleMs`: a barrier goes
// out so often that copies hold without one, here and in workers, until that time after the last one that was answered was sent. So if this daemon
// stands still, or Redis or the way to it is gone, the time runs out by itself.
//
//   1. Another host's write is acknowledged. 2. A barrier is sent later, and before it is answered the push has come: the place in the table is empty.
//   3. Whatever was sent before 1 lets older contents be used for less than maxStaleMs from 1 on.
//
// A write of our own host is in the table before it is acknowledged.

import { msLeft } from "../../../protocol/places.ts";
import type { Around } from "../../backend/backend.ts";
import type { Log } from "../../report/report.ts";
import type { Calls } from "../calls/calls.ts";
import type { Link } from "../link/link.ts";
import { VersionTable } from "./version-table.ts";

/** What the sessions need of it. */
export interface Staleness {
  /** A current copy may be used without a barrier, right now. */
  readonly mayUseCopies: boolean;
  /** Somebody uses sessions. */
  noteUse(): void;
  /** The version of a session that this daemon knows to be the present one, by its number; 0: none. */
  show(id: string, version: number): void;
  /** Nothing is known to be current any more. */
  forgetAll(): void;
}

export const STRICT: Staleness = {
  mayUseCopies: false,
  noteUse: () => undefined,
  show: () => undefined,
  forgetAll: () => undefined,
};

/** So often a barrier goes out, and no less often than twice within the time that is allowed. */
const BARRIER_MS = 25;
/** While nobody uses sessions for so long, none does. */
const IDLE_MS = 5_000;

interface BoundedParts {
  readonly maxStaleMs: number;
  readonly path: string;
  readonly link: Link;
  readonly calls: () => Calls;
  readonly log: Log;
}

export class BoundedStaleness implements Staleness {
  readonly #parts: BoundedParts;
  readonly #table: VersionTable;
  #untilMs = 0;
  #usedMs = Number.NEGATIVE_INFINITY;
  #isAsking = false;
  /** Nothing stands in the table. */
  #isEmpty = true;
  /** The table could not be written: it may say what is not so, and nothing is added to its time any more. */
  #isBroken = false;

  /** @throws the system's error where its table cannot be made. */
  constructor(parts: BoundedParts) {
    this.#parts = parts;
    this.#table = new VersionTable(parts.path);
  }

  get path(): string {
    return this.#table.path;
  }

  get mayUseCopies(): boolean {
    return performance.now() < this.#untilMs;
  }

  start(every: Around["every"]): void {
    every(Math.max(1, Math.min(BARRIER_MS, this.#parts.maxStaleMs / 2)), () => {
      if (!this.#isAsking && performance.now() - this.#usedMs < IDLE_MS) void this.#ask();
    });
  }

  noteUse(): void {
    this.#usedMs = performance.now();
  }

  show(id: string, version: number): void {
    if (version === 0 && this.#isEmpty) return;
    this.#isEmpty = false;
    this.#attempt(() => this.#table.show(id, version));
  }

  forgetAll(): void {
    this.#untilMs = 0;
    if (!this.#isEmpty) this.#attempt(() => this.#table.clear());
    this.#isEmpty = true;
  }

  close(isOurs: boolean): void {
    this.#untilMs = 0;
    this.#table.close(isOurs);
  }

  /** One barrier to every server: what is current then is so for maxStaleMs from when it was sent. */
  async #ask(): Promise<void> {
    const { link, maxStaleMs } = this.#parts;
    const calls = this.#parts.calls();
    const sentMs = performance.now();
    this.#isAsking = true;
    try {
      const [serverMs = 0] = await Promise.all(link.servers.map((server) => calls.barrier(server)));
      this.#untilMs = sentMs + maxStaleMs;
      const leftMs = msLeft(this.#untilMs, performance.now());
      if (leftMs > 0 && !this.#isBroken) this.#attempt(() => this.#table.holdFor(leftMs, serverMs));
    } catch {
      // Whatever the reason: the time runs out, and whoever reads then asks and is told.
    } finally {
      this.#isAsking = false;
    }
  }

  #attempt(write: () => void): void {
    try {
      write();
    } catch (error) {
      if (!this.#isBroken) this.#parts.log.error("version-table-failed", { path: this.path, error: String(error) });
      this.#isBroken = true;
    }
  }
}

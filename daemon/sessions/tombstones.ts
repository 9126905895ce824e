// Remembers sessions that have ended, so that nothing brings them back: not a slower worker, not a Gambas program that had one loaded.
// Bounded in number and time. Lives in memory; the journal keeps it over a restart.

import type { Ending } from "../turns/turns.ts";

/** Where there are too many this part of them goes at once: whoever looks for the oldest of a Map walks over the places of all that have gone. */
const DROPPED_PART = 1 / 1024;

export class Tombstones {
  readonly #keepMs: number;
  readonly #max: number;
  /** id -> when it ended, oldest first. */
  readonly #ended = new Map<string, number>();
  /** Those of them that go on under another id, as far as this daemon saw them go. */
  readonly #succeeded = new Set<string>();

  constructor(max: number, keepSeconds: number) {
    this.#max = Math.max(1, max);
    this.#keepMs = keepSeconds * 1000;
  }

  get count(): number {
    return this.#ended.size;
  }

  has(id: string): boolean {
    return this.#ended.has(id);
  }

  /** Undefined: it has not ended, as far as is remembered. */
  endingOf(id: string): Ending | undefined {
    if (!this.#ended.has(id)) return undefined;
    return this.#succeeded.has(id) ? "succeeded" : "ended";
  }

  addSucceeded(id: string, endedMs: number): void {
    this.add(id, endedMs);
    this.#succeeded.add(id);
  }

  add(id: string, endedMs: number): void {
    this.#ended.delete(id);
    this.#ended.set(id, endedMs);
    if (this.#ended.size > this.#max) this.#dropOldest();
  }

  /** Forgets those that ended too long ago. */
  prune(nowMs: number): void {
    for (const [id, endedMs] of this.#ended) {
      if (nowMs - endedMs < this.#keepMs) return;
      this.#drop(id);
    }
  }

  entries(): IterableIterator<[string, number]> {
    return this.#ended.entries();
  }

  #dropOldest(): void {
    const kept = this.#max - Math.floor(DROPPED_PART * this.#max);
    for (const id of this.#ended.keys()) {
      if (this.#ended.size <= kept) return;
      this.#drop(id);
    }
  }

  #drop(id: string): void {
    this.#ended.delete(id);
    this.#succeeded.delete(id);
  }
}

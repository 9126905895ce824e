// Sees to it that contents which are kept for long have memory of their own, and those which are soon replaced are not copied for that.
//
// Node cuts small buffers from a pool, slab after slab, and each of them keeps its slab in memory, twenty times what it needs. So copies
// wait here, in the order in which they came, and are settled when the pool has gone on by so many slabs since. What is changed again
// and again is settled once in that time; what is dropped meanwhile never.

import type { Contents } from "./contents.ts";

/** Contents that somebody keeps. */
interface Holder {
  readonly contents: Contents;
}

/** Copies settled at one time, so that nobody waits for many. */
const STEPS = 8;

/** Counts slabs of the pool, as far as buffers in them are kept. */
export class Slabs {
  #count = 0;
  #last: ArrayBufferLike | undefined;

  get count(): number {
    return this.#count;
  }

  /** A buffer just made is kept. */
  note(bytes: Buffer): void {
    if (bytes.length >= Buffer.poolSize >>> 1 || bytes.buffer === this.#last) return;
    this.#last = bytes.buffer;
    this.#count += 1;
  }
}

export class LooseCopies {
  readonly #slabs: Slabs;
  readonly #maxSlabs: number;
  /** The count of slabs when they came, oldest first. */
  readonly #since = new Map<Holder, number>();

  constructor(slabs: Slabs, maxSlabs: number) {
    this.#slabs = slabs;
    this.#maxSlabs = maxSlabs;
  }

  /** It stays where it is in the row if it is there already: what it has kept longest counts. */
  add(holder: Holder): void {
    if (!holder.contents.isSettled && !this.#since.has(holder)) this.#since.set(holder, this.#slabs.count);
  }

  delete(holder: Holder): void {
    if (this.#since.size > 0) this.#since.delete(holder);
  }

  /** Settles some of those that came too long ago. */
  settleSome(): void {
    let left = STEPS;
    for (const [holder, since] of this.#since) {
      if (this.#slabs.count - since <= this.#maxSlabs || left-- === 0) return;
      this.#since.delete(holder);
      holder.contents.settle();
    }
  }
}

// Gives contents that are kept for long memory of their own, and spares contents that are soon replaced that copying.
//
// Node cuts small buffers from a pool, slab after slab, and each buffer keeps its slab in memory, some twenty times its
// own size. So copies wait here, in the order in which they came:
//   1. The cache keeps contents whose image lies in the pool: their copy joins the end of the row.
//   2. The pool goes on to new slabs. A copy that gets other contents meanwhile keeps its place in the row, so a
//      session that changes again and again is settled once in that time. A copy that is dropped leaves the row
//      unsettled.
//   3. The pool has gone on by more than `maxSlabs` slabs since the copy came: its contents are settled.

import type { Contents } from "./contents.ts";

/** A copy of the cache: its contents may become others while it waits. */
interface Holder {
  readonly contents: Contents;
}

/** Copies settled at one call: a request that keeps its contents must not wait for more. */
const STEPS = 8;

/** Counts those slabs of Node's pool in which kept buffers lie. */
export class Slabs {
  #count = 0;
  #last: ArrayBufferLike | undefined;

  get count(): number {
    return this.#count;
  }

  /** The cache keeps this buffer, which was just made. */
  note(bytes: Buffer): void {
    if (bytes.length >= Buffer.poolSize >>> 1 || bytes.buffer === this.#last) return;
    this.#last = bytes.buffer;
    this.#count += 1;
  }
}

export class LooseCopies {
  readonly #slabs: Slabs;
  readonly #maxSlabs: number;
  /** The copies that wait, oldest first, with the count of slabs when each came. */
  readonly #since = new Map<Holder, number>();
  /** The count of slabs at which the oldest did not have to be settled yet: before the pool goes on it need not be looked for again. */
  #lookedAt = -1;

  constructor(slabs: Slabs, maxSlabs: number) {
    this.#slabs = slabs;
    this.#maxSlabs = maxSlabs;
  }

  /** A copy that waits already keeps its place: the slab that it has kept longest counts. */
  add(holder: Holder): void {
    if (!holder.contents.isSettled && !this.#since.has(holder)) this.#since.set(holder, this.#slabs.count);
  }

  delete(holder: Holder): void {
    if (this.#since.size > 0) this.#since.delete(holder);
  }

  /** Settles the contents of some copies that have waited for more than `maxSlabs` slabs. */
  settleSome(): void {
    const { count } = this.#slabs;
    if (count === this.#lookedAt) return;
    let left = STEPS;
    // A walk from the oldest on, over the places of all that have left the row.
    for (const [holder, since] of this.#since) {
      if (left-- === 0) return;
      if (count - since <= this.#maxSlabs) break;
      this.#since.delete(holder);
      holder.contents.settle();
    }
    this.#lookedAt = count;
  }
}

// Remembers values that sessions had lately: those that were replaced, and those that our commits put there. So a foreign save that brings
// a replaced one back for one of ours is recognised as stale.
// Holds 64-bit fingerprints, not values: bounded memory, and with a million of them a chance of about 2^-44 per look-up to mistake a real
// change for a stale one. They are no cryptographic hash: a user who can choose the values of a session could make them collide.

import { createHash } from "node:crypto";

const LONG_VALUE_BYTES = 1024;
const FIRST_CAPACITY = 64;
/** Values replaced within this time age together. */
const GENERATION_MS = 1_000;
/** A set that stays in the processor's cache while it is filled: adding to one of megabytes waits for memory, every time. */
const MAX_SET = 4096;
/** So that a look-up need not search too many of them. */
const MAX_SETS = 256;

/** An open-addressing set of pairs of 32-bit numbers; grows by doubling. */
class FingerprintSet {
  #slots: Uint32Array;
  #count = 0;

  /** Room for so many before it has to grow. */
  constructor(expected: number) {
    let capacity = FIRST_CAPACITY;
    while (capacity < 2 * expected) capacity *= 2;
    this.#slots = new Uint32Array(2 * capacity);
  }

  get count(): number {
    return this.#count;
  }

  /** False when it was there already. */
  add(low: number, high: number): boolean {
    const at = this.#find(low, high);
    if (this.#slots[at] !== 0 || this.#slots[at + 1] !== 0) return false;
    this.#slots[at] = low;
    this.#slots[at + 1] = high;
    this.#count += 1;
    if (4 * this.#count > this.#slots.length) this.#grow();
    return true;
  }

  has(low: number, high: number): boolean {
    const at = this.#find(low, high);
    return this.#slots[at] !== 0 || this.#slots[at + 1] !== 0;
  }

  /** The place of the pair, or the empty one where it belongs. The pair 0, 0 is never asked for. */
  #find(low: number, high: number): number {
    const slots = this.#slots;
    const mask = slots.length / 2 - 1;
    let index = low & mask;
    for (;;) {
      const at = 2 * index;
      if (slots[at] === low && slots[at + 1] === high) return at;
      if (slots[at] === 0 && slots[at + 1] === 0) return at;
      index = (index + 1) & mask;
    }
  }

  #grow(): void {
    const old = this.#slots;
    this.#slots = new Uint32Array(2 * old.length);
    for (let at = 0; at < old.length; at += 2) {
      const low = old[at] ?? 0;
      const high = old[at + 1] ?? 0;
      if (low === 0 && high === 0) continue;
      const free = this.#find(low, high);
      this.#slots[free] = low;
      this.#slots[free + 1] = high;
    }
  }
}

/** Bytes `from` up to `to` of a buffer. */
export interface Run {
  readonly bytes: Uint8Array;
  readonly from: number;
  readonly to: number;
}

/** 64 bits, as two unsigned halves; never both 0. */
export interface Fingerprint {
  readonly low: number;
  readonly high: number;
}

/** The values of one generation, or of a part of it. */
interface Generation {
  readonly beganMs: number;
  readonly values: FingerprintSet;
}

export class RecentValues {
  readonly #maxCount: number;
  readonly #maxSet: number;
  readonly #keepMs: number;
  /** Oldest first. */
  #generations: Generation[] = [];
  #count = 0;

  /** Remembers `maxCount` values at most, each for `keepSeconds` and a little more; the oldest go first, a set at a time. */
  constructor(maxCount: number, keepSeconds: number) {
    this.#maxCount = maxCount;
    this.#maxSet = Math.max(MAX_SET, maxCount / MAX_SETS);
    // From when the last of them may have come.
    this.#keepMs = keepSeconds * 1000 + GENERATION_MS;
  }

  get count(): number {
    return this.#count;
  }

  add({ low, high }: Fingerprint, nowMs: number): void {
    if (this.#newest(nowMs).values.add(low, high)) this.#count += 1;
  }

  /** By when this value had last been noted, at the latest; undefined when it was not, or too long ago. */
  notedByMs({ low, high }: Fingerprint): number | undefined {
    const generation = this.#generations.findLast(({ values }) => values.has(low, high));
    return generation && generation.beganMs + GENERATION_MS;
  }

  #newest(nowMs: number): Generation {
    const last = this.#generations.at(-1);
    if (last === undefined || nowMs - last.beganMs >= GENERATION_MS || nowMs < last.beganMs) return this.#begin(nowMs);
    return last.values.count >= this.#maxSet || this.#count >= this.#maxCount ? this.#begin(last.beganMs) : last;
  }

  #begin(beganMs: number): Generation {
    const isFull = this.#count >= this.#maxCount;
    const last = this.#generations.at(-1);
    const isKept = (generation: Generation): boolean => beganMs - generation.beganMs < this.#keepMs;
    this.#generations = this.#generations.filter(isKept).slice(isFull ? 1 : 0);
    // As large as the last one has become: growing to that size is most of the cost of a set.
    const newest = { beganMs, values: new FingerprintSet(last?.values.count ?? 0) };
    this.#generations.push(newest);
    this.#count = this.#generations.reduce((sum, { values }) => sum + values.count, 0);
    return newest;
  }
}

/** The fingerprints of the values of one key of one session. FNV-1a in two lanes; long values by SHA-1 first, which is faster there. */
export class Fingerprinter {
  readonly #low: number;
  readonly #high: number;

  /** @param seed of the session, where somebody has it already. */
  constructor(id: string, key: Run, seed: number = seedOf(id)) {
    let high = 0x01000193;
    for (let at = key.from; at < key.to; at++) high = Math.imul(high ^ (key.bytes[at] as number), 0x01000193);
    this.#low = Math.imul(seed ^ high, 0x01000193);
    this.#high = Math.imul(high ^ (this.#low >>> 7), 0x85ebca6b);
  }

  /** undefined: the session does not have the key. */
  of(value: Run | undefined): Fingerprint {
    if (value === undefined) return spread(this.#low, this.#high ^ 0x5bd1e995);
    const { bytes, from, to } = value.to - value.from > LONG_VALUE_BYTES ? digestOf(value) : value;
    let low = this.#low;
    let high = this.#high;
    for (let at = from; at < to; at++) {
      const byte = bytes[at] as number;
      low = Math.imul(low ^ byte, 0x01000193);
      high = Math.imul(high ^ byte, 0x85ebca6b) ^ (low >>> 13);
    }
    return spread(low, high ^ (to - from));
  }
}

/** The part of a session's fingerprints that its id decides. */
export function seedOf(id: string): number {
  let seed = 0x811c9dc5;
  for (let at = 0; at < id.length; at++) seed = Math.imul(seed ^ id.charCodeAt(at), 0x01000193);
  return seed;
}

export function runOf(bytes: Uint8Array): Run {
  return { bytes, from: 0, to: bytes.length };
}

function digestOf({ bytes, from, to }: Run): Run {
  return runOf(createHash("sha1").update(bytes.subarray(from, to)).digest());
}

/** Every bit of the result depends on every bit before; 0, 0 is kept free for empty slots. */
function spread(low: number, high: number): Fingerprint {
  let a = Math.imul(low ^ (low >>> 16), 0x7feb352d);
  let b = Math.imul(high ^ (high >>> 15), 0x846ca68b);
  a = (a ^ (a >>> 15) ^ b) >>> 0;
  b = (b ^ (b >>> 16) ^ Math.imul(a, 0x9e3779b1)) >>> 0;
  return a === 0 && b === 0 ? { low: 1, high: 0 } : { low: a, high: b };
}

// Remembers values that sessions had lately: those that were replaced, and those that our commits put there. So a foreign save that brings
// a replaced one back for one of ours is recognised as stale.
// Holds 64-bit fingerprints, not values: bounded memory, and with a million of them a chance of about 2^-44 per look-up to mistake a real
// change for a stale one. They are no cryptographic hash: whoever can choose a session's values could make his own collide.

import { createHash } from "node:crypto";

const LONG_VALUE_BYTES = 1024;
const FIRST_CAPACITY = 64;
/** Values replaced within this time age together. */
const GENERATION_MS = 5_000;

/** An open-addressing set of pairs of 32-bit numbers; grows by doubling. */
class FingerprintSet {
  #slots = new Uint32Array(2 * FIRST_CAPACITY);
  #count = 0;

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

/** What a key held before: its bytes, or undefined when the session did not have the key. */
export type OldValue = Buffer | undefined;

interface Generation {
  readonly beganMs: number;
  readonly values: FingerprintSet;
}

export class RecentValues {
  readonly #maxCount: number;
  readonly #keepMs: number;
  /** Oldest first. */
  #generations: Generation[] = [];
  #count = 0;

  /** Remembers `maxCount` values at most, each for `keepSeconds` at most; the oldest go first, a generation at a time. */
  constructor(maxCount: number, keepSeconds: number) {
    this.#maxCount = maxCount;
    this.#keepMs = keepSeconds * 1000;
  }

  get count(): number {
    return this.#count;
  }

  add(id: string, key: string, value: OldValue, nowMs: number): void {
    const [low, high] = fingerprint(id, key, value);
    if (this.#newest(nowMs).values.add(low, high)) this.#count += 1;
  }

  /** When this value was last noted (Unix ms, to a few seconds), or undefined. */
  lastNotedMs(id: string, key: string, value: OldValue): number | undefined {
    const [low, high] = fingerprint(id, key, value);
    return this.#generations.findLast(({ values }) => values.has(low, high))?.beganMs;
  }

  #newest(nowMs: number): Generation {
    const last = this.#generations.at(-1);
    const isFull = this.#count >= this.#maxCount;
    if (last !== undefined && !isFull && nowMs - last.beganMs < GENERATION_MS && nowMs >= last.beganMs) return last;
    const isKept = ({ beganMs }: Generation): boolean => nowMs - beganMs < this.#keepMs;
    this.#generations = this.#generations.filter(isKept).slice(isFull ? 1 : 0);
    const newest = { beganMs: nowMs, values: new FingerprintSet() };
    this.#generations.push(newest);
    this.#count = this.#generations.reduce((sum, { values }) => sum + values.count, 0);
    return newest;
  }
}

/** FNV-1a in two lanes over id, key and value; long values by SHA-1 first, which is faster there. */
function fingerprint(id: string, key: string, value: OldValue): readonly [number, number] {
  let low = mixText(0x811c9dc5, id);
  let high = mixText(0x01000193, key);
  low = Math.imul(low ^ high, 0x01000193);
  high = Math.imul(high ^ (low >>> 7), 0x85ebca6b);
  if (value === undefined) return spread(low, high ^ 0x5bd1e995);
  const bytes = value.length > LONG_VALUE_BYTES ? createHash("sha1").update(value).digest() : value;
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at] ?? 0;
    low = Math.imul(low ^ byte, 0x01000193);
    high = Math.imul(high ^ byte, 0x85ebca6b) ^ (low >>> 13);
  }
  return spread(low, high ^ bytes.length);
}

function mixText(seed: number, text: string): number {
  let hash = seed;
  for (let at = 0; at < text.length; at++) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
  return hash;
}

/** Every bit of the result depends on every bit before; 0, 0 is kept free for empty slots. */
function spread(low: number, high: number): readonly [number, number] {
  let a = Math.imul(low ^ (low >>> 16), 0x7feb352d);
  let b = Math.imul(high ^ (high >>> 15), 0x846ca68b);
  a = (a ^ (a >>> 15) ^ b) >>> 0;
  b = (b ^ (b >>> 16) ^ Math.imul(a, 0x9e3779b1)) >>> 0;
  return a === 0 && b === 0 ? [1, 0] : [a, b];
}

// Makes hostile bytes out of good ones: a few changes at random places, of the kinds that readers of lengths and trees stumble over.

import type { Random } from "../support/values/random.ts";

/** The last ones are the tags of references and objects in a session file. */
const BYTES = [0x00, 0x01, 0x7f, 0x80, 0xc1, 0xdd, 0xfe, 0xff, 0x40, 0x41, 0x42, 0x43, 0x44, 0x61, 0x62];
const LENGTHS = [0, 1, 0x7f, 0x80, 0x3fff, 0x4000, 0xffff, 0x3fffffff, 0x7fffffff, 0x80000000, 0xffffffff];
const MAX_CHANGES = 6;
const MAX_BYTES = 64 * 1024;
const MAX_REPEATS = 2_000;

export class Mutator {
  readonly #random: Random;
  readonly #corpus: readonly Buffer[];
  readonly #kinds: readonly ((bytes: Buffer) => Buffer)[];

  constructor(random: Random, corpus: readonly Buffer[]) {
    this.#random = random;
    this.#corpus = corpus;
    this.#kinds = [
      (bytes) => this.#flip(bytes),
      (bytes) => this.#set(bytes),
      (bytes) => this.#setLength(bytes),
      (bytes) => this.#cut(bytes),
      (bytes) => this.#insert(bytes),
      (bytes) => this.#leaveOut(bytes),
      (bytes) => this.#repeat(bytes),
      (bytes) => this.#splice(bytes),
    ];
  }

  /** One of the corpus, changed; a new buffer each time. */
  next(): Buffer {
    let bytes = Buffer.from(this.#random.of(this.#corpus));
    for (let changes = this.#random.below(MAX_CHANGES); changes >= 0; changes--) {
      bytes = Buffer.from(this.#random.of(this.#kinds)(bytes).subarray(0, MAX_BYTES));
    }
    return bytes;
  }

  #place(bytes: Buffer): number {
    return this.#random.below(bytes.length + 1);
  }

  #flip(bytes: Buffer): Buffer {
    const at = this.#place(bytes);
    if (at < bytes.length) bytes[at] = (bytes[at] ?? 0) ^ (1 << this.#random.below(8));
    return bytes;
  }

  #set(bytes: Buffer): Buffer {
    const at = this.#place(bytes);
    if (at < bytes.length) bytes[at] = this.#random.below(2) === 0 ? this.#random.of(BYTES) : this.#random.below(256);
    return bytes;
  }

  #setLength(bytes: Buffer): Buffer {
    if (bytes.length < 4) return bytes;
    const at = this.#random.below(bytes.length - 3);
    if (this.#random.below(2) === 0) bytes.writeUInt32LE(this.#random.of(LENGTHS), at);
    else bytes.writeUInt32BE(this.#random.of(LENGTHS), at);
    return bytes;
  }

  #cut(bytes: Buffer): Buffer {
    return bytes.subarray(0, this.#place(bytes));
  }

  #insert(bytes: Buffer): Buffer {
    const at = this.#place(bytes);
    const random = Array.from({ length: 1 + this.#random.below(8) }, () => this.#random.below(256));
    return Buffer.concat([bytes.subarray(0, at), Buffer.from(random), bytes.subarray(at)]);
  }

  #leaveOut(bytes: Buffer): Buffer {
    const from = this.#place(bytes);
    return Buffer.concat([bytes.subarray(0, from), bytes.subarray(from + 1 + this.#random.below(16))]);
  }

  /** Nests or lengthens whatever these bytes stand for. */
  #repeat(bytes: Buffer): Buffer {
    const from = this.#place(bytes);
    const some = bytes.subarray(from, from + 1 + this.#random.below(8));
    const times = 1 + this.#random.below(this.#random.below(20) === 0 ? MAX_REPEATS : 4);
    return Buffer.concat([bytes.subarray(0, from), ...Array.from({ length: times }, () => some), bytes.subarray(from)]);
  }

  #splice(bytes: Buffer): Buffer {
    const other = this.#random.of(this.#corpus);
    return Buffer.concat([bytes.subarray(0, this.#place(bytes)), other.subarray(this.#place(other))]);
  }
}

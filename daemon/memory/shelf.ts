// The shelf: the contents of sessions that want no turn, as records of bytes one behind the other, without an object
// for each. A session of 300 bytes takes some 400 here. The shelf knows neither files nor turns nor the clock; the
// cache makes an awake session of a record that it takes.
//
// Records lie in slabs, in the order in which they came. A record that is taken leaves a gap; when gaps add up, the
// shelf empties the slab with the largest gaps into the newest one. To make room the shelf forgets the oldest slab, but
// keeps records that were read since they came into it, or that must not be forgotten yet. No call does more work than
// that of a few slabs, however many sessions there are.

import type { Contents } from "./contents.ts";
import { NOWHERE, ShelfIndex } from "./shelf-index.ts";

/** A session at rest: its contents, and what the daemon knows of it that its file does not say. */
export interface Resting {
  readonly id: string;
  readonly contents: Contents;
  /**
   * When the daemon last wrote the session (Unix ms), 0 for never; and whether a foreign writer was running then that
   * could hold an older revision.
   */
  readonly writtenMs: number;
  readonly mayBeHeld: boolean;
}

// A record, in units of 8 bytes: hash and image length, size of the revision and (id length, marks), mtime, ino,
// writtenMs; then the id, then the image. Numbers have the byte order of the machine, since a record never leaves the
// process.
const UNIT = 8;
const HEAD_BYTES = 5 * UNIT;
const [AT_HASH, AT_LENGTH, AT_SIZE, AT_MARKS] = [0, 1, 2, 3];
const [AT_MTIME, AT_INO, AT_WRITTEN] = [2, 3, 4];
const ID_LENGTH_MASK = 0xffff;
const [DEAD, USED, FLEETING, HELD] = [0x10000, 0x20000, 0x40000, 0x80000];

/** A place is the number of a slab and a unit in it, in 32 bits. */
const UNIT_BITS = 15;
export const MAX_SLAB_BYTES: number = UNIT * 2 ** UNIT_BITS;
export const MIN_SLAB_BYTES = 4096;
const MAX_SLABS = 2 ** (32 - UNIT_BITS) - 1;
/**
 * A record of more than this part of a slab gets a slab of its own: at the end of a shared one it would waste as much.
 */
const LARGE_PART = 1 / 4;
/** Gaps may take this part of all slabs before one of them is emptied. */
const GAP_PART = 1 / 4;
/**
 * Slabs that one call of `fit` goes through, so that no caller waits long; a slab of one large record counts for less.
 */
const SLABS_PER_CALL = 4;
const LARGE_WORK = 1 / 64;

/** The memory of a slab besides its bytes: views, and their place in a map. */
const SLAB_BYTES = 1024;

class Slab {
  readonly number: number;
  readonly bytes: Buffer;
  readonly words: Uint32Array;
  readonly doubles: Float64Array;
  /** The image of a large record, the only one of its slab: the image is not copied. */
  readonly image: Buffer | undefined;
  /** Bytes of all records so far, and of the records that are still there. */
  end = 0;
  live = 0;
  /** Whether the shelf has emptied this slab. */
  isGone = false;

  constructor(number: number, bytes: Buffer, image?: Buffer) {
    this.number = number;
    this.bytes = bytes;
    this.image = image;
    this.words = new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
    this.doubles = new Float64Array(bytes.buffer, bytes.byteOffset, bytes.length / UNIT);
  }

  get allBytes(): number {
    return SLAB_BYTES + this.bytes.length + (this.image?.length ?? 0);
  }

  word(at: number, which: number): number {
    return this.words[at / 4 + which] ?? 0;
  }

  double(at: number, which: number): number {
    return this.doubles[at / UNIT + which] ?? 0;
  }

  has(at: number, mark: number): boolean {
    return (this.word(at, AT_MARKS) & mark) !== 0;
  }

  mark(at: number, mark: number): void {
    this.words[at / 4 + AT_MARKS] = this.word(at, AT_MARKS) | mark;
  }

  unmark(at: number, mark: number): void {
    this.words[at / 4 + AT_MARKS] = this.word(at, AT_MARKS) & ~mark;
  }

  idAt(at: number): string {
    return this.bytes.toString("utf8", at + HEAD_BYTES, this.#idEnd(at));
  }

  imageAt(at: number): Buffer {
    const from = this.#idEnd(at);
    return this.image ?? this.bytes.subarray(from, from + this.word(at, AT_LENGTH));
  }

  lengthAt(at: number): number {
    return roundUp(this.#idEnd(at) - at + (this.image === undefined ? this.word(at, AT_LENGTH) : 0));
  }

  #idEnd(at: number): number {
    return at + HEAD_BYTES + (this.word(at, AT_MARKS) & ID_LENGTH_MASK);
  }
}

export class Shelf {
  readonly #slabBytes: number;
  readonly #hashOf: (id: string) => number;
  readonly #index: ShelfIndex;
  /** The slabs by their numbers, the oldest first. */
  readonly #slabs = new Map<number, Slab>();
  readonly #freeNumbers: number[] = [];
  /** The slab that gets the next records. */
  #newest: Slab | undefined;
  #slabsBytes = 0;
  #gapBytes = 0;
  /**
   * The bytes of the shelf when `fit` last found nothing to forget: it does not look again until they change. -1: no
   * such time.
   */
  #stuckAtBytes = -1;

  /** @param slabBytes a power of two between MIN_SLAB_BYTES and MAX_SLAB_BYTES. */
  constructor(slabBytes: number, hashOf: (id: string) => number = hashOfText) {
    this.#slabBytes = slabBytes;
    this.#hashOf = hashOf;
    this.#index = new ShelfIndex((place, id) => this.#slab(place).idAt(offsetIn(place)) === id);
  }

  get count(): number {
    return this.#index.count;
  }

  /** The memory of all slabs and the index, gaps included. */
  get bytes(): number {
    return this.#slabsBytes + this.#index.bytes;
  }

  has(id: string): boolean {
    return this.#index.find(this.#hashOf(id), id) !== NOWHERE;
  }

  /** The image is a view of a slab. The bytes of the view never change, and the view keeps the slab in memory. */
  get(id: string): Resting | undefined {
    const place = this.#index.find(this.#hashOf(id), id);
    if (place === NOWHERE) return undefined;
    const slab = this.#slab(place);
    slab.mark(offsetIn(place), USED);
    return restingAt(slab, offsetIn(place), id);
  }

  /**
   * Puts a session on the shelf, in place of its former record. There it stays until `take` or `fit`, but for `clear`
   * and for too many slabs.
   */
  put(resting: Resting): void {
    const { id, contents } = resting;
    const hash = this.#hashOf(id);
    const known = this.#index.find(hash, id);
    if (known !== NOWHERE) this.#drop(known, hash);
    const idBytes = Buffer.byteLength(id);
    const length = HEAD_BYTES + idBytes + contents.image.length;
    const isLarge = length > LARGE_PART * this.#slabBytes;
    const slab = isLarge ? this.#slabOf(HEAD_BYTES + idBytes, ownImage(contents.image)) : this.#room(roundUp(length));
    const at = slab.end;
    writeHead(slab, at, { resting, hash, idBytes });
    slab.bytes.write(id, at + HEAD_BYTES, "utf8");
    if (!isLarge) contents.image.copy(slab.bytes, at + HEAD_BYTES + idBytes);
    this.#index.add(hash, placeOf(slab, at));
    grow(slab);
  }

  /** Takes a session off the shelf. Its image is no view of a slab that others use. */
  take(id: string): Resting | undefined {
    const hash = this.#hashOf(id);
    const place = this.#index.find(hash, id);
    if (place === NOWHERE) return undefined;
    const slab = this.#slab(place);
    const { contents, ...rest } = restingAt(slab, offsetIn(place), id);
    const image = slab.image ?? copyOf(contents.image);
    this.#drop(place, hash);
    return { ...rest, contents: { ...contents, image } };
  }

  /**
   * All sessions on the shelf, the oldest first; their images are views. The shelf may change meanwhile: a session that
   * is there all the time comes at least once, and again where its record was moved.
   */
  *all(): Generator<Resting> {
    for (const slab of this.#slabs.values()) {
      for (let at = 0; !slab.isGone && at < slab.end; at += slab.lengthAt(at)) {
        if (!slab.has(at, DEAD)) yield restingAt(slab, at, slab.idAt(at));
      }
    }
  }

  /**
   * Forgets the oldest sessions until the shelf fits into `maxBytes`. A session that was read since it came gets
   * another chance: it is moved to the newest slab. A session that a foreign writer may hold stays if it was written
   * after `neededSinceMs`. One call goes through a few slabs more than the shelf is over the limit, so calls after each
   * growth keep up.
   */
  fit(maxBytes: number, neededSinceMs: number): void {
    const before = this.bytes;
    if (before <= maxBytes || before === this.#stuckAtBytes) return;
    let left = SLABS_PER_CALL + (this.#stuckAtBytes < 0 ? (before - maxBytes) / this.#slabBytes : 0);
    for (const slab of this.#slabs.values()) {
      if (left <= 0 || this.bytes <= maxBytes) break;
      left -= slab.image === undefined ? 1 : LARGE_WORK;
      this.#forgetOldest(slab, { neededSinceMs, keepsUsed: left > 0 && maxBytes > 0 });
    }
    this.#stuckAtBytes = this.bytes < before ? -1 : this.bytes;
  }

  clear(): void {
    for (const slab of this.#slabs.values()) this.#empty(slab, () => false);
  }

  #slab(place: number): Slab {
    const slab = this.#slabs.get(place >>> UNIT_BITS);
    if (slab === undefined) throw new RangeError(`there is no slab for place ${place}`);
    return slab;
  }

  /** The slab for the next record: the newest one if it has so many bytes left, or else a new one. */
  #room(bytes: number): Slab {
    const newest = this.#newest;
    if (newest !== undefined && newest.end + bytes <= newest.bytes.length) return newest;
    this.#newest = this.#slabOf(this.#slabBytes);
    return this.#newest;
  }

  #slabOf(bytes: number, image?: Buffer): Slab {
    if (this.#slabs.size === MAX_SLABS) this.#forgetAny();
    const slab = new Slab(this.#freeNumbers.pop() ?? this.#slabs.size, Buffer.allocUnsafeSlow(roundUp(bytes)), image);
    this.#slabs.set(slab.number, slab);
    this.#slabsBytes += slab.allBytes;
    return slab;
  }

  #drop(place: number, hash: number): void {
    const [slab, at] = [this.#slab(place), offsetIn(place)];
    const length = slab.lengthAt(at);
    this.#index.remove(hash, place);
    slab.mark(at, DEAD);
    slab.live -= length;
    this.#gapBytes += length;
    if (slab.live === 0) this.#free(slab);
    else if (this.#gapBytes > GAP_PART * this.#slabsBytes + this.#slabBytes) this.#closeGaps();
  }

  /**
   * Gives up a slab of which the index holds nothing any more. Its memory is not used again: an answer that a worker
   * has not read yet may still be a view of it.
   */
  #free(slab: Slab): void {
    slab.isGone = true;
    this.#slabs.delete(slab.number);
    this.#freeNumbers.push(slab.number);
    this.#slabsBytes -= slab.allBytes;
    this.#gapBytes -= slab.end - slab.live;
    if (this.#newest === slab) this.#newest = undefined;
  }

  #closeGaps(): void {
    let sparsest: Slab | undefined;
    for (const slab of this.#slabs.values()) {
      if (slab === this.#newest || slab.image !== undefined) continue;
      if (sparsest === undefined || slab.end - slab.live > sparsest.end - sparsest.live) sparsest = slab;
    }
    if (sparsest !== undefined) this.#empty(sparsest, () => true);
  }

  #forgetOldest(slab: Slab, kept: { readonly neededSinceMs: number; readonly keepsUsed: boolean }): void {
    if (this.#newest === slab) this.#newest = undefined;
    this.#empty(slab, (at) => {
      if (slab.has(at, HELD) && slab.double(at, AT_WRITTEN) > kept.neededSinceMs) return true;
      return kept.keepsUsed && slab.has(at, USED);
    });
  }

  #forgetAny(): void {
    for (const slab of this.#slabs.values()) {
      if (slab === this.#newest) continue;
      this.#empty(slab, () => false);
      return;
    }
  }

  /** Empties a slab: moves the records that are kept to the newest slab, and forgets the others. */
  #empty(slab: Slab, isKept: (at: number) => boolean): void {
    for (let at = 0; at < slab.end; at += slab.lengthAt(at)) {
      if (slab.has(at, DEAD)) continue;
      if (!isKept(at)) {
        this.#index.remove(slab.word(at, AT_HASH), placeOf(slab, at));
      } else if (slab.image === undefined) {
        this.#move(slab, at);
      } else {
        this.#renew(slab);
        return;
      }
    }
    this.#free(slab);
  }

  #move(from: Slab, at: number): void {
    const length = from.lengthAt(at);
    const to = this.#room(length);
    from.unmark(at, USED);
    from.bytes.copy(to.bytes, to.end, at, at + length);
    this.#index.move(from.word(at, AT_HASH), placeOf(from, at), placeOf(to, to.end));
    grow(to);
  }

  /** Makes the slab of a large record one of the youngest, without copying it. */
  #renew(slab: Slab): void {
    slab.unmark(0, USED);
    this.#slabs.delete(slab.number);
    this.#slabs.set(slab.number, slab);
  }
}

interface Head {
  readonly resting: Resting;
  readonly hash: number;
  readonly idBytes: number;
}

function writeHead(slab: Slab, at: number, { resting, hash, idBytes }: Head): void {
  const { contents, writtenMs, mayBeHeld } = resting;
  const { image, revision, isFleeting } = contents;
  const [word, double] = [at / 4, at / UNIT];
  slab.words[word + AT_HASH] = hash;
  slab.words[word + AT_LENGTH] = image.length;
  slab.words[word + AT_SIZE] = revision.size;
  slab.words[word + AT_MARKS] = idBytes | (isFleeting ? FLEETING : 0) | (mayBeHeld ? HELD : 0);
  slab.doubles[double + AT_MTIME] = revision.mtimeMs;
  slab.doubles[double + AT_INO] = revision.ino;
  slab.doubles[double + AT_WRITTEN] = writtenMs;
}

/** Counts the record that was just written at the end of a slab. */
function grow(slab: Slab): void {
  const length = slab.lengthAt(slab.end);
  slab.end += length;
  slab.live += length;
}

function restingAt(slab: Slab, at: number, id: string): Resting {
  const mtimeMs = slab.double(at, AT_MTIME);
  const revision = { ino: slab.double(at, AT_INO), size: slab.word(at, AT_SIZE), mtimeMs };
  const isFleeting = slab.has(at, FLEETING);
  const contents = { image: slab.imageAt(at), revision, isFleeting, sameAs: [mtimeMs] };
  return { id, contents, writtenMs: slab.double(at, AT_WRITTEN), mayBeHeld: slab.has(at, HELD) };
}

function placeOf(slab: Slab, at: number): number {
  return slab.number * 2 ** UNIT_BITS + at / UNIT;
}

function offsetIn(place: number): number {
  return (place & (2 ** UNIT_BITS - 1)) * UNIT;
}

function roundUp(bytes: number): number {
  return Math.ceil(bytes / UNIT) * UNIT;
}

/** The image, copied if it lies in Node's pool: a small buffer keeps a whole slab of that pool in memory. */
function ownImage(image: Buffer): Buffer {
  return image.length < Buffer.poolSize >>> 1 ? copyOf(image) : image;
}

function copyOf(image: Buffer): Buffer {
  const copy = Buffer.allocUnsafeSlow(image.length);
  image.copy(copy);
  return copy;
}

/**
 * FNV-1a, with the bits mixed once more at the end. Ids are drawn at random, so no attacker can choose their hashes.
 */
function hashOfText(text: string): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < text.length; at++) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x7feb352d);
  hash = Math.imul(hash ^ (hash >>> 15), 0x846ca68b);
  return (hash ^ (hash >>> 16)) >>> 0;
}

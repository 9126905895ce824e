// Puts a delta into an image when neither holds a reference: the new image is made of runs of bytes of both, in one allocation. Knows nothing
// of values.

import type { ChangedEntry } from "./delta.ts";
import { type ByteRange, bodyStartOf, type EntryReader, writeBodyStart } from "./entries.ts";
import { HEADER_BYTES } from "./header.ts";

/** A changed key, and where its value was in the image before: from and to are equal for a key that was not there. */
export interface Replacement {
  readonly changed: ChangedEntry;
  readonly oldFrom: number;
  readonly oldTo: number;
}

/** Up to so many bytes are copied faster one by one than by a call into the runtime. */
const SHORT_BYTES = 64;
/** An image up to this size is copied as a whole first: then only bytes that move or change are left to copy. */
const SMALL_BYTES = 4096;
/** Taken once: `Buffer` is a getter of the global object, which would be called for each image. */
const { allocUnsafe } = Buffer;
/** Up to here the changed keys are compared one by one. */
const FEW_CHANGES = 8;

/** The changes of a delta, one for each key, in the order in which new keys are added. Finds the change of a key by its bytes. */
export class Changes {
  /** One for each key: the last change of it. */
  readonly entries: readonly ChangedEntry[];
  readonly #delta: Buffer;
  readonly #indexes: Map<string, number> | undefined;
  /** Keys that were deleted before they were set. */
  #moved: ReadonlySet<ChangedEntry> | undefined;

  constructor(delta: Buffer, entries: readonly ChangedEntry[]) {
    this.#delta = delta;
    const indexes = entries.length > FEW_CHANGES ? this.#indexesOf(entries) : undefined;
    const isRepeating = indexes === undefined ? this.#hasRepeatedKey(entries) : indexes.size < entries.length;
    this.entries = isRepeating ? this.#oneByOne(entries) : entries;
    this.#indexes = isRepeating && indexes !== undefined ? this.#indexesOf(this.entries) : indexes;
  }

  #hasRepeatedKey(entries: readonly ChangedEntry[]): boolean {
    const delta = this.#delta;
    for (let index = 1; index < entries.length; index++) {
      const { keyFrom, keyTo } = entries[index] as ChangedEntry;
      if (findKey(entries, index, delta, delta, keyFrom, keyTo) >= 0) return true;
    }
    return false;
  }

  #indexesOf(entries: readonly ChangedEntry[]): Map<string, number> {
    return new Map(entries.map((entry, index) => [this.#keyOf(entry), index]));
  }

  #keyOf({ keyFrom, keyTo }: ChangedEntry): string {
    return this.#delta.toString("latin1", keyFrom, keyTo);
  }

  /** The changes that are left when all are made in their order: a key that was deleted and is set again is a new one. */
  #oneByOne(entries: readonly ChangedEntry[]): readonly ChangedEntry[] {
    const changes = new Map<string, ChangedEntry>();
    const moved = new Set<string>();
    for (const entry of entries) {
      const key = this.#keyOf(entry);
      const before = changes.get(key);
      if (before !== undefined && isDeletion(before) && !isDeletion(entry)) {
        moved.add(key);
        changes.delete(key);
      }
      changes.set(key, entry);
    }
    this.#moved = new Set([...moved].map((key) => changes.get(key) as ChangedEntry));
    return [...changes.values()];
  }

  /** Whether the key goes to the end, wherever it was. */
  isMoved(entry: ChangedEntry): boolean {
    return this.#moved?.has(entry) === true;
  }

  /** Index of the change of the key `bytes[from..to)`, -1 when it is not changed. */
  indexOf(bytes: Buffer, from: number, to: number): number {
    if (this.#indexes !== undefined) return this.#indexes.get(bytes.toString("latin1", from, to)) ?? -1;
    return findKey(this.entries, this.entries.length, this.#delta, bytes, from, to);
  }
}

function isDeletion({ valueAt, valueEnd }: ChangedEntry): boolean {
  return valueAt === valueEnd;
}

/** Which of the first `count` entries of a delta has the key `bytes[from..to)`, compared one by one; -1 for none. */
function findKey(
  entries: readonly ChangedEntry[],
  count: number,
  delta: Buffer,
  bytes: Buffer,
  from: number,
  to: number,
): number {
  for (let index = count - 1; index >= 0; index--) {
    const { keyFrom, keyTo } = entries[index] as ChangedEntry;
    if (keyTo - keyFrom === to - from && isSameRun(delta, keyFrom, bytes, from, to)) return index;
  }
  return -1;
}

function isSameRun(left: Buffer, at: number, right: Buffer, from: number, to: number): boolean {
  for (let offset = to - from - 1; offset >= 0; offset--) {
    if (left[at + offset] !== right[from + offset]) return false;
  }
  return true;
}

export class Splice {
  /** Whether an entry was met that Gambas drops, which moves others. */
  hasDead = false;
  readonly #image: Buffer;
  readonly #delta: Buffer;
  readonly #changes: Changes;
  readonly #isPlaced: boolean[] = [];
  readonly #replacements: Replacement[] = [];
  /** Runs to copy: from, to; in the delta when `from` is negative (-1 - from). */
  readonly #runs: number[] = [];
  #count = 0;
  #size = 0;
  /** Image bytes from here on are not yet in a run. */
  #pending = -1;
  #pendingEnd = 0;

  constructor(image: Buffer, delta: Buffer, entries: readonly ChangedEntry[]) {
    this.#image = image;
    this.#delta = delta;
    this.#changes = new Changes(delta, entries);
  }

  entry(reader: EntryReader): void {
    const { start, keyFrom, keyTo, valueEnd } = reader;
    if (reader.isDead) this.hasDead = true;
    const index = this.#changes.indexOf(this.#image, keyFrom, keyTo);
    if (index < 0) {
      this.#count++;
      this.#keep(start, valueEnd);
      return;
    }
    const changed = this.#changes.entries[index] as ChangedEntry;
    const { valueAt, valueEnd: end } = changed;
    this.#replacements.push({ changed, oldFrom: keyTo, oldTo: valueEnd });
    // The second entry of a key would win over the value that has just been put into the first.
    if (this.#isPlaced[index] !== true && end > valueAt && !this.#changes.isMoved(changed)) {
      this.#count++;
      this.#keep(start, keyTo);
      this.#add(valueAt, end);
    }
    this.#isPlaced[index] = true;
  }

  #keep(from: number, to: number): void {
    if (this.#pending >= 0 && this.#pendingEnd !== from) this.#flush();
    if (this.#pending < 0) this.#pending = from;
    this.#pendingEnd = to;
  }

  #flush(): void {
    if (this.#pending < 0) return;
    this.#runs.push(this.#pending, this.#pendingEnd);
    this.#size += this.#pendingEnd - this.#pending;
    this.#pending = -1;
  }

  #add(from: number, to: number): void {
    this.#flush();
    this.#runs.push(-1 - from, to);
    this.#size += to - from;
  }

  #addNew(): void {
    const { entries } = this.#changes;
    for (let index = 0; index < entries.length; index++) {
      const changed = entries[index] as ChangedEntry;
      const isPlaced = this.#isPlaced[index] === true;
      if (isPlaced && !this.#changes.isMoved(changed)) continue;
      if (!isPlaced) this.#replacements.push({ changed, oldFrom: 0, oldTo: 0 });
      if (changed.valueEnd === changed.valueAt) continue;
      this.#add(changed.start, changed.valueEnd);
      this.#count++;
    }
  }

  /** Which values were replaced by which. Of a key that the image had twice the last value counted. */
  get replacements(): readonly Replacement[] {
    return this.#replacements;
  }

  /** The new image, with the header of the image before. */
  finish(cookiePath: ByteRange): Buffer {
    this.#addNew();
    this.#flush();
    const image = this.#image;
    const bodyAt = bodyStartOf(this.#count);
    const pathAt = bodyAt + this.#size;
    const result = allocUnsafe(pathAt + cookiePath.to - cookiePath.from);
    const isThere = image.length <= Math.min(SMALL_BYTES, result.length);
    if (isThere) result.set(image);
    else copyRun(image, 0, HEADER_BYTES, result, 0);
    writeBodyStart(result, this.#count, image[HEADER_BYTES] as number);
    this.#copyRuns(result, bodyAt, isThere);
    copyRun(cookiePath.bytes, cookiePath.from, cookiePath.to, result, pathAt);
    return result;
  }

  /** @param isThere the image has been copied to `result` already, from its first byte on. */
  #copyRuns(result: Buffer, start: number, isThere: boolean): void {
    const runs = this.#runs;
    let at = start;
    for (let index = 0; index < runs.length; index += 2) {
      const from = runs[index] as number;
      const to = runs[index + 1] as number;
      if (from < 0) at = copyRun(this.#delta, -1 - from, to, result, at);
      else if (isThere && from === at) at = to;
      else at = copyRun(this.#image, from, to, result, at);
    }
  }
}

/** Returns the end of the copy. */
function copyRun(source: Buffer, from: number, to: number, target: Buffer, start: number): number {
  const end = start + to - from;
  if (to - from > SHORT_BYTES) target.set(source.subarray(from, to), start);
  else for (let at = start; at < end; at++) target[at] = source[from + at - start] as number;
  return end;
}

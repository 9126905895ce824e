// Lists of keys that images share: the sessions of one application nearly always have the same keys in the same order. The process keeps the
// lists it met last, so that an image with one of them needs no strings and no map of its own. Which lists are kept decides how fast a key
// is found, and never which. Knows nothing of values. For speed only: without the lists that are kept `get-miss` takes 14.2 instead of 11.9 us
// of a worker.

import { lengthBytes } from "../value/format.ts";
import { readKey } from "../value/text.ts";

/** Gambas' own key: the path of the cookie in use (GAMBAS.md 3.9). */
export const COOKIE_PATH_KEY = "_";
/** Our own key: how long browsers keep the cookie of a session, where the session itself says so. */
export const MAX_AGE_KEY = "_maxage";

/** Whether programs see a key. */
export function isShownKey(key: string): boolean {
  return key !== COOKIE_PATH_KEY && key !== MAX_AGE_KEY;
}

/** A fixed number of lists, each of a modest size, so that no input makes them grow; a newer one takes the place of the oldest. */
const MAX_LISTS = 16;
const MAX_KEYS = 64;
const MAX_BYTES = 1024;

/** Keys in file order, none of them twice. Images share a list, since its keys never change; only a guess at the next look-up does. */
export class KeyList {
  readonly keys: readonly string[];
  /** The keys that programs see: all but Gambas' own and ours. */
  readonly shown: readonly string[];
  readonly hasMaxAge: boolean;
  /** Whether other images with these keys have this very list, so that none of them is charged for it. */
  isShared = false;
  #indexes: ReadonlyMap<string, number> | undefined;
  /** The index that is probably asked for next: a program that reads all keys does it in their order. */
  #next = 0;

  /** `indexes` from a caller that has them already. */
  constructor(keys: readonly string[], indexes?: ReadonlyMap<string, number>) {
    this.keys = keys;
    this.hasMaxAge = keys.includes(MAX_AGE_KEY);
    this.shown = this.hasMaxAge || keys.includes(COOKIE_PATH_KEY) ? keys.filter(isShownKey) : keys;
    this.#indexes = indexes;
  }

  /** -1 for a key that is not there. */
  indexOf(key: string): number {
    const index = this.keys[this.#next] === key ? this.#next : this.#find(key);
    this.#next = index + 1;
    return index;
  }

  #find(key: string): number {
    this.#indexes ??= new Map(this.keys.map((name, index) => [name, index]));
    return this.#indexes.get(key) ?? -1;
  }
}

/** Keys in an image: the first begins at `start`, every other one where the value before it ends. */
export interface KeyRanges {
  readonly image: Buffer;
  readonly start: number;
  /** Two numbers for each: where its value begins, which is where the key ends, and where the value ends. */
  readonly values: readonly number[];
}

/** A list and its keys with their lengths, as they are stored. */
interface StoredList {
  readonly list: KeyList;
  readonly bytes: Buffer;
  readonly print: number;
}

const lists: StoredList[] = [];
let oldest = 0;

/** Prints of lists that were not found lately. A list is kept when it is met again, so one that is met once drives none out. */
const missed: number[] = new Array<number>(MAX_LISTS).fill(0);
let oldestMissed = 0;

/** For tests: as if no image had been read before. */
export function forgetLists(): void {
  lists.length = 0;
  missed.fill(0);
  oldest = 0;
  oldestMissed = 0;
}

/** The list of exactly these keys, if it was met lately. */
export function findList(ranges: KeyRanges): KeyList | undefined {
  const print = printOf(ranges);
  for (const stored of lists) if (stored.print === print && isStored(stored, ranges)) return stored.list;
  return undefined;
}

/** Tells most lists apart: by their length, and the lengths and last bytes of their keys. */
function printOf({ image, start, values }: KeyRanges): number {
  let print = values.length;
  let from = start;
  for (let index = 0; index < values.length; index += 2) {
    const to = values[index] as number;
    print = (Math.imul(print, 31) + Math.imul(to - from, 7) + (image[to - 1] as number)) | 0;
    from = values[index + 1] as number;
  }
  return print;
}

/** Compares lengths and bytes, so equal runs of as many keys are the same keys. */
function isStored({ list, bytes }: StoredList, { image, start, values }: KeyRanges): boolean {
  if (list.keys.length * 2 !== values.length) return false;
  let at = 0;
  let from = start;
  for (let index = 0; index < values.length; index += 2) {
    const to = values[index] as number;
    for (; from < to; from++) if (image[from] !== bytes[at++]) return false;
    from = values[index + 1] as number;
  }
  return true;
}

/** Keeps a list that was met before. Its image must have no entry that Gambas drops. */
export function keepList(list: KeyList, ranges: KeyRanges): void {
  if (list.keys.length > MAX_KEYS) return;
  const print = printOf(ranges);
  if (!missed.includes(print)) {
    missed[oldestMissed] = print;
    oldestMissed = (oldestMissed + 1) % MAX_LISTS;
    return;
  }
  const bytes = storedBytes(ranges);
  if (bytes.length > MAX_BYTES) return;
  list.isShared = true;
  lists[oldest] = { list, bytes, print };
  oldest = (oldest + 1) % MAX_LISTS;
}

function storedBytes({ image, start, values }: KeyRanges): Buffer {
  const pieces: Buffer[] = [];
  let from = start;
  for (let index = 0; index < values.length; index += 2) {
    pieces.push(image.subarray(from, values[index]));
    from = values[index + 1] as number;
  }
  return Buffer.concat(pieces);
}

/** The key that is stored in `image[from..to)` with its length. */
export function readStoredKey(image: Buffer, from: number, to: number): string {
  return readKey(image, from + lengthBytes(image[from] as number), to);
}

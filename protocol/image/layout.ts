// Where the entries of an image are, by key. Nothing is decoded, and values are only scanned for their ends.

import { lengthBytes } from "../value/format.ts";
import { newScan } from "../value/scan.ts";
import { readKey } from "../value/text.ts";
import { EntryReader, endOfCookiePath, isDeadEntry } from "./entries.ts";
import { findList, KeyList, type KeyRanges, keepList, readStoredKey } from "./keys.ts";

interface Entry {
  readonly key: string;
  readonly valueStart: number;
  readonly valueEnd: number;
}

export interface Layout {
  readonly entries: Entries;
  readonly cookiePath: string;
  readonly hasReferences: boolean;
}

/** The entries in file order, without those that Gambas drops. */
class Entries {
  readonly list: KeyList;
  /** Two numbers for each: where its value begins and ends. */
  readonly #values: readonly number[];

  constructor(list: KeyList, values: readonly number[]) {
    this.list = list;
    this.#values = values;
  }

  get size(): number {
    return this.list.keys.length;
  }

  keys(): readonly string[] {
    return this.list.keys;
  }

  values(): readonly Entry[] {
    return this.list.keys.map((key, index) => this.#entry(key, index));
  }

  has(key: string): boolean {
    return this.list.indexOf(key) >= 0;
  }

  get(key: string): Entry | undefined {
    const index = this.list.indexOf(key);
    return index < 0 ? undefined : this.#entry(key, index);
  }

  valueStart(index: number): number {
    return this.#values[2 * index] as number;
  }

  valueEnd(index: number): number {
    return this.#values[2 * index + 1] as number;
  }

  #entry(key: string, index: number): Entry {
    return { key, valueStart: this.valueStart(index), valueEnd: this.valueEnd(index) };
  }
}

/** Where the entries are. Throws ERR_UNREADABLE for an image that 3.18 would give up. */
export function layoutOf(image: Buffer): Layout {
  const scan = newScan(1);
  const reader = new EntryReader(image, scan);
  const values: number[] = [];
  let hasDead = false;
  while (reader.next()) {
    if (reader.isDead) hasDead = true;
    values.push(reader.keyTo, reader.valueEnd);
  }
  const ranges: KeyRanges = { image, start: reader.bodyStart, values };
  const known = hasDead ? undefined : findList(ranges);
  const entries = known === undefined ? readEntries(ranges) : new Entries(known, values);
  return { entries, cookiePath: readCookiePath(image, reader.valueEnd), hasReferences: scan.hasReferences };
}

function readEntries(ranges: KeyRanges): Entries {
  const { image, start, values } = ranges;
  const indexes = new Map<string, number>();
  let from = start;
  for (let index = 0; 2 * index < values.length; index++) {
    const to = values[2 * index] as number;
    const key = readStoredKey(image, from, to);
    // A null takes an earlier value of the same key away; a second value takes the place of the first.
    if (isDeadEntry(image, key, to)) indexes.delete(key);
    else indexes.set(key, index);
    from = values[2 * index + 1] as number;
  }
  const keys = [...indexes.keys()];
  if (2 * keys.length < values.length) return new Entries(new KeyList(keys), rangesOf(indexes.values(), values));
  const list = new KeyList(keys, indexes);
  keepList(list, ranges);
  return new Entries(list, values);
}

/** Where the values are of the entries that are not dropped. */
function rangesOf(indexes: Iterable<number>, values: readonly number[]): number[] {
  const kept: number[] = [];
  for (const index of indexes) kept.push(values[2 * index] as number, values[2 * index + 1] as number);
  return kept;
}

function readCookiePath(image: Buffer, at: number): string {
  const end = endOfCookiePath(image, at);
  return end - at <= 1 ? "" : readKey(image, at + lengthBytes(image[at] as number), end);
}

// The shallow view of one stored object: where its members are. Made only when the object has changed and is written again.

import {
  BASE_COLLECTION,
  CLASS_OBJECTS,
  CLASS_STRINGS,
  CLASS_VARIANTS,
  classOfElementType,
  DIMENSION,
  ELEMENT_BYTES,
  lengthBytes,
  readLength,
  TAG,
} from "./format.ts";
import type { Place } from "./origins.ts";
import { endOfScalar, endOfString, type ObjectTable } from "./scan.ts";
import { readKey } from "./text.ts";

export class Members {
  readonly table: ObjectTable;
  readonly count: number;
  readonly countAt: number;
  /** Where the first member begins. */
  readonly firstAt: number;
  /** The class that tells how the elements are laid out; a Variant[] inside Variant[][] may hold bare Integers. */
  readonly layout: number;
  readonly #keyAts: number[] = [];
  readonly #keys: string[] = [];
  readonly #ats: number[] = [];
  readonly #numbers: number[] = [];
  #indexes: Map<string, number> | undefined;

  constructor(table: ObjectTable, number: number) {
    const { bytes } = table;
    this.table = table;
    this.countAt = table.counts[number] as number;
    this.count = readLength(bytes, this.countAt);
    this.firstAt = this.countAt + lengthBytes(bytes[this.countAt] as number);
    const code = table.classes[number] as number;
    this.layout = code === CLASS_VARIANTS ? classOfElementType(bytes[this.countAt - 1] as number, this.count) : code;
    if (this.elementBytes === 0) this.#find(number);
  }

  /** Size of each element when that is fixed, else 0. */
  get elementBytes(): number {
    return this.layout >= DIMENSION && this.layout < 2 * DIMENSION
      ? (ELEMENT_BYTES[this.layout - DIMENSION] as number)
      : 0;
  }

  #find(number: number): void {
    const { bytes } = this.table;
    let next = number + 1;
    let at = this.firstAt;
    for (let left = this.count; left > 0; left--) {
      if (this.layout === BASE_COLLECTION) {
        const from = at + lengthBytes(bytes[at] as number);
        this.#keyAts.push(at);
        at = endOfString(bytes, at);
        this.#keys.push(readKey(bytes, from, at));
      }
      const start = bytes[at] as number;
      if (this.layout === CLASS_STRINGS) {
        this.#add(at - 1, 0);
        at = endOfString(bytes, at);
      } else if (start === TAG.REFERENCE) {
        this.#add(at, bytes.readInt32LE(at + 1));
        at += 5;
      } else if (start > TAG.REFERENCE) {
        this.#add(at, next);
        at = this.table.ends[next] as number;
        next = this.table.nexts[next] as number;
      } else {
        this.#add(at, 0);
        at = endOfScalar(bytes, at);
      }
    }
  }

  #add(at: number, number: number): void {
    this.#ats.push(at);
    this.#numbers.push(number);
  }

  /** The member at `index`; its payload is at `place.at + 1` when it has no number. */
  placeAt(index: number): Place | undefined {
    if (index < 0 || index >= this.count) return undefined;
    const size = this.elementBytes;
    if (size !== 0) return { table: this.table, number: 0, at: this.firstAt + index * size - 1 };
    return { table: this.table, number: this.#numbers[index] as number, at: this.#ats[index] as number };
  }

  /** Index of the member `key`, -1 when there is none. `hint` is where it probably is. */
  indexOf(key: string, hint: number): number {
    if (this.#keys[hint] === key) return hint;
    this.#indexes ??= new Map(this.#keys.map((name, index) => [name, index]));
    return this.#indexes.get(key) ?? -1;
  }

  get keys(): readonly string[] {
    return this.#keys;
  }

  keyAt(index: number): number {
    return this.#keyAts[index] as number;
  }

  valueAt(index: number): number {
    return this.#ats[index] as number;
  }

  hasObjects(): boolean {
    return this.layout === CLASS_OBJECTS || this.layout === CLASS_VARIANTS || this.layout >= 2 * DIMENSION;
  }
}

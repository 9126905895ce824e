// Tells whether a JavaScript value is still what some bytes say, without decoding or encoding: the question asked of every object
// that was handed out when its request ends, and nearly always answered with yes.

import { MAX_DEPTH } from "./value-decode.ts";
import {
  CLASS_BYTES,
  CLASS_OBJECTS,
  CLASS_STRINGS,
  CLASS_VARIANTS,
  classOfElementType,
  DIMENSION,
  ELEMENT_BYTES,
  lengthBytes,
  readClass,
  readLength,
  TAG,
} from "./value-format.ts";
import { KIND, kindOf } from "./value-kind.ts";
import { isSameFixed, isSameText } from "./value-payload.ts";
import { endOfScalar, IN_OBJECTS, IN_VARIANT } from "./value-scan.ts";
import { readKey } from "./value-text.ts";

/** Whether the scalar stored at `at` with its tag still means exactly `value`. */
export function isSameScalar(value: unknown, bytes: Buffer, at: number): boolean {
  const tag = bytes[at] as number;
  if (tag === TAG.STRING || tag === TAG.CONSTANT_STRING) {
    const from = at + 1 + lengthBytes(bytes[at + 1] as number);
    return isSameText(value, bytes, from, from + readLength(bytes, at + 1));
  }
  if (tag === TAG.NULL || tag === TAG.NULL_OBJECT) return value === null;
  return tag < TAG.NULL && isSameFixed(tag, value, bytes, at + 1);
}

export interface Unchanged {
  readonly end: number;
  readonly objects: readonly object[];
}

/** Where the stored value ends, and its objects, when decoding it would give exactly `value`; undefined when anything differs. */
export function matchValue(value: unknown, bytes: Buffer, at: number): Unchanged | undefined {
  return new Match(bytes).run(value, at);
}

class Match {
  readonly #bytes: Buffer;
  readonly #objects: object[] = [];
  readonly #seen = new Set<object>();
  #at = 0;
  #depth = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  run(value: unknown, at: number): Unchanged | undefined {
    this.#at = at;
    return this.#variant(value) ? { end: this.#at, objects: this.#objects } : undefined;
  }

  #variant(value: unknown): boolean {
    if ((this.#bytes[this.#at] as number) >= TAG.REFERENCE) return this.#object(value, IN_VARIANT);
    if (!isSameScalar(value, this.#bytes, this.#at)) return false;
    this.#at = endOfScalar(this.#bytes, this.#at);
    return true;
  }

  #object(value: unknown, context: number): boolean {
    const tag = this.#bytes[this.#at] as number;
    if (typeof value !== "object" || value === null) {
      this.#at++;
      return value === null && tag === TAG.NULL_OBJECT;
    }
    if (tag === TAG.REFERENCE) {
      this.#at += 5;
      return this.#objects[this.#bytes.readInt32LE(this.#at - 4) - 1] === value;
    }
    if (tag < TAG.REFERENCE || this.#seen.has(value) || this.#depth === MAX_DEPTH) return false;
    this.#seen.add(value);
    this.#objects.push(value);
    this.#depth++;
    const isSame =
      tag === TAG.COLLECTION || tag === TAG.FOLDING_COLLECTION
        ? this.#collection(value)
        : this.#array(value, tag, context);
    this.#depth--;
    return isSame;
  }

  #count(): number {
    const count = readLength(this.#bytes, this.#at);
    this.#at += lengthBytes(this.#bytes[this.#at] as number);
    return count;
  }

  #collection(object: object): boolean {
    if (Object.getPrototypeOf(object) !== Object.prototype || Object.getOwnPropertySymbols(object).length > 0)
      return false;
    const bytes = this.#bytes;
    const keys = Object.keys(object);
    this.#at++;
    if (this.#count() !== keys.length) return false;
    const stored: string[] = [];
    let isOrdered = true;
    for (const expected of keys) {
      const from = this.#at + lengthBytes(bytes[this.#at] as number);
      const to = from + readLength(bytes, this.#at);
      const key = readKey(bytes, from, to);
      this.#at = to;
      if (key !== expected) {
        isOrdered = false;
        if (!Object.prototype.propertyIsEnumerable.call(object, key)) return false;
      }
      stored.push(key);
      if (!this.#variant((object as Record<string, unknown>)[key])) return false;
    }
    return isOrdered || isSameOrder(orderOf(stored), keys);
  }

  #array(value: object, tag: number, context: number): boolean {
    const bytes = this.#bytes;
    const hasClass = tag === TAG.ARRAY || context === IN_VARIANT;
    let layout = hasClass ? readClass(bytes, this.#at + 1) : context === IN_OBJECTS ? CLASS_VARIANTS : context;
    this.#at += hasClass ? 2 + (bytes[this.#at + 1] as number) : 1;
    const type = bytes[this.#at++] as number;
    const count = this.#count();
    if (layout === CLASS_VARIANTS) layout = classOfElementType(type, count);
    if (layout === CLASS_BYTES && (context < 0 || context === CLASS_BYTES)) return this.#byteArray(value, count);
    if (kindOf(value) !== KIND.LIST || (value as unknown[]).length !== count) return false;
    return this.#elements(value as unknown[], layout);
  }

  #byteArray(value: object, count: number): boolean {
    const from = this.#at;
    this.#at += count;
    return (
      Buffer.isBuffer(value) && value.length === count && this.#bytes.compare(value, 0, count, from, this.#at) === 0
    );
  }

  #elements(list: readonly unknown[], layout: number): boolean {
    const base = layout - DIMENSION;
    const size = layout < 2 * DIMENSION ? (ELEMENT_BYTES[base] as number) : 0;
    for (const value of list) {
      let isSame: boolean;
      if (size !== 0) {
        isSame = isSameFixed(base, value, this.#bytes, this.#at);
        this.#at += size;
      } else if (layout === CLASS_VARIANTS) isSame = this.#variant(value);
      else if (layout === CLASS_STRINGS) isSame = this.#string(value);
      else isSame = this.#object(value, layout === CLASS_OBJECTS ? IN_OBJECTS : base);
      if (!isSame) return false;
    }
    return true;
  }

  #string(value: unknown): boolean {
    const from = this.#at + lengthBytes(this.#bytes[this.#at] as number);
    this.#at = from + readLength(this.#bytes, this.#at);
    return isSameText(value, this.#bytes, from, this.#at);
  }
}

/** The order in which an object shows keys that were set in this one: those that look like indexes come first. */
export function orderOf(keys: readonly string[]): readonly string[] {
  const shown: Record<string, true> = Object.create(null) as Record<string, true>;
  for (const key of keys) shown[key] = true;
  return Object.keys(shown);
}

export function isSameOrder(left: readonly string[], right: readonly string[]): boolean {
  return left.length === right.length && left.every((key, index) => key === right[index]);
}

// Tells whether a JavaScript value is still what some bytes say, without decoding or encoding: the question asked of every object
// that was handed out when its request ends, and nearly always answered with yes.

import { MAX_DEPTH } from "./decode.ts";
import {
  BASE_COLLECTION,
  CLASS_BYTES,
  CLASS_OBJECTS,
  CLASS_VARIANTS,
  classOfElementType,
  DIMENSION,
  ELEMENT_BYTES,
  lengthBytes,
  readClass,
  readLength,
  TAG,
} from "./format.ts";
import { isBytes, KIND, kindOf } from "./kind.ts";
import { isSameFixed, isSameText } from "./payload.ts";
import { endOfScalar, IN_OBJECTS, IN_VARIANT } from "./scan.ts";
import { readKey } from "./text.ts";

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

/** A container that is being compared. A stack of these stands in for recursion. */
interface Frame {
  /** Of a collection: its keys as the object shows them, and as they are stored. */
  readonly keys: readonly string[] | undefined;
  readonly stored: string[];
  readonly value: object;
  readonly layout: number;
  readonly count: number;
  next: number;
}

const NO_KEYS: string[] = [];

class Match {
  readonly #bytes: Buffer;
  readonly #objects: object[] = [];
  readonly #seen = new Set<object>();
  readonly #frames: Frame[] = [];
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  run(value: unknown, at: number): Unchanged | undefined {
    const frames = this.#frames;
    this.#at = at;
    let isSame = this.#variant(value);
    for (let frame = frames.at(-1); isSame && frame !== undefined; frame = frames.at(-1)) {
      if (frame.next === frame.count) {
        frames.pop();
        isSame = frame.keys === undefined || isOrder(frame.stored, frame.keys);
      } else isSame = frame.keys === undefined ? this.#element(frame) : this.#member(frame, frame.keys);
    }
    return isSame ? { end: this.#at, objects: this.#objects } : undefined;
  }

  #variant(value: unknown): boolean {
    if ((this.#bytes[this.#at] as number) >= TAG.REFERENCE) return this.#object(value, IN_VARIANT);
    if (!isSameScalar(value, this.#bytes, this.#at)) return false;
    this.#at = endOfScalar(this.#bytes, this.#at);
    return this.#isNew(value);
  }

  /** Dates have no identity in the session: one that occurs twice would come back as two. */
  #isNew(value: unknown): boolean {
    if (typeof value !== "object" || value === null) return true;
    const { size } = this.#seen;
    return this.#seen.add(value).size > size;
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
    if (tag < TAG.REFERENCE || this.#frames.length === MAX_DEPTH || !this.#isNew(value)) return false;
    this.#objects.push(value);
    const isCollection = tag === TAG.COLLECTION || tag === TAG.FOLDING_COLLECTION;
    return isCollection ? this.#collection(value) : this.#array(value, tag, context);
  }

  #count(): number {
    const count = readLength(this.#bytes, this.#at);
    this.#at += lengthBytes(this.#bytes[this.#at] as number);
    return count;
  }

  #collection(value: object): boolean {
    if (!isPlain(value) || Object.getOwnPropertySymbols(value).length > 0) return false;
    const keys = Object.keys(value);
    this.#at++;
    const count = this.#count();
    if (count !== keys.length) return false;
    this.#frames.push({ keys, stored: [], value, layout: BASE_COLLECTION, count, next: 0 });
    return true;
  }

  #member(frame: Frame, keys: readonly string[]): boolean {
    const from = this.#at + lengthBytes(this.#bytes[this.#at] as number);
    const to = from + readLength(this.#bytes, this.#at);
    const key = readKey(this.#bytes, from, to);
    this.#at = to;
    if (key !== keys[frame.next++] && !Object.prototype.propertyIsEnumerable.call(frame.value, key)) return false;
    frame.stored.push(key);
    return this.#variant((frame.value as Record<string, unknown>)[key]);
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
    if (layout < CLASS_VARIANTS) return this.#flat(value as unknown[], layout);
    this.#frames.push({ keys: undefined, stored: NO_KEYS, value, layout, count, next: 0 });
    return true;
  }

  #byteArray(value: object, count: number): boolean {
    const from = this.#at;
    this.#at += count;
    if (!Buffer.isBuffer(value) || !isBytes(value) || value.length !== count) return false;
    return this.#bytes.compare(value, 0, count, from, this.#at) === 0;
  }

  #element({ value, layout, next }: Frame): boolean {
    const element = (value as unknown[])[next];
    (this.#frames.at(-1) as Frame).next++;
    if (layout === CLASS_VARIANTS) return this.#variant(element);
    return this.#object(element, layout === CLASS_OBJECTS ? IN_OBJECTS : layout - DIMENSION);
  }

  /** Scalars without tags. */
  #flat(list: readonly unknown[], layout: number): boolean {
    const base = layout - DIMENSION;
    const size = ELEMENT_BYTES[base] as number;
    for (const value of list) {
      if (size === 0 ? !this.#string(value) : !isSameFixed(base, value, this.#bytes, this.#at)) return false;
      this.#at += size;
      if (!this.#isNew(value)) return false;
    }
    return true;
  }

  #string(value: unknown): boolean {
    const from = this.#at + lengthBytes(this.#bytes[this.#at] as number);
    this.#at = from + readLength(this.#bytes, this.#at);
    return isSameText(value, this.#bytes, from, this.#at);
  }
}

/** What decoding gives, and its like of another realm. */
function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || (prototype !== null && kindOf(value) === KIND.PLAIN);
}

function isOrder(stored: readonly string[], keys: readonly string[]): boolean {
  return isSameOrder(stored, keys) || isSameOrder(orderOf(stored), keys);
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

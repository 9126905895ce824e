// JavaScript values to Gambas bytes: the way in. A value that the stored bytes still describe is answered with these bytes; any other one is
// written anew. Stored bytes and an object are compared member by member, without decoding or encoding: of the objects that a request was
// handed nearly all are unchanged when it ends.

import { isCode } from "../errors.ts";
import { Encoder } from "./encoder.ts";
import {
  BASE_COLLECTION,
  CLASS_BYTES,
  CLASS_OBJECTS,
  CLASS_VARIANTS,
  classOfElementType,
  DIMENSION,
  ELEMENT_BYTES,
  lengthBytes,
  MAX_DEPTH,
  readClass,
  readLength,
  TAG,
} from "./format.ts";
import { badValue, isBytes, isSameOrder, KIND, kindOf, orderOf } from "./kind.ts";
import { type Origin, type Origins, tableOfValue } from "./origins.ts";
import { borrowOutput, type Output, returnOutput } from "./output.ts";
import { isSameFixed, isSameScalar, isSameText, writeScalar } from "./scalar.ts";
import { endOfScalar, IN_OBJECTS, IN_VARIANT } from "./scan.ts";
import { readKey } from "./text.ts";

export interface Encoded {
  readonly bytes: Buffer;
  /** The JavaScript objects by their number: objects[0] is object 1 of this value. */
  readonly objects: readonly object[];
  /** Decoding the bytes gives a value of exactly this shape. False once a Map, a typed array, typed() and the like were converted. */
  readonly isCanonical: boolean;
}

/** The stored value that is being overwritten. Its bytes must have been scanned before. */
interface PreviousValue {
  readonly bytes: Buffer;
  readonly at: number;
}

const NO_OBJECTS: readonly object[] = [];

/**
 * The self-contained bytes of `value`; one byte 00, which deletes the key, for null and undefined. Throws ERR_BAD_VALUE that names
 * the place inside the value as `path.items[3].price`.
 */
export function encodeValue(value: unknown, path: string, previous?: PreviousValue, origins?: Origins): Encoded {
  if (value === null || value === undefined) {
    return { bytes: Buffer.of(TAG.NULL_OBJECT), objects: NO_OBJECTS, isCanonical: value === null };
  }
  if (typeof value === "object" && previous !== undefined) {
    const same = matchValue(value, previous.bytes, previous.at);
    if (same !== undefined) {
      return { bytes: pieceOf(previous.bytes, previous.at, same.end), objects: same.objects, isCanonical: true };
    }
  }
  const out = borrowOutput();
  try {
    if (typeof value !== "object") return encodeScalar(out, value, path, previous);
    const encoder = new Encoder(out, path, origins);
    // The origin of the value itself says more of its types than the value that it replaces.
    encoder.encode(value, origins?.originOf(value) === undefined ? originOfPrevious(previous) : undefined);
    return { bytes: out.slice(0), objects: encoder.objects, isCanonical: encoder.isCanonical };
  } finally {
    returnOutput(out);
  }
}

/** All of the bytes are answered as the same buffer: comparing it with the stored one then takes no look at the bytes. */
function pieceOf(bytes: Buffer, at: number, end: number): Buffer {
  return at === 0 && end === bytes.length ? bytes : bytes.subarray(at, end);
}

function encodeScalar(out: Output, value: unknown, path: string, previous: PreviousValue | undefined): Encoded {
  const problem = writeScalar(out, value, previous?.bytes, previous?.at ?? 0);
  if (problem !== undefined) throw badValue(path, problem);
  const isCanonical = typeof value !== "bigint" || !Number.isSafeInteger(Number(value));
  return { bytes: out.slice(0), objects: NO_OBJECTS, isCanonical };
}

/** Undefined for bytes that cannot be read by themselves, such as an entry that refers to the whole session: they are no guide to types. */
function originOfPrevious(previous: PreviousValue | undefined): Origin | undefined {
  if (previous === undefined) return undefined;
  try {
    const table = tableOfValue(previous.bytes, previous.at);
    return { table, number: table.starts.length > 1 ? 1 : 0, at: previous.at };
  } catch (error) {
    if (isCode(error, "ERR_UNREADABLE")) return undefined;
    throw error;
  }
}

interface Unchanged {
  readonly end: number;
  readonly objects: readonly object[];
}

/** Where the stored value ends, and its objects, when decoding it would give exactly `value`; undefined when anything differs. */
function matchValue(value: unknown, bytes: Buffer, at: number): Unchanged | undefined {
  return new Match(bytes).run(value, at);
}

/** A container that is being compared. A stack of these stands in for recursion. */
interface Level {
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
  readonly #levels: Level[] = [];
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  run(value: unknown, at: number): Unchanged | undefined {
    const levels = this.#levels;
    this.#at = at;
    let isSame = this.#variant(value);
    for (let level = levels.at(-1); isSame && level !== undefined; level = levels.at(-1)) {
      if (level.next === level.count) {
        levels.pop();
        isSame = level.keys === undefined || isOrder(level.stored, level.keys);
      } else isSame = level.keys === undefined ? this.#element(level) : this.#member(level, level.keys);
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
    if (tag < TAG.REFERENCE || this.#levels.length === MAX_DEPTH || !this.#isNew(value)) return false;
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
    this.#levels.push({ keys, stored: [], value, layout: BASE_COLLECTION, count, next: 0 });
    return true;
  }

  #member(level: Level, keys: readonly string[]): boolean {
    const from = this.#at + lengthBytes(this.#bytes[this.#at] as number);
    const to = from + readLength(this.#bytes, this.#at);
    const key = readKey(this.#bytes, from, to);
    this.#at = to;
    if (key !== keys[level.next++] && !Object.prototype.propertyIsEnumerable.call(level.value, key)) return false;
    level.stored.push(key);
    return this.#variant((level.value as Record<string, unknown>)[key]);
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
    this.#levels.push({ keys: undefined, stored: NO_KEYS, value, layout, count, next: 0 });
    return true;
  }

  #byteArray(value: object, count: number): boolean {
    const from = this.#at;
    this.#at += count;
    if (!Buffer.isBuffer(value) || !isBytes(value) || value.length !== count) return false;
    return this.#bytes.compare(value, 0, count, from, this.#at) === 0;
  }

  #element({ value, layout, next }: Level): boolean {
    const element = (value as unknown[])[next];
    (this.#levels.at(-1) as Level).next++;
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

/** Whether decoding could have made this object, in this realm or another one. */
function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || (prototype !== null && kindOf(value) === KIND.PLAIN);
}

function isOrder(stored: readonly string[], keys: readonly string[]): boolean {
  return isSameOrder(stored, keys) || isSameOrder(orderOf(stored), keys);
}

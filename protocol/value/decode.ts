// Gambas bytes to JavaScript values. Knows nothing of keys, files or how a value is written.

import { SessionError } from "../errors.ts";
import {
  BASE_COLLECTION,
  CLASS_BYTES,
  CLASS_OBJECTS,
  CLASS_STRINGS,
  CLASS_VARIANTS,
  classOfElementType,
  DIMENSION,
  ELEMENT_BYTES,
  lengthBytes,
  MAX_DEPTH,
  readClass,
  readLength,
  TAG,
  unreadable,
} from "./format.ts";
import type { Origins } from "./origins.ts";
import { isRegularDate, readDate, readFixed, readText } from "./scalar.ts";
import { endOfValue, IN_OBJECTS, IN_VARIANT, newScan, type ObjectTable } from "./scan.ts";
import { AsciiCutter, readKey } from "./text.ts";

/**
 * The JavaScript value of the self-contained bytes at `at`. Throws ERR_UNREADABLE for bytes that are no value and for values
 * JavaScript cannot show (a date beyond its range, more than MAX_DEPTH levels). With `origins`, objects remember where they came from.
 */
export function decodeValue(bytes: Buffer, at: number, origins?: Origins): unknown {
  const tag = bytes[at];
  if (tag !== TAG.STRING && tag !== TAG.DAMAGED) endOfValue(bytes, at, newScan());
  return decodeScanned(bytes, at, origins);
}

/** The same for bytes that were scanned before: those of an entry of an image, or those that encodeValue made. */
export function decodeScanned(bytes: Buffer, at: number, origins?: Origins): unknown {
  const tag = bytes[at] as number;
  if (tag === TAG.STRING) return decodeString(bytes, at, origins);
  if (tag < TAG.REFERENCE && tag !== TAG.DATE && tag !== TAG.CONSTANT_STRING) {
    return tag === TAG.NULL || tag === TAG.NULL_OBJECT ? null : readFixed(tag, bytes, at + 1);
  }
  const decoder = new Decoder(bytes);
  const value = decoder.decode(at, 1);
  origins?.remember({ bytes, at, objects: decoder.objects, loose: decoder.loose, looseAts: decoder.looseAts });
  return value;
}

/** The same for a scalar, where many are read from the same bytes. A Date and a Buffer are new ones each time. */
export function decodeScalar(bytes: Buffer, at: number, cutter: AsciiCutter): unknown {
  const tag = bytes[at] as number;
  if (tag !== TAG.STRING && tag !== TAG.CONSTANT_STRING) {
    return tag === TAG.NULL || tag === TAG.NULL_OBJECT ? null : readFixed(tag, bytes, at + 1);
  }
  const from = at + 1 + lengthBytes(bytes[at + 1] as number);
  const to = from + readLength(bytes, at + 1);
  return cutter.cut(from, to) ?? readText(bytes, from, to);
}

function decodeString(bytes: Buffer, at: number, origins: Origins | undefined): string | Buffer {
  const from = at + 1 + lengthBytes(bytes[at + 1] ?? 0);
  const to = from + readLength(bytes, at + 1);
  if (to > bytes.length) throw unreadable(at, "end of file in a string");
  const text = readText(bytes, from, to);
  if (typeof text !== "string") origins?.remember({ bytes, at, objects: [], loose: [text], looseAts: [at] });
  return text;
}

/** A container that is being filled. A stack of these stands in for recursion. */
interface Level {
  readonly object: Record<string, unknown> | undefined;
  readonly list: unknown[];
  readonly layout: number;
  left: number;
  /** Where decoding goes on after a container that a reference led to; -1 for one that lies in the stream of bytes. */
  resumeAt: number;
  resumeNext: number;
}

const NO_LIST: unknown[] = [];

/** Decodes bytes that were scanned before. Given the table of an image it decodes entries in any order, one object for one number. */
export class Decoder {
  /** By number; index 0 is unused. */
  readonly objects: (object | undefined)[] = [undefined];
  /** Objects without a number whose JavaScript value does not tell their bytes: strings that are not UTF-8, odd dates. */
  readonly loose: object[] = [];
  readonly looseAts: number[] = [];
  readonly #bytes: Buffer;
  readonly #cutter: AsciiCutter;
  readonly #table: ObjectTable | undefined;
  /** Numbers of the objects made for the value that is being decoded. */
  readonly #made: number[] = [];
  readonly #levels: Level[] = [];
  #at = 0;
  #next = 1;

  constructor(bytes: Buffer, table?: ObjectTable) {
    this.#bytes = bytes;
    this.#cutter = new AsciiCutter(bytes);
    this.#table = table;
  }

  /** The value at `at`, whose first object, if any, has the number `next`. */
  decode(at: number, next: number): unknown {
    this.#at = at;
    this.#next = next;
    // Setting a length costs time, even setting the one it has.
    if (this.#made.length > 0) this.#made.length = 0;
    if (this.#levels.length > 0) this.#levels.length = 0;
    try {
      const value = this.#variant();
      this.#fill();
      return value;
    } catch (error) {
      // The objects of this value are half done: another value that refers to one of them must decode it by itself.
      for (const number of this.#made) this.objects[number] = undefined;
      throw error;
    }
  }

  /** Fills the containers. One is handed on as soon as it exists, so a container that holds it need not wait until it is full. */
  #fill(): void {
    const levels = this.#levels;
    for (let level = levels.at(-1); level !== undefined; level = levels.at(-1)) {
      if (level.left === 0) this.#close(level);
      else {
        level.left--;
        if (level.object === undefined) level.list.push(this.#element(level.layout));
        else this.#member(level.object);
      }
    }
  }

  #close(level: Level): void {
    this.#levels.pop();
    if (level.resumeAt < 0) return;
    this.#at = level.resumeAt;
    this.#next = level.resumeNext;
  }

  #open(object: Record<string, unknown> | undefined, list: unknown[], layout: number, left: number): void {
    this.#levels.push({ object, list, layout, left, resumeAt: -1, resumeNext: 0 });
  }

  #add(object: object): void {
    this.#made.push(this.#next);
    this.objects[this.#next++] = object;
  }

  #variant(): unknown {
    const bytes = this.#bytes;
    const tag = bytes[this.#at] as number;
    if (tag >= TAG.REFERENCE) return this.#object(IN_VARIANT);
    this.#at++;
    if (tag === TAG.STRING || tag === TAG.CONSTANT_STRING) return this.#text(this.#at - 1);
    if (tag === TAG.NULL || tag === TAG.NULL_OBJECT) return null;
    return this.#fixed(tag);
  }

  #fixed(tag: number): unknown {
    const at = this.#at;
    this.#at = at + (ELEMENT_BYTES[tag] as number);
    return tag === TAG.DATE ? this.#date(at) : readFixed(tag, this.#bytes, at);
  }

  #date(at: number): Date | null {
    const date = readDate(this.#bytes, at);
    if (date !== null && !isRegularDate(this.#bytes, at)) this.#remember(date, at - 1);
    return date;
  }

  /** The string whose length is next. `at` is where the encoder finds it again: one byte before its length. */
  #text(at: number): string | Buffer {
    const from = this.#at + lengthBytes(this.#bytes[this.#at] as number);
    const to = from + readLength(this.#bytes, this.#at);
    this.#at = to;
    const text = this.#cutter.cut(from, to) ?? readText(this.#bytes, from, to);
    if (typeof text !== "string") this.#remember(text, at);
    return text;
  }

  #remember(object: object, at: number): void {
    this.loose.push(object);
    this.looseAts.push(at);
  }

  #object(context: number): object | null {
    const tag = this.#bytes[this.#at] as number;
    if (tag === TAG.NULL_OBJECT) {
      this.#at++;
      return null;
    }
    if (tag === TAG.REFERENCE) return this.#reference();
    const known = this.objects[this.#next];
    if (known !== undefined) return this.#skip(known);
    if (this.#levels.length === MAX_DEPTH) throw tooDeep(this.#at);
    return tag === TAG.COLLECTION || tag === TAG.FOLDING_COLLECTION ? this.#collection() : this.#array(tag, context);
  }

  #skip(known: object): object {
    const table = this.#table as ObjectTable;
    this.#at = table.ends[this.#next] as number;
    this.#next = table.nexts[this.#next] as number;
    return known;
  }

  #reference(): object {
    const number = this.#bytes.readInt32LE(this.#at + 1);
    const known = this.objects[number];
    if (known === undefined) return this.#follow(number);
    this.#at += 5;
    return known;
  }

  /** Decodes the object where it is written out, and comes back. */
  #follow(number: number): object {
    if (this.#table === undefined || number === 1) throw unreadable(this.#at, "a reference to the whole session");
    const resumeAt = this.#at + 5;
    const resumeNext = this.#next;
    const depth = this.#levels.length;
    this.#at = this.#table.starts[number] as number;
    this.#next = number;
    const object = this.#object(this.#table.contexts[number] as number) as object;
    const opened = this.#levels[depth];
    if (opened === undefined) {
      this.#at = resumeAt;
      this.#next = resumeNext;
    } else {
      opened.resumeAt = resumeAt;
      opened.resumeNext = resumeNext;
    }
    return object;
  }

  #count(): number {
    const count = readLength(this.#bytes, this.#at);
    this.#at += lengthBytes(this.#bytes[this.#at] as number);
    return count;
  }

  #collection(): object {
    const object: Record<string, unknown> = {};
    this.#add(object);
    this.#at++;
    const count = this.#count();
    if (count > 0) this.#open(object, NO_LIST, BASE_COLLECTION, count);
    return object;
  }

  #member(object: Record<string, unknown>): void {
    const bytes = this.#bytes;
    const from = this.#at + lengthBytes(bytes[this.#at] as number);
    const to = from + readLength(bytes, this.#at);
    this.#at = to;
    const key = readKey(bytes, from, to);
    const value = this.#variant();
    if (key !== "") setMember(object, key, value);
  }

  #array(tag: number, context: number): object {
    const bytes = this.#bytes;
    const hasClass = tag === TAG.ARRAY || context === IN_VARIANT;
    let elements = hasClass ? readClass(bytes, this.#at + 1) : context === IN_OBJECTS ? CLASS_VARIANTS : context;
    this.#at += hasClass ? 2 + (bytes[this.#at + 1] as number) : 1;
    const type = bytes[this.#at++] as number;
    const count = this.#count();
    if (elements === CLASS_VARIANTS) elements = classOfElementType(type, count);
    if (elements === CLASS_BYTES && (context < 0 || context === CLASS_BYTES)) return this.#byteArray(count);
    const list: unknown[] = [];
    this.#add(list);
    if (elements >= CLASS_VARIANTS) {
      if (count > 0) this.#open(undefined, list, elements, count);
    } else for (let left = count; left > 0; left--) list.push(this.#element(elements));
    return list;
  }

  #byteArray(count: number): Buffer {
    const buffer = Buffer.from(this.#bytes.subarray(this.#at, this.#at + count));
    this.#add(buffer);
    this.#at += count;
    return buffer;
  }

  #element(code: number): unknown {
    if (code === CLASS_VARIANTS) return this.#variant();
    if (code === CLASS_STRINGS) return this.#text(this.#at - 1);
    if (code === CLASS_OBJECTS) return this.#object(IN_OBJECTS);
    if (code >= 2 * DIMENSION || code === DIMENSION + BASE_COLLECTION) return this.#object(code - DIMENSION);
    return this.#fixed(code - DIMENSION);
  }
}

/** `__proto__` is a key like any other. */
function setMember(object: Record<string, unknown>, key: string, value: unknown): void {
  if (key !== "__proto__") object[key] = value;
  else Object.defineProperty(object, key, { value, writable: true, enumerable: true, configurable: true });
}

function tooDeep(at: number): SessionError {
  return new SessionError("ERR_UNREADABLE", `The value at byte ${at} is nested more than ${MAX_DEPTH} levels deep.`);
}

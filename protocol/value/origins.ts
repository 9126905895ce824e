// Where in which bytes each decoded object is stored: the encoder finds its exact types there, and the bytes of unchanged members.
// Remembering is cheap: bytes are scanned again only for an object that did change and has to be encoded.

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
import { endOfScalar, endOfString, endOfValue, newScan, ObjectTable } from "./scan.ts";
import { readKey } from "./text.ts";

/** One decoding: which bytes, and the objects they gave. */
interface Decoding {
  readonly bytes: Buffer;
  readonly at: number;
  /** By number; index 0 is unused. */
  readonly objects: readonly (object | undefined)[];
  readonly loose: readonly object[];
  readonly looseAts: readonly number[];
  /** Given when the bytes were scanned already. */
  readonly table?: ObjectTable;
}

/** Where something is stored: object `number` of a table, or (number 0) a value without a number at `at`. */
export interface Origin {
  readonly table: ObjectTable;
  readonly number: number;
  readonly at: number;
}

/** The origins of the objects that one handle hands out. Holds the objects strongly, so it must not outlive the handle. */
export class Origins {
  readonly #waiting: Decoding[] = [];
  /** Made when the first origin is asked for. */
  #known: Map<object, Origin> | undefined;

  remember(decoding: Decoding): void {
    if (decoding.objects.length > 1 || decoding.loose.length > 0) this.#waiting.push(decoding);
  }

  /** Where `object` was read from, when one of the remembered decodings made it. */
  originOf(object: object): Origin | undefined {
    for (let decoding = this.#waiting.pop(); decoding !== undefined; decoding = this.#waiting.pop())
      this.#index(decoding);
    return this.#known?.get(object);
  }

  #index(decoding: Decoding): void {
    this.#known ??= new Map();
    const table = decoding.table ?? tableOfValue(decoding.bytes, decoding.at);
    for (const [number, object] of decoding.objects.entries()) {
      if (object !== undefined) this.#known.set(object, { table, number, at: table.starts[number] as number });
    }
    for (const [index, object] of decoding.loose.entries()) {
      this.#known.set(object, { table, number: 0, at: decoding.looseAts[index] as number });
    }
  }
}

/** The table of the self-contained value at `at`. */
export function tableOfValue(bytes: Buffer, at: number): ObjectTable {
  const table = new ObjectTable(bytes);
  endOfValue(bytes, at, { ...newScan(), table });
  return table;
}

/** The shallow view of one stored object: where its members are. Made only when the object has changed and is written again. */
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

  /** The member at `index`; its payload is at `origin.at + 1` when it has no number. */
  originAt(index: number): Origin | undefined {
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

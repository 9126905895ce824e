// Remembers from where in which bytes each decoded object came, so that encoding it again finds its exact types. Cheap to fill: the
// bytes are scanned again only when something did change and has to be encoded.

import { endOfValue, newScan, ObjectTable } from "./scan.ts";

/** One decoding: which bytes, and the objects they gave. */
export interface Decoding {
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
export interface Place {
  readonly table: ObjectTable;
  readonly number: number;
  readonly at: number;
}

/** Belongs to whoever hands out the objects, and lives as long as they do. Holds them strongly. */
export class Origins {
  readonly #waiting: Decoding[] = [];
  /** Made when somebody asks. */
  #places: Map<object, Place> | undefined;

  remember(decoding: Decoding): void {
    if (decoding.objects.length > 1 || decoding.loose.length > 0) this.#waiting.push(decoding);
  }

  /** Where `object` was read from, when one of the remembered decodings made it. */
  placeOf(object: object): Place | undefined {
    for (let decoding = this.#waiting.pop(); decoding !== undefined; decoding = this.#waiting.pop())
      this.#index(decoding);
    return this.#places?.get(object);
  }

  #index(decoding: Decoding): void {
    this.#places ??= new Map();
    const table = decoding.table ?? tableOf(decoding.bytes, decoding.at);
    for (const [number, object] of decoding.objects.entries()) {
      if (object !== undefined) this.#places.set(object, { table, number, at: table.starts[number] as number });
    }
    for (const [index, object] of decoding.loose.entries()) {
      this.#places.set(object, { table, number: 0, at: decoding.looseAts[index] as number });
    }
  }
}

/** The table of the self-contained value at `at`. */
export function tableOf(bytes: Buffer, at: number): ObjectTable {
  const table = new ObjectTable(bytes);
  endOfValue(bytes, at, { ...newScan(), table });
  return table;
}

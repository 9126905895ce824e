// Single values out of an image, as bytes that stand alone or as JavaScript values; and an image made of values that stand alone, each in a row of its
// own, as a database keeps them: in a row references count from the value itself, and each value has the dialect of the program that put it there.
// Knows nothing of changing an image.

import { SessionError } from "../errors.ts";
import { Decoder, decodeValue } from "../value/decode.ts";
import { lengthBytes, NEWER_STEP, nameOfClass, TAG } from "../value/format.ts";
import type { Origins } from "../value/origins.ts";
import { borrowOutput, returnOutput } from "../value/output.ts";
import { endOfValue, newScan, ObjectTable, type Scan, typeOfValue } from "../value/scan.ts";
import { keyBytes } from "../value/text.ts";
import { type Dialect, setDialect, Turning } from "./dialect.ts";
import { bodyStartOf, EntryReader, writeBodyStart } from "./entries.ts";
import { firstObjectFrom, GraphWriter, ROOT_ALONE, type Source } from "./graph.ts";
import { type Days, readDaysOf, writeDays } from "./header.ts";
import { type Layout, layoutOf } from "./layout.ts";

interface DecodedEntry {
  /** undefined when it cannot be shown; `error` says why. */
  readonly value: unknown;
  /** The self-contained bytes. */
  readonly baseline: Buffer;
  readonly error?: SessionError;
}

/** The tables of images with references, which take a second scan to find. Each lives as long as its layout. */
const TABLES = new WeakMap<Layout, ObjectTable>();

/** Where all objects of an image are; the root is object 1. */
function tableOfImage(image: Buffer): ObjectTable {
  const table = new ObjectTable(image);
  table.addRoot();
  const reader = new EntryReader(image, { ...newScan(1), table });
  while (reader.next());
  return table;
}

function tableOfLayout(image: Buffer, layout: Layout): ObjectTable {
  let table = TABLES.get(layout);
  if (table === undefined || table.bytes !== image) {
    table = tableOfImage(image);
    TABLES.set(layout, table);
  }
  return table;
}

/**
 * The bytes of an entry as a self-contained value; a view of the image where it has no references. A reference to the whole session
 * becomes one to object 0: such bytes can be compared, but nothing reads them.
 */
export function valueBytesOf(image: Buffer, layout: Layout, key: string): Buffer | undefined {
  const entry = layout.entries.get(key);
  if (entry === undefined) return undefined;
  const isPlain = !layout.hasReferences || (image[entry.valueStart] as number) < TAG.REFERENCE;
  if (isPlain) return image.subarray(entry.valueStart, entry.valueEnd);
  return aloneOf({ table: tableOfLayout(image, layout), base: 0, hasRoot: true }, entry.valueStart, entry.valueEnd)
    .bytes;
}

/** A value of an image standing alone, and the ids of its objects by its own numbers. */
export function aloneOf(source: Source, at: number, end: number): { bytes: Buffer; order: readonly number[] } {
  const out = borrowOutput();
  try {
    const writer = new GraphWriter(out, ROOT_ALONE);
    writer.write({ source, at, end });
    return { bytes: out.slice(0), order: writer.order };
  } finally {
    returnOutput(out);
  }
}

/** The Gambas type of an entry. */
export function typeOf(image: Buffer, layout: Layout, key: string): string | undefined {
  const entry = layout.entries.get(key);
  if (entry === undefined) return undefined;
  if (image[entry.valueStart] !== TAG.REFERENCE) return typeOfValue(image, entry.valueStart);
  const number = image.readInt32LE(entry.valueStart + 1);
  return nameOfClass(tableOfLayout(image, layout).classes[number] as number);
}

/** Every entry decoded. An object that is stored once is one object, within a key and across keys. */
export function decodeAll(image: Buffer, layout: Layout, origins: Origins): Map<string, DecodedEntry> {
  return layout.hasReferences ? decodeShared(image, layout, origins) : decodeApart(image, layout, origins);
}

function decodeApart(image: Buffer, layout: Layout, origins: Origins): Map<string, DecodedEntry> {
  const decoded = new Map<string, DecodedEntry>();
  for (const { key, valueStart, valueEnd } of layout.entries.values()) {
    const baseline = image.subarray(valueStart, valueEnd);
    decoded.set(
      key,
      attempt(baseline, () => decodeValue(baseline, 0, origins)),
    );
  }
  return decoded;
}

function decodeShared(image: Buffer, layout: Layout, origins: Origins): Map<string, DecodedEntry> {
  const table = tableOfLayout(image, layout);
  const decoder = new Decoder(image, table);
  const decoded = new Map<string, DecodedEntry>();
  for (const { key, valueStart } of layout.entries.values()) {
    const baseline = valueBytesOf(image, layout, key) as Buffer;
    const next = firstObjectFrom(table, valueStart);
    decoded.set(
      key,
      attempt(baseline, () => decoder.decode(valueStart, next)),
    );
  }
  const { objects, loose, looseAts } = decoder;
  origins.remember({ bytes: image, at: 0, objects, loose, looseAts, table });
  return decoded;
}

function attempt(baseline: Buffer, decode: () => unknown): DecodedEntry {
  try {
    return { value: decode(), baseline };
  } catch (error) {
    if (!(error instanceof SessionError)) throw error;
    return { value: undefined, baseline, error };
  }
}

// -- rows

export interface Row {
  /** Bytes of the key. */
  readonly key: Buffer;
  /** As a program has put it there. */
  readonly value: Buffer;
}

export interface Rows extends Days {
  readonly cookiePath: Buffer;
  /** In their order, no key twice. */
  readonly values: readonly Row[];
}

/**
 * The image of rows. A value whose bytes no version of Gambas reads is there as one that says so, with its bytes. A row without a key or a value
 * is left out, and what follows a complete value is dropped, as by Gambas.
 */
export function imageOfRows({ startup, timeout, cookiePath, values }: Rows): Buffer {
  const scan = newScan(1);
  const chunks: Buffer[] = [];
  let count = 0;
  for (const { key, value } of values) {
    if (key.length === 0 || value[0] === TAG.NULL || value[0] === TAG.NULL_OBJECT) continue;
    chunks.push(lengthOf(key.length), key, ...valueInImage(value, scan));
    count += 1;
  }
  chunks.push(lengthOf(cookiePath.length), cookiePath);
  const start = Buffer.alloc(bodyStartOf(count));
  writeBodyStart(start, count, TAG.COLLECTION);
  writeDays(start, { startup, timeout });
  return Buffer.concat([start, ...chunks]);
}

function lengthOf(length: number): Buffer {
  if (length < 0x80) return Buffer.of(length);
  const bytes = Buffer.alloc(length < 0x4000 ? 2 : 4);
  if (length < 0x4000) bytes.writeUInt16BE(length | 0x8000);
  else bytes.writeUInt32BE(length + 0xc000_0000);
  return bytes;
}

/** @param scan counts the objects in front of it. */
function valueInImage(stored: Buffer, scan: Scan): readonly Buffer[] {
  const before = scan.objects;
  // Turning changes it in place, and may come to its end half way.
  const value = Buffer.from(stored);
  scan.dialect = new Turning(false, before);
  try {
    return [value.subarray(0, endOfValue(value, 0, scan))];
  } catch (error) {
    if (!(error instanceof SessionError)) throw error;
    scan.objects = before;
    scan.classes?.splice(before);
    return [Buffer.of(TAG.DAMAGED), lengthOf(stored.length), stored];
  }
}

/**
 * The bytes to be stored for the value of an entry. Without a reference all versions read it in the older dialect.
 *
 * @param dialect asked for a value with a reference.
 */
export function storedValue(value: Buffer, dialect: () => Dialect): Buffer {
  if (value[0] === TAG.DAMAGED) return value.subarray(1 + lengthBytes(value[1] as number));
  const scan = newScan();
  endOfValue(value, 0, scan);
  if (!scan.hasReferences || dialect() === "3.18") return value;
  const starts: number[] = [];
  endOfValue(value, 0, { ...newScan(), starts });
  const newer = Buffer.from(value);
  for (const at of starts) newer[at] = (newer[at] as number) + NEWER_STEP;
  return newer;
}

// -- from one form into the other

/**
 * The image that the rows of these contents make: each key has objects of its own.
 *
 * @throws SessionError ERR_UNREADABLE for a value that refers to the session as a whole, which a row cannot.
 */
export function imageByRows(image: Buffer): Buffer {
  const layout = layoutOf(image);
  const values = layout.entries.keys().map((key) => ({ key: keyBytes(key), value: valueForRow(image, layout, key) }));
  const cookiePath = layout.cookiePath === "" ? Buffer.of() : keyBytes(layout.cookiePath);
  return imageOfRows({ ...readDaysOf(image), cookiePath, values });
}

function valueForRow(image: Buffer, layout: Layout, key: string): Buffer {
  try {
    return storedValue(valueBytesOf(image, layout, key) as Buffer, () => "3.18");
  } catch (error) {
    if (!(error instanceof SessionError)) throw error;
    const what = `The value of ${JSON.stringify(key)} refers to the whole session, which a value in a row of its own cannot.`;
    throw new SessionError("ERR_UNREADABLE", what, { cause: error });
  }
}

/** The image of a file in this dialect, where it makes a difference: for contents that come from where each value has one of its own. */
export function imageInDialect(image: Buffer, dialect: () => Dialect): Buffer {
  if (!layoutOf(image).hasReferences) return image;
  const copy = Buffer.from(image);
  setDialect(copy, dialect());
  return copy;
}

/** The first key whose value no version of Gambas reads; undefined: there is none, as in every file. */
export function damagedKeyIn(image: Buffer): string | undefined {
  return layoutOf(image)
    .entries.values()
    .find(({ valueStart }) => image[valueStart] === TAG.DAMAGED)?.key;
}

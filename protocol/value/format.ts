// The vocabulary of the Gambas serialisation: type tags, array classes as small integers, lengths. Knows nothing of JavaScript values.

import { SessionError } from "../errors.ts";
import { readName } from "./text.ts";

export const TAG = {
  NULL_OBJECT: 0x00,
  BOOLEAN: 0x01,
  BYTE: 0x02,
  SHORT: 0x03,
  INTEGER: 0x04,
  LONG: 0x05,
  SINGLE: 0x06,
  FLOAT: 0x07,
  DATE: 0x08,
  STRING: 0x09,
  /** Read like STRING, never written. */
  CONSTANT_STRING: 0x0a,
  POINTER: 0x0b,
  /** Element type of Variant[]; never the tag of a value. */
  VARIANT: 0x0c,
  NULL: 0x0f,
  /** In images alone, and as the value of an entry: a length and bytes follow that no version of Gambas reads. Whoever wants the value is told so. */
  DAMAGED: 0x3f,
  /** Element type of arrays of objects; never the tag of a value. */
  OBJECT: 0x10,
  REFERENCE: 0x40,
  TYPED_ARRAY: 0x41,
  COLLECTION: 0x43,
  ARRAY: 0x61,
  /** A collection that ignores case: read, never written. */
  FOLDING_COLLECTION: 0x63,
} as const;

/**
 * Gambas 3.19 and later write the four tags of objects one higher: B, D, b, d for A, C, a, c (GAMBAS.md 3.14). Only files have them:
 * the dialect of an image (image/dialect.ts) brings values into the older form, and nothing else meets another one.
 */
export const NEWER_STEP = 1;

/** A collection, an array or a reference begins here, not a scalar (GAMBAS.md 3.4). */
export function isObjectTag(tag: number | undefined): boolean {
  return tag !== undefined && tag >= TAG.REFERENCE;
}

/** D or d, B or b. */
export function isNewerTag(tag: number | undefined): boolean {
  return tag === 0x44 || tag === 0x62 || tag === 0x42 || tag === 0x64;
}

/** C or c, in either dialect. */
export function isCollectionOfEither(tag: number | undefined): boolean {
  return tag === TAG.COLLECTION || tag === 0x44 || tag === TAG.FOLDING_COLLECTION || tag === 0x64;
}

/**
 * A class is one integer: 16 x dimensions + base. The bases of scalars are their tags, so `String[]` is 0x19, `Integer[][]` is
 * 0x24 and the class of the elements of any array class is `class - 16`. A class without dimensions is that of an element.
 */
export const BASE_COLLECTION = 0x0d;
export const BASE_OBJECT = 0x0e;
export const DIMENSION = 0x10;
export const CLASS_BYTES = DIMENSION + TAG.BYTE;
export const CLASS_STRINGS = DIMENSION + TAG.STRING;
export const CLASS_VARIANTS = DIMENSION + TAG.VARIANT;
export const CLASS_OBJECTS = DIMENSION + BASE_OBJECT;

/** Longest string, key, count: 30 bits. */
export const MAX_LENGTH = 2 ** 30 - 1;
/** Deepest nesting that is decoded and encoded. Gambas recurses; it was seen to handle 2 000 levels and to crash at 200 000. */
export const MAX_DEPTH = 2100;
/** A class name is preceded by one byte below 0x80, so `Integer` can carry 60 pairs of brackets. */
const MAX_CLASS_NAME = 127;

const BASE_NAMES: readonly (string | undefined)[] = [
  undefined,
  "Boolean",
  "Byte",
  "Short",
  "Integer",
  "Long",
  "Single",
  "Float",
  "Date",
  "String",
  undefined,
  "Pointer",
  "Variant",
  "Collection",
  "Object",
  undefined,
];

/** Bytes of an element that has a fixed size, by base; 0 for the others. */
export const ELEMENT_BYTES: readonly number[] = [0, 1, 1, 2, 4, 8, 4, 8, 8, 0, 0, 8, 0, 0, 0, 0];

const BASES = new Map<string, number>();
for (const [base, name] of BASE_NAMES.entries()) if (name !== undefined) BASES.set(name.toLowerCase(), base);

/** The names met in practice, so that reading one costs one lookup. A constant: filled here, so input cannot make it grow. */
const KNOWN_CLASSES = new Map<string, number>();
for (const [base, name] of BASE_NAMES.entries()) {
  if (name === undefined) continue;
  for (let dimensions = 1; dimensions <= 3; dimensions++) {
    KNOWN_CLASSES.set(name + "[]".repeat(dimensions), dimensions * DIMENSION + base);
  }
}

/** `Integer[][]` for 0x24; a class without dimensions gives the name of its base. */
export function nameOfClass(code: number): string {
  return `${BASE_NAMES[code & 15] ?? "Object"}${"[]".repeat(code >> 4)}`;
}

/** The class of an array by its name in any case, 0 when 3.18 could not load it. */
export function classOfName(name: string): number {
  const known = KNOWN_CLASSES.get(name);
  if (known !== undefined) return known;
  if (name.length > MAX_CLASS_NAME) return 0;
  const parts = /^([a-z]+)((?:\[\])+)$/.exec(name.toLowerCase());
  const base = parts === null ? undefined : BASES.get(parts[1] ?? "");
  return base === undefined ? 0 : ((parts?.[2]?.length ?? 0) / 2) * DIMENSION + base;
}

/** The byte Gambas writes between the class and the count. */
export function elementTypeOf(code: number): number {
  return code >= 2 * DIMENSION || (code & 15) >= BASE_COLLECTION ? TAG.OBJECT : code & 15;
}

/**
 * What 3.18 makes of an element type byte where the class is `Variant[]` or left open: the class whose elements follow.
 * 0 where it crashes, or reads elements it then throws away. `count` matters since an empty array needs no readable element type.
 */
export function classOfElementType(type: number, count: number): number {
  if (type === TAG.OBJECT) return CLASS_OBJECTS;
  if (type >= TAG.BOOLEAN && type <= TAG.VARIANT && type !== TAG.CONSTANT_STRING) return DIMENSION + type;
  const isHarmlessWhenEmpty = type === 0x00 || type === 0x0a || type === 0x0d || type === 0x0f;
  return isHarmlessWhenEmpty && count === 0 ? CLASS_VARIANTS : 0;
}

/** A tag as GAMBAS.md names it. */
export function tagName(tag: number): string {
  return `0x${tag.toString(16).padStart(2, "0")}`;
}

export function unreadable(at: number, reason: string): SessionError {
  return new SessionError("ERR_UNREADABLE", `Unreadable value at byte ${at}: ${reason}.`);
}

/** Bytes a length occupies, told by its first byte. */
export function lengthBytes(first: number): number {
  return first < 0x80 ? 1 : first < 0xc0 ? 2 : 4;
}

/** The length at `at`. The caller skips `lengthBytes(bytes[at])`. */
export function readLength(bytes: Buffer, at: number): number {
  const first = bytes[at];
  if (first === undefined) throw unreadable(at, "end of file in a length");
  if (first < 0x80) return first;
  const size = first < 0xc0 ? 2 : 4;
  if (at + size > bytes.length) throw unreadable(at, "end of file in a length");
  return size === 2 ? bytes.readUInt16BE(at) & 0x3fff : bytes.readUInt32BE(at) & 0x3fffffff;
}

/** The class of the array whose class name begins at `at` (after its tag). The caller skips `1 + bytes[at]`. */
export function readClass(bytes: Buffer, at: number): number {
  const length = bytes[at];
  if (length === undefined || at + 1 + length > bytes.length) throw unreadable(at, "end of file in a class name");
  if (length > MAX_CLASS_NAME) throw unreadable(at, "cannot load a class with so long a name");
  const name = readName(bytes, at + 1, at + 1 + length) ?? bytes.toString("latin1", at + 1, at + 1 + length);
  // The interpreter looks the name up as a C string.
  const code = KNOWN_CLASSES.get(name) ?? classOfName(name.split("\0", 1)[0] ?? "");
  if (code === 0) throw unreadable(at, `cannot load class ${JSON.stringify(name)}`);
  return code;
}

// Scalars: reads them from stored bytes, tells whether stored bytes still mean a given value, and writes them with their tags. A value that
// cannot be stored is returned as a problem in words; the caller knows its path.

import { SessionError } from "../errors.ts";
import { fitsScalar, isInt32, isLongBigint } from "./fit.ts";
import { ELEMENT_BYTES, lengthBytes, readLength, TAG, unreadable } from "./format.ts";
import { describe, isBytes, isDate } from "./kind.ts";
import type { Output } from "./output.ts";
import { endOfScalar } from "./scan.ts";
import { readUtf8 } from "./text.ts";

const DAY_MS = 86_400_000;
/** 1970-01-01 in the day count of Gambas. */
export const EPOCH_DAY = 2_472_692;
const MAX_DATE_MS = 8.64e15;
/** Longest string V8 can hold, with room to spare. */
const MAX_TEXT = 2 ** 29 - 32;
const LONE_SURROGATES = "a string with lone surrogates, which UTF-8 cannot hold";

/** A Long or Pointer: a number when that is exact, else a bigint. */
function readLong(bytes: Buffer, at: number): number | bigint {
  const value = bytes.readInt32LE(at + 4) * 0x1_0000_0000 + bytes.readUInt32LE(at);
  return Number.isSafeInteger(value) ? value : bytes.readBigInt64LE(at);
}

/** A Date; `null` for the null date. Pairs beyond the day are normalised; beyond what a Date can hold: ERR_UNREADABLE. */
export function readDate(bytes: Buffer, at: number): Date | null {
  const time = readTime(bytes, at);
  if (Math.abs(time) > MAX_DATE_MS) throw unreadable(at, "a date that JavaScript cannot hold");
  return bytes.readInt32LE(at) === 0 && bytes.readInt32LE(at + 4) === 0 ? null : new Date(time);
}

function readTime(bytes: Buffer, at: number): number {
  return (bytes.readInt32LE(at) - EPOCH_DAY) * DAY_MS + bytes.readInt32LE(at + 4);
}

/** Whether writing the Date would give this very pair. Such a Date keeps its bytes when it is moved, without being remembered. */
export function isRegularDate(bytes: Buffer, at: number): boolean {
  const msec = bytes.readInt32LE(at + 4);
  return msec >= 0 && msec < DAY_MS;
}

function dayOf(timeMs: number): number {
  return Math.floor(timeMs / DAY_MS) + EPOCH_DAY;
}

function msecOf(timeMs: number): number {
  return timeMs - Math.floor(timeMs / DAY_MS) * DAY_MS;
}

/** The string in `bytes[from..to)`; a Buffer of its own where that is not UTF-8. */
export function readText(bytes: Buffer, from: number, to: number): string | Buffer {
  if (to - from > MAX_TEXT) throw unreadable(from, "a string that JavaScript cannot hold");
  return readUtf8(bytes, from, to) ?? Buffer.from(bytes.subarray(from, to));
}

/** The value of a scalar of a fixed size; `at` is after the tag. */
export function readFixed(tag: number, bytes: Buffer, at: number): unknown {
  switch (tag) {
    case TAG.BOOLEAN:
      return bytes[at] !== 0;
    case TAG.BYTE:
      return bytes[at];
    case TAG.SHORT:
      return bytes.readInt16LE(at);
    case TAG.INTEGER:
      return bytes.readInt32LE(at);
    case TAG.SINGLE:
      return bytes.readFloatLE(at);
    case TAG.FLOAT:
      return bytes.readDoubleLE(at);
    case TAG.DATE:
      return readDate(bytes, at);
    case TAG.DAMAGED:
      throw new SessionError("ERR_UNREADABLE", "The stored value is damaged: its bytes are no value of Gambas.");
    default:
      return readLong(bytes, at);
  }
}

/** Whether the stored scalar of a fixed size still means exactly `value`. */
export function isSameFixed(tag: number, value: unknown, bytes: Buffer, at: number): boolean {
  if (tag !== TAG.DATE) return Object.is(readFixed(tag, bytes, at), value);
  const isNullDate = bytes.readInt32LE(at) === 0 && bytes.readInt32LE(at + 4) === 0;
  if (value === null || isNullDate) return value === null && isNullDate;
  return isDate(value) && value.getTime() === readTime(bytes, at);
}

/** Whether the stored string `bytes[from..to)` still means exactly `value`: the same text, or the same bytes where there is no text. */
export function isSameText(value: unknown, bytes: Buffer, from: number, to: number): boolean {
  if (typeof value === "string") return isSameString(value, bytes, from, to);
  if (!Buffer.isBuffer(value) || !isBytes(value) || value.length !== to - from) return false;
  return bytes.compare(value, 0, value.length, from, to) === 0 && readUtf8(bytes, from, to) === undefined;
}

/** Most text is ASCII and short: compared in place, it need not be decoded. */
function isSameString(value: string, bytes: Buffer, from: number, to: number): boolean {
  const { length } = value;
  if (length > to - from) return false;
  for (let at = 0; at < length; at++) {
    const code = value.charCodeAt(at);
    if (code >= 0x80) return value === readUtf8(bytes, from, to);
    if (code !== bytes[from + at]) return false;
  }
  return length === to - from;
}

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

/**
 * Writes a scalar with its tag: the stored bytes where they still mean the value, else the stored type where that holds it exactly.
 * Returns what is wrong with the value, or undefined.
 */
export function writeScalar(out: Output, value: unknown, stored: Buffer | undefined, at: number): string | undefined {
  if (stored !== undefined && (stored[at] as number) <= TAG.NULL) {
    if (isSameScalar(value, stored, at)) {
      out.copy(stored, at, endOfScalar(stored, at));
      return undefined;
    }
    return writeTagged(out, value, tagFor(value, stored[at] as number, false));
  }
  return writeTagged(out, value, tagFor(value, TAG.NULL, false));
}

function writeTagged(out: Output, value: unknown, tag: number): string | undefined {
  if (tag < 0) return typeof value === "bigint" ? "a bigint beyond 64 bits" : describe(value);
  out.byte(tag);
  return tag === TAG.NULL ? undefined : writePayload(out, tag, value);
}

/** The tag a scalar gets: `kept` where that holds it exactly, else its own; -1 where there is none. */
export function tagFor(value: unknown, kept: number, isForced: boolean): number {
  if (kept !== TAG.NULL && fitsScalar(kept, value, isForced)) return kept;
  switch (typeof value) {
    case "number":
      return isInt32(value) ? TAG.INTEGER : Number.isSafeInteger(value) && value !== 0 ? TAG.LONG : TAG.FLOAT;
    case "string":
      return TAG.STRING;
    case "boolean":
      return TAG.BOOLEAN;
    case "bigint":
      return isLongBigint(value) ? TAG.LONG : -1;
    default:
      return value === null ? TAG.NULL : -1;
  }
}

/** The bytes after the tag of a value that fits `base`. Returns what is wrong with the value, or undefined. */
export function writePayload(out: Output, base: number, value: unknown): string | undefined {
  if (base === TAG.STRING) return writeString(out, value as string | Uint8Array);
  if (base === TAG.DATE) return writeDate(out, value as Date | null);
  const at = out.take(ELEMENT_BYTES[base] as number);
  switch (base) {
    case TAG.BOOLEAN:
      out.bytes[at] = value === true ? 0xff : 0;
      break;
    case TAG.BYTE:
      out.bytes[at] = Number(value);
      break;
    case TAG.SHORT:
      out.bytes.writeInt16LE(Number(value), at);
      break;
    case TAG.INTEGER:
      out.bytes.writeInt32LE(Number(value), at);
      break;
    case TAG.SINGLE:
      out.bytes.writeFloatLE(Number(value), at);
      break;
    case TAG.FLOAT:
      out.bytes.writeDoubleLE(Number(value), at);
      break;
    default:
      out.bytes.writeBigInt64LE(BigInt(value as number | bigint), at);
  }
  return undefined;
}

function writeString(out: Output, value: string | Uint8Array): string | undefined {
  if (typeof value === "string") {
    if (!value.isWellFormed()) return LONE_SURROGATES;
    return out.text(value) ? undefined : "too long";
  }
  if (!out.count(value.length)) return "too long";
  out.copy(value, 0, value.length);
  return undefined;
}

function writeDate(out: Output, value: Date | null): string | undefined {
  const time = value?.getTime() ?? 0;
  if (Number.isNaN(time)) return "an invalid Date";
  const day = value === null ? 0 : dayOf(time);
  const msec = value === null ? 0 : msecOf(time);
  if (value !== null && day === 0 && msec === 0) return "the Date that Gambas takes for its null date";
  out.int32(day);
  out.int32(msec);
  return undefined;
}

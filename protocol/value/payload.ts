// The bytes of scalars without their tag: what a stored one means in JavaScript, and whether it still means a given value.

import { TAG, unreadable } from "./format.ts";
import { isBytes, isDate } from "./kind.ts";
import { readUtf8 } from "./text.ts";

const DAY_MS = 86_400_000;
/** 1970-01-01 in the day count of Gambas. */
export const EPOCH_DAY = 2_472_692;
const MAX_DATE_MS = 8.64e15;
/** Longest string V8 can hold, with room to spare. */
const MAX_TEXT = 2 ** 29 - 32;

/** A Long or Pointer: a number when that is exact, else a bigint. */
export function readLong(bytes: Buffer, at: number): number | bigint {
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

/** Whether the pair is one that a Date gives when it is written, so that a moved Date keeps its bytes without being remembered. */
export function isRegularDate(bytes: Buffer, at: number): boolean {
  const msec = bytes.readInt32LE(at + 4);
  return msec >= 0 && msec < DAY_MS;
}

export function dayOf(timeMs: number): number {
  return Math.floor(timeMs / DAY_MS) + EPOCH_DAY;
}

export function msecOf(timeMs: number): number {
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

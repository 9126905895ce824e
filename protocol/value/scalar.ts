// Writes scalars: which tag a JavaScript value gets, and its bytes. Problems come back as text; the caller knows the path.

import { fitsScalar, isInt32, isLongBigint } from "./fit.ts";
import { ELEMENT_BYTES, TAG } from "./format.ts";
import { describe } from "./kind.ts";
import { isSameScalar } from "./match.ts";
import type { Output } from "./output.ts";
import { dayOf, msecOf } from "./payload.ts";
import { endOfScalar } from "./scan.ts";

const LONE_SURROGATES = "a string with lone surrogates, which UTF-8 cannot hold";

/**
 * Writes a scalar with its tag: the stored bytes where they still mean it, the stored type where that holds it exactly.
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

// JavaScript values to Gambas bytes: the way in. What did not change at all is answered with the stored bytes themselves.

import { isSessionError } from "../errors.ts";
import { Encoder } from "./encoder.ts";
import { TAG } from "./format.ts";
import { matchValue } from "./match.ts";
import { type Origins, type Place, tableOf } from "./origins.ts";
import { borrowOutput, type Output, returnOutput } from "./output.ts";
import { badValue } from "./path.ts";
import { writeScalar } from "./scalar.ts";

export interface Encoded {
  readonly bytes: Buffer;
  /** The JavaScript objects by their number: objects[0] is object 1 of this value. */
  readonly objects: readonly object[];
  /** Decoding the bytes gives a value of exactly this shape. False once a Map, a typed array, typed() and the like were converted. */
  readonly isCanonical: boolean;
}

/** The stored value that is being overwritten. Its bytes must have been scanned before. */
export interface PreviousValue {
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
    // Where the value itself came from says more than what stands in its place.
    encoder.encode(value, origins?.placeOf(value) === undefined ? placeOf(previous) : undefined);
    return { bytes: out.slice(0), objects: encoder.objects, isCanonical: encoder.isCanonical };
  } finally {
    returnOutput(out);
  }
}

/** All of the bytes are themselves: whoever compares them with what they were need not look at them. */
function pieceOf(bytes: Buffer, at: number, end: number): Buffer {
  return at === 0 && end === bytes.length ? bytes : bytes.subarray(at, end);
}

function encodeScalar(out: Output, value: unknown, path: string, previous: PreviousValue | undefined): Encoded {
  const problem = writeScalar(out, value, previous?.bytes, previous?.at ?? 0);
  if (problem !== undefined) throw badValue(path, problem);
  const isCanonical = typeof value !== "bigint" || !Number.isSafeInteger(Number(value));
  return { bytes: out.slice(0), objects: NO_OBJECTS, isCanonical };
}

/** Bytes that cannot be read by themselves, such as an entry that refers to the whole session, are no guide. */
function placeOf(previous: PreviousValue | undefined): Place | undefined {
  if (previous === undefined) return undefined;
  try {
    const table = tableOf(previous.bytes, previous.at);
    return { table, number: table.starts.length > 1 ? 1 : 0, at: previous.at };
  } catch (error) {
    if (isSessionError(error, "ERR_UNREADABLE")) return undefined;
    throw error;
  }
}

// A delta is what one worker changed: a body of entries, in which the single byte 00 as value deletes the key. Its values are
// self-contained. Knows nothing of the image it will be put into.

import { SessionError } from "../errors.ts";
import { lengthBytes, readLength, TAG } from "../value/format.ts";
import { borrowOutput, returnOutput, writeKey } from "../value/output.ts";
import { endOfString, endOfValue, newScan } from "../value/scan.ts";
import { readKey } from "../value/text.ts";
import type { Dialect } from "./dialect.ts";

const NONE_MOVED: ReadonlySet<string> = new Set();

/** The bytes of the changes; undefined deletes. Keys that `moved` has are deleted before they are set, which puts them at the end. */
export function encodeDelta(
  changes: Iterable<readonly [string, Buffer | undefined]>,
  moved: ReadonlySet<string> = NONE_MOVED,
): Buffer {
  const list = moved.size === 0 ? [...changes] : [...withDeletions(changes, moved)];
  const out = borrowOutput();
  try {
    out.byte(TAG.COLLECTION);
    out.count(list.length);
    for (const [key, value] of list) {
      writeKey(out, key);
      if (value === undefined) out.byte(TAG.NULL_OBJECT);
      else out.copy(value, 0, value.length);
    }
    return out.slice(0);
  } finally {
    returnOutput(out);
  }
}

function* withDeletions(
  changes: Iterable<readonly [string, Buffer | undefined]>,
  moved: ReadonlySet<string>,
): Iterable<readonly [string, Buffer | undefined]> {
  for (const change of changes) {
    if (moved.has(change[0]) && change[1] !== undefined) yield [change[0], undefined];
    yield change;
  }
}

/** One change, by where its parts are in the delta. A deletion has no value. */
export interface ChangedEntry {
  /** Where the length of the key stands. */
  readonly start: number;
  readonly keyFrom: number;
  readonly keyTo: number;
  readonly valueAt: number;
  /** The same as `valueAt` for a deletion. */
  readonly valueEnd: number;
}

export interface ParsedDelta {
  readonly entries: readonly ChangedEntry[];
  readonly hasReferences: boolean;
}

/** Objects of two keys that are one object for the worker that changed them. Numbers count within the self-contained value. */
export interface Share {
  readonly key: string;
  readonly object: number;
  readonly otherKey: string;
  readonly otherObject: number;
}

/** A delta, and what else is to be done to the image it is put into. */
export interface Change {
  readonly delta: Buffer;
  /** `parseDelta(delta)`, from a caller that has it already. */
  readonly parsed?: ParsedDelta;
  readonly nowMs: number;
  readonly timeoutSeconds?: number | undefined;
  readonly cookiePath?: string | undefined;
  readonly shares?: readonly Share[] | undefined;
  /** For who decides whether the image may become so large. Default: no limit, as for who only repeats what was decided. */
  readonly maxBytes?: number;
  /** Says in which dialect the file is to be from now on, when this change brings the first reference into it. Default: as it is. */
  readonly dialect?: (() => Dialect) | undefined;
}

/** Finds and checks every change. Throws ERR_PROTOCOL where the frame of the delta is broken, ERR_BAD_VALUE where a value is. */
export function parseDelta(delta: Buffer): ParsedDelta {
  if (delta[0] !== TAG.COLLECTION || delta.length < 2) throw broken("it is no collection");
  let at = 1 + lengthBytes(delta[1] as number);
  if (at > delta.length) throw broken("it ends in its count");
  const count = readLength(delta, 1);
  const entries: ChangedEntry[] = [];
  let hasReferences = false;
  for (let left = count; left > 0; left--) {
    const keyFrom = at + lengthBytes(delta[at] ?? 0);
    const keyTo = endOfKey(delta, at);
    if (keyTo === keyFrom) throw broken("it has an empty key");
    const scan = newScan();
    const end = endOfChange(delta, keyTo, scan);
    hasReferences ||= scan.hasReferences;
    const isDeletion = delta[keyTo] === TAG.NULL_OBJECT || delta[keyTo] === TAG.NULL;
    entries.push({ start: at, keyFrom, keyTo, valueAt: keyTo, valueEnd: isDeletion ? keyTo : end });
    at = end;
  }
  if (at !== delta.length) throw broken("bytes follow its last entry");
  return { entries, hasReferences };
}

function endOfKey(delta: Buffer, at: number): number {
  try {
    return endOfString(delta, at);
  } catch {
    throw broken(`it ends in the key at byte ${at}`);
  }
}

function endOfChange(delta: Buffer, at: number, scan: ReturnType<typeof newScan>): number {
  try {
    return endOfValue(delta, at, scan);
  } catch (cause) {
    if (!(cause instanceof SessionError)) throw cause;
    throw new SessionError("ERR_BAD_VALUE", `A delta holds a value that Gambas could not read: ${cause.message}`, {
      cause,
    });
  }
}

function broken(reason: string): SessionError {
  return new SessionError("ERR_PROTOCOL", `A delta is broken: ${reason}.`);
}

/** The changes one after the other; undefined deletes. The values are views of the delta. */
export function changesOf(delta: Buffer): readonly (readonly [string, Buffer | undefined])[] {
  return parseDelta(delta).entries.map(({ keyFrom, keyTo, valueAt, valueEnd }) => {
    const value = valueAt === valueEnd ? undefined : delta.subarray(valueAt, valueEnd);
    return [readKey(delta, keyFrom, keyTo), value];
  });
}

/** The last change of each key. */
export function splitDelta(delta: Buffer): ReadonlyMap<string, Buffer | undefined> {
  return new Map(changesOf(delta));
}

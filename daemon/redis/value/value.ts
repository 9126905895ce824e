// What Redis holds under a session's key, as bytes: a head, a body, the marks of commits that may be sent again, and what was appended since. One
// value is all there is of a session, so version, lease, contents and marks change in one step or not at all, and are lost together. Knows no Redis
// and no clock.
//
//   0  kind           "S" a session, "T" one that has ended, "R" an id that is kept for a session to come
//   1  7 bytes        by chance, anew with every change: with the kind they are the version. Never a counter: after a failover that lost writes
//                     a counter would come again with other contents
//   8  12 bytes       who holds the lease, or dashes
//  20  13 digits      when that is over, in ms of Redis' clock
//  33  u32            bytes of the body
//  37  u32            bytes of the marks, which come after it
//  41  u32            bytes of the records (records.ts), which come then. What is after them counts for nothing
//  45  u32            bytes of the image with the records in it, or those of the body
//  49  body           S: the image. T: "e", "s" when it goes on under another id, or "d", u16 length, that id, and the value that is to be there.
//                     R: the id of the session that is to go on under this one
//
// The first bytes of an image are its stamp and its life time: they lie at fixed places, where scripts find them, and are the present ones, whatever
// was appended.

import { randomFillSync } from "node:crypto";
import { SessionError } from "../../../protocol/errors.ts";
import { HEADER_BYTES } from "../../../protocol/image/image.ts";
import type { Mark } from "./marks.ts";
import { type Layout, MAX_MARKS, mayAppend, recordOf, withRecords } from "./records.ts";

export { isMarked, type Mark, withMark } from "./marks.ts";
export { mayAppend } from "./records.ts";

export const VERSION_BYTES = 8;
const HOLDER_AT: number = VERSION_BYTES;
export const HOLDER_BYTES = 12;
const DEADLINE_AT: number = HOLDER_AT + HOLDER_BYTES;
const DEADLINE_BYTES = 13;
/** Of the lengths: body, marks, records, image. */
export const LENGTHS_AT: number = DEADLINE_AT + DEADLINE_BYTES;
const MARKS_LENGTH_AT: number = LENGTHS_AT + 4;
const RECORDS_LENGTH_AT: number = LENGTHS_AT + 8;
const IMAGE_LENGTH_AT: number = LENGTHS_AT + 12;
export const HEAD_BYTES: number = LENGTHS_AT + 16;
/** Head, stamp and life time: what a script answers of a value whose version is known. No value of a session is so short. */
export const SUMMARY_BYTES: number = HEAD_BYTES + HEADER_BYTES;
/** The last bytes of a version, as many as a number holds exactly. */
const NAME_BYTES = 6;
const CHANCE_BYTES = 4096;

const KIND = { session: 0x53, ended: 0x54, reserved: 0x52 } as const;
const ENDING = { ended: 0x65, succeeded: 0x73, departing: 0x64 } as const;

export const NO_VERSION: Buffer = Buffer.alloc(0);
export const NO_MARKS: Buffer = Buffer.alloc(0);
export const NOBODY: Buffer = Buffer.alloc(HOLDER_BYTES, "-");
export const NO_LEASE: Buffer = Buffer.concat([NOBODY, Buffer.alloc(DEADLINE_BYTES, "0")]);

interface Kept {
  readonly version: Buffer;
  /** Who holds the lease and until when, as it stands in the value. */
  readonly lease: Buffer;
  readonly marks: Buffer;
}

export interface StoredSession extends Kept {
  readonly kind: "session";
  readonly image: Buffer;
  /** How it stands in the value. */
  readonly layout: Layout;
}

/** A tombstone. */
export interface StoredEnd extends Kept {
  readonly kind: "ended";
  readonly ending: "ended" | "succeeded";
  /** Where the session goes on, as long as it may not be there yet. */
  readonly departure: Departure | undefined;
}

export interface Departure {
  readonly successor: string;
  /** The value that is to be under the successor's key. */
  readonly value: Buffer;
}

/** An id that is kept for a session which is to go on under it. */
export interface StoredReserve extends Kept {
  readonly kind: "reserved";
  readonly origin: string;
}

export type Stored = StoredSession | StoredEnd | StoredReserve;

let chance: Buffer = Buffer.alloc(0);
let chanceAt = 0;

/** The body and the marks behind a head with a new version. */
function compose(kind: number, body: readonly Buffer[], { lease = NO_LEASE, marks }: Writing): Buffer {
  const bytes = body.reduce((sum, part) => sum + part.length, 0);
  const value = Buffer.allocUnsafe(HEAD_BYTES + bytes + marks.length);
  const lengths = { imageBytes: bytes, marksBytes: marks.length, recordsBytes: 0 };
  writeHead(value, kind, lease, lengths, bytes);
  let at = HEAD_BYTES;
  for (const part of body) at += part.copy(value, at);
  marks.copy(value, at);
  return value;
}

function writeHead(
  value: Buffer,
  kind: number,
  lease: Buffer,
  { imageBytes, marksBytes, recordsBytes }: Omit<Layout, "recordCount">,
  bytes: number,
): void {
  value[0] = kind;
  drawInto(value);
  lease.copy(value, HOLDER_AT);
  value.writeUInt32BE(imageBytes, LENGTHS_AT);
  value.writeUInt32BE(marksBytes, MARKS_LENGTH_AT);
  value.writeUInt32BE(recordsBytes, RECORDS_LENGTH_AT);
  value.writeUInt32BE(bytes, IMAGE_LENGTH_AT);
}

export interface Writing {
  readonly marks: Buffer;
  /** Default: none. */
  readonly lease?: Buffer | undefined;
}

/** What is drawn here only has to be different: it protects nothing. */
function drawInto(value: Buffer): void {
  const bytes = VERSION_BYTES - 1;
  if (chanceAt + bytes > chance.length) {
    chance = randomFillSync(Buffer.allocUnsafeSlow(CHANCE_BYTES));
    chanceAt = 0;
  }
  chance.copy(value, 1, chanceAt, chanceAt + bytes);
  chanceAt += bytes;
  // Nothing is to be named 0: that means "none".
  if (nameOf(value) === 0) value[VERSION_BYTES - 1] = 1;
}

export function sessionValue(image: Buffer, writing: Writing): Buffer {
  return compose(KIND.session, [image], writing);
}

/** What is to become of a session. */
export interface Appending {
  /** What commits made of it, one after the other: of each, or of several at once. The last is what becomes of it. */
  readonly images: readonly Buffer[];
  /** That of each commit. */
  readonly commits: readonly Mark[];
  readonly seconds: number;
  /** All of them: what those of the session are with the commits' own. */
  readonly marks: Buffer;
  readonly lease?: Buffer | undefined;
}

export interface Appended {
  /** A summary, to be put in the place of the one that is there, and the record, to be put after the last. */
  readonly bytes: Buffer;
  /** What the value is then. */
  readonly stored: StoredSession;
}

/** Undefined: the whole value is to be written. */
export function appended(before: StoredSession, appending: Appending): Appended | undefined {
  const { images, commits, seconds, marks, lease = NO_LEASE } = appending;
  const image = images.at(-1);
  if (image === undefined || commits.length > MAX_MARKS) return undefined;
  const change = { version: before.version, images: [before.image, ...images], marks: commits, seconds };
  const record = recordOf(change);
  if (!mayAppend(before.layout, record.length)) return undefined;
  const { imageBytes, marksBytes, recordsBytes: old, recordCount: count } = before.layout;
  const layout = { imageBytes, marksBytes, recordsBytes: old + record.length, recordCount: count + 1 };
  const bytes = Buffer.allocUnsafe(SUMMARY_BYTES + record.length);
  writeHead(bytes, KIND.session, lease, layout, image.length);
  image.copy(bytes, HEAD_BYTES, 0, HEADER_BYTES);
  record.copy(bytes, SUMMARY_BYTES);
  const version = bytes.subarray(0, VERSION_BYTES);
  return { bytes, stored: { kind: "session", image, marks, version, lease, layout } };
}

/** The marks stay: whoever sends a commit again that was applied before the end is told so. */
export function endedValue(ending: "ended" | "succeeded", marks: Buffer): Buffer {
  return compose(KIND.ended, [Buffer.of(ENDING[ending])], { marks });
}

/** The session has ended, and goes on under another id as soon as somebody puts the value there. */
export function departingValue({ successor, value }: Departure, marks: Buffer): Buffer {
  const id = Buffer.from(successor);
  const head = Buffer.of(ENDING.departing, id.length >> 8, id.length & 0xff);
  return compose(KIND.ended, [head, id, value], { marks });
}

export function reservedValue(origin: string): Buffer {
  return compose(KIND.reserved, [Buffer.from(origin)], { marks: NO_MARKS });
}

export function isVersion(one: Buffer | undefined, other: Buffer): boolean {
  return one?.equals(other) === true;
}

/** The version as a number, which names a state of the session on the wire. Above 0. */
export function nameOf(value: Buffer): number {
  return value.readUIntBE(VERSION_BYTES - NAME_BYTES, NAME_BYTES);
}

/**
 * The parts of a value, which are views of it.
 *
 * @throws SessionError ERR_UNREADABLE where it is nothing that we have written.
 */
export function readValue(id: string, value: Buffer): Stored {
  if (value.length < HEAD_BYTES) throw unreadable(id);
  const bodyEnd = HEAD_BYTES + value.readUInt32BE(LENGTHS_AT);
  const marksEnd = bodyEnd + value.readUInt32BE(MARKS_LENGTH_AT);
  const end = marksEnd + value.readUInt32BE(RECORDS_LENGTH_AT);
  if (end > value.length) throw unreadable(id);
  const version = value.subarray(0, VERSION_BYTES);
  const lease = value.subarray(HOLDER_AT, LENGTHS_AT);
  const marks = value.subarray(bodyEnd, marksEnd);
  const body = value.subarray(HEAD_BYTES, bodyEnd);
  const kind = value[0];
  if (kind === KIND.session && body.length > HEADER_BYTES) {
    const layout = { imageBytes: body.length, marksBytes: marks.length, recordsBytes: end - marksEnd, recordCount: 0 };
    const whole: StoredSession = { kind: "session", image: body, version, lease, marks, layout };
    return end === marksEnd ? whole : withRecordsOf(id, whole, value.subarray(marksEnd, end), imageBytesOf(value));
  }
  if (kind === KIND.reserved) return { kind: "reserved", origin: body.toString(), version, lease, marks };
  if (kind !== KIND.ended) throw unreadable(id);
  const ending = body[0] === ENDING.ended ? "ended" : "succeeded";
  return { kind: "ended", ending, departure: departureIn(id, body), version, lease, marks };
}

function withRecordsOf(id: string, whole: StoredSession, records: Buffer, bytes: number): StoredSession {
  const contents = withRecords(whole, records);
  if (contents?.image.length !== bytes) throw unreadable(id, "a record that was appended to it is broken");
  const { image, marks, count: recordCount } = contents;
  return { ...whole, image, marks, layout: { ...whole.layout, recordCount } };
}

function departureIn(id: string, body: Buffer): Departure | undefined {
  if (body[0] === ENDING.ended || body[0] === ENDING.succeeded) return undefined;
  if (body[0] !== ENDING.departing || body.length < 3) throw unreadable(id);
  const end = 3 + body.readUInt16BE(1);
  return { successor: body.toString("utf8", 3, end), value: body.subarray(end) };
}

/** The same session with the lease and the stamp of a summary, which has its version. */
export function withSummary(stored: StoredSession, summary: Buffer): StoredSession {
  const header = summary.subarray(HEAD_BYTES);
  const isSameHeader = stored.image.subarray(0, HEADER_BYTES).equals(header);
  const image = isSameHeader ? stored.image : Buffer.concat([header, stored.image.subarray(HEADER_BYTES)]);
  return { ...stored, image, lease: summary.subarray(HOLDER_AT, LENGTHS_AT) };
}

export function unreadable(id: string, why = "it is nothing that this program has written"): SessionError {
  return new SessionError("ERR_UNREADABLE", `What Redis holds for session ${id} cannot be read: ${why}.`);
}

/** What the summary of a value says: "other" is a tombstone, or an id that is kept; undefined nothing of ours. */
export function kindOf(summary: Buffer): "session" | "other" | undefined {
  if (summary[0] === KIND.session) return summary.length === SUMMARY_BYTES ? "session" : undefined;
  return summary.length >= HEAD_BYTES && (summary[0] === KIND.ended || summary[0] === KIND.reserved)
    ? "other"
    : undefined;
}

/** Bytes of the image of a session. @param summary or the value. */
export function imageBytesOf(summary: Buffer): number {
  return summary.readUInt32BE(IMAGE_LENGTH_AT);
}

/** Stamp and life time, which stand where an image has them. */
export function headerIn(summary: Buffer): Buffer {
  return summary.subarray(HEAD_BYTES, SUMMARY_BYTES);
}

// Which commits are in a value, so that one that is sent again is not applied again: known by client and sequence, and kept in the value itself, so that
// they are there exactly if the commit is, whatever has died. Pure.
//
// One entry for each client: 6 bytes of the digest of its name, u48 its floor, u32 when it committed last (Unix s), u16 how many numbers follow, and
// each as u32 above the floor. The floor is the lowest sequence that the client waited for: what is below has been answered, is not sent again, and is
// never applied again either, should a daemon that stood still for long come with it. So entries are short, however much is committed.

import { createHash } from "node:crypto";

const CLIENT_BYTES = 6;
const FLOOR_AT: number = CLIENT_BYTES;
const FLOOR_BYTES = 6;
const SECONDS_AT = 12;
const COUNT_AT = 16;
const ENTRY_BYTES = 18;
const NUMBER_BYTES = 4;
/** An entry of a client that has committed nothing here for so long is dropped by others' commits: nobody sends anything again after that time. */
export const KEEP_SECONDS = 300;
/** Clients of one session that are remembered: more than commit to one within that time. */
const MAX_CLIENTS = 256;
/** Numbers of a client that names no floor. */
const MAX_NUMBERS = 1024;
const MAX_DISTANCE: number = 2 ** 32 - 1;
/** Names whose digest is kept: more than a machine runs workers. */
const MAX_NAMES = 4096;

export interface Mark {
  readonly client: string;
  readonly sequence: number;
  /** The client waits for no lower sequence; 0: not known. */
  readonly floor: number;
}

/** 6 bytes of the digest of each name, as a number. */
const digests = new Map<string, number>();

function digestOf(client: string): number {
  const known = digests.get(client);
  if (known !== undefined) return known;
  if (digests.size >= MAX_NAMES) digests.clear();
  const digest = createHash("sha256").update(client).digest().readUIntBE(0, CLIENT_BYTES);
  digests.set(client, digest);
  return digest;
}

/** Where the entry ends that begins there; 0: there is none. */
function endOf(marks: Buffer, at: number): number {
  if (at + ENTRY_BYTES > marks.length) return 0;
  const end = at + ENTRY_BYTES + marks.readUInt16BE(at + COUNT_AT) * NUMBER_BYTES;
  return end > marks.length ? 0 : end;
}

/** Whether the commit was applied: there is a mark of it, or its client has said that it was answered. */
export function isMarked(marks: Buffer, { client, sequence }: Pick<Mark, "client" | "sequence">): boolean {
  if (marks.length === 0) return false;
  const digest = digestOf(client);
  for (let at = 0, end = endOf(marks, at); end > 0; at = end, end = endOf(marks, at)) {
    if (marks.readUIntBE(at, CLIENT_BYTES) !== digest) continue;
    const distance = sequence - marks.readUIntBE(at + FLOOR_AT, FLOOR_BYTES);
    if (distance < 0) return true;
    for (let number = at + ENTRY_BYTES; number < end; number += NUMBER_BYTES) {
      if (marks.readUInt32BE(number) === distance) return true;
    }
    return false;
  }
  return false;
}

/** The marks with one more. @param nowSeconds Redis' clock. */
export function withMark(marks: Buffer, mark: Mark, nowSeconds: number): Buffer {
  return withDigest(marks, digestOf(mark.client), mark, nowSeconds);
}

/** Of one mark by itself: the digest, u48 the sequence, u48 the floor. */
export const MARK_BYTES = 18;
const SEQUENCE_AT: number = CLIENT_BYTES;
const MARK_FLOOR_AT = 12;

export function writeMark(target: Buffer, at: number, { client, sequence, floor }: Mark): void {
  target.writeUIntBE(digestOf(client), at, CLIENT_BYTES);
  target.writeUIntBE(sequence, at + SEQUENCE_AT, FLOOR_BYTES);
  target.writeUIntBE(floor, at + MARK_FLOOR_AT, FLOOR_BYTES);
}

/** `withMark` of one that was written by itself. */
export function withMarkAt(marks: Buffer, bytes: Buffer, at: number, nowSeconds: number): Buffer {
  const sequence = bytes.readUIntBE(at + SEQUENCE_AT, FLOOR_BYTES);
  const floor = bytes.readUIntBE(at + MARK_FLOOR_AT, FLOOR_BYTES);
  return withDigest(marks, bytes.readUIntBE(at, CLIENT_BYTES), { sequence, floor }, nowSeconds);
}

type Numbers = Pick<Mark, "sequence" | "floor">;

function withDigest(marks: Buffer, digest: number, mark: Numbers, nowSeconds: number): Buffer {
  const others: Buffer[] = [];
  let [floor, numbers]: [number, readonly number[]] = [0, []];
  for (let at = 0, end = endOf(marks, at); end > 0; at = end, end = endOf(marks, at)) {
    if (marks.readUIntBE(at, CLIENT_BYTES) === digest) {
      floor = marks.readUIntBE(at + FLOOR_AT, FLOOR_BYTES);
      numbers = numbersIn(marks, at, end, floor);
    } else if (marks.readUInt32BE(at + SECONDS_AT) + KEEP_SECONDS > nowSeconds) others.push(marks.subarray(at, end));
  }
  const entry = entryOf(digest, nowSeconds, grown(floor, numbers, mark));
  return others.length === 0 ? entry : Buffer.concat([...others.slice(1 - MAX_CLIENTS), entry]);
}

function numbersIn(marks: Buffer, at: number, end: number, floor: number): readonly number[] {
  const numbers: number[] = [];
  for (let number = at + ENTRY_BYTES; number < end; number += NUMBER_BYTES) {
    numbers.push(floor + marks.readUInt32BE(number));
  }
  return numbers;
}

interface Applied {
  readonly floor: number;
  readonly numbers: readonly number[];
}

/** What a client has had applied, with one more. */
function grown(before: number, applied: readonly number[], { sequence, floor: named }: Numbers): Applied {
  const floor = Math.max(before, Math.min(named, sequence));
  const numbers = [...applied, sequence].filter((number) => number >= floor).sort((one, other) => one - other);
  // The lowest of them are forgotten where they have grown too many, or lie too far below.
  const many = named === 0 ? (numbers.at(-MAX_NUMBERS) ?? 0) : 0;
  const far = (numbers.at(-1) ?? 0) - MAX_DISTANCE;
  const least = Math.max(floor, many, far);
  return least === floor ? { floor, numbers } : { floor: least, numbers: numbers.filter((number) => number >= least) };
}

function entryOf(digest: number, seconds: number, { floor, numbers }: Applied): Buffer {
  const entry = Buffer.allocUnsafe(ENTRY_BYTES + numbers.length * NUMBER_BYTES);
  entry.writeUIntBE(digest, 0, CLIENT_BYTES);
  entry.writeUIntBE(floor, FLOOR_AT, FLOOR_BYTES);
  entry.writeUInt32BE(seconds, SECONDS_AT);
  entry.writeUInt16BE(numbers.length, COUNT_AT);
  for (const [n, number] of numbers.entries()) entry.writeUInt32BE(number - floor, ENTRY_BYTES + n * NUMBER_BYTES);
  return entry;
}

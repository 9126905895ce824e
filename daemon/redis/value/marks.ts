// Which commits are in a value, so that one that is sent again is not applied again: known by client and sequence, and kept in the value itself, so that
// they are there exactly if the commit is, whatever has died. Pure.
//
// One entry for each client: 6 bytes of the digest of its name, u48 its floor, u32 when it committed last (Unix s), u16 how many numbers follow, and
// each as u32 above the floor. The floor is the lowest sequence that the client waited for: what is below has been answered, is not sent again, and is
// never applied again either, should a daemon that stood still for long come with it. So entries are short, however much is committed.

import { createHash } from "node:crypto";

const CLIENT_BYTES = 6;
const FLOOR_AT: number = CLIENT_BYTES;
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

interface Entry {
  readonly client: Buffer;
  readonly floor: number;
  readonly seconds: number;
  readonly numbers: readonly number[];
}

const digests = new Map<string, Buffer>();

function digestOf(client: string): Buffer {
  const known = digests.get(client);
  if (known !== undefined) return known;
  if (digests.size >= MAX_NAMES) digests.clear();
  const digest = createHash("sha256").update(client).digest().subarray(0, CLIENT_BYTES);
  digests.set(client, Buffer.from(digest));
  return digest;
}

/** Whether the commit was applied: there is a mark of it, or its client has said that it was answered. */
export function isMarked(marks: Buffer, { client, sequence }: Pick<Mark, "client" | "sequence">): boolean {
  if (marks.length === 0) return false;
  const digest = digestOf(client);
  for (const entry of entriesOf(marks)) {
    if (entry.client.equals(digest)) return sequence < entry.floor || entry.numbers.includes(sequence);
  }
  return false;
}

/** The marks with one more. @param nowSeconds Redis' clock. */
export function withMark(marks: Buffer, { client, sequence, floor }: Mark, nowSeconds: number): Buffer {
  const digest = digestOf(client);
  const others: Entry[] = [];
  let own: Entry | undefined;
  for (const entry of entriesOf(marks)) {
    if (entry.client.equals(digest)) own = entry;
    else if (entry.seconds + KEEP_SECONDS > nowSeconds) others.push(entry);
  }
  const entry = grown(own, { digest, sequence, floor: Math.min(floor, sequence) }, nowSeconds);
  return Buffer.concat([...others.slice(1 - MAX_CLIENTS), entry].map(bytesOf));
}

function grown(
  own: Entry | undefined,
  { digest, sequence, floor: named }: { readonly digest: Buffer; readonly sequence: number; readonly floor: number },
  seconds: number,
): Entry {
  const numbers = [...(own?.numbers ?? []), sequence].sort((one, other) => one - other);
  // The lowest of them are forgotten where they have grown too many, or lie too far below.
  const many = numbers.length > MAX_NUMBERS && named === 0 ? (numbers.at(-MAX_NUMBERS) ?? 0) : 0;
  const far = Math.max(0, (numbers.at(-1) ?? 0) - MAX_DISTANCE);
  const floor = Math.max(own?.floor ?? 0, named, many, far);
  return { client: digest, floor, seconds, numbers: numbers.filter((number) => number >= floor) };
}

function* entriesOf(marks: Buffer): Generator<Entry> {
  for (let at = 0; at + ENTRY_BYTES <= marks.length; ) {
    const floor = marks.readUIntBE(at + FLOOR_AT, 6);
    const count = marks.readUInt16BE(at + COUNT_AT);
    const end = at + ENTRY_BYTES + count * NUMBER_BYTES;
    if (end > marks.length) return;
    const numbers = Array.from(
      { length: count },
      (_, n) => floor + marks.readUInt32BE(at + ENTRY_BYTES + n * NUMBER_BYTES),
    );
    yield {
      client: marks.subarray(at, at + CLIENT_BYTES),
      floor,
      seconds: marks.readUInt32BE(at + SECONDS_AT),
      numbers,
    };
    at = end;
  }
}

function bytesOf({ client, floor, seconds, numbers }: Entry): Buffer {
  const bytes = Buffer.allocUnsafe(ENTRY_BYTES + numbers.length * NUMBER_BYTES);
  client.copy(bytes);
  bytes.writeUIntBE(floor, FLOOR_AT, 6);
  bytes.writeUInt32BE(seconds, SECONDS_AT);
  bytes.writeUInt16BE(numbers.length, COUNT_AT);
  for (const [n, number] of numbers.entries()) bytes.writeUInt32BE(number - floor, ENTRY_BYTES + n * NUMBER_BYTES);
  return bytes;
}

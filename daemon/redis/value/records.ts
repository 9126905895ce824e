// What was appended to the value of a large session: a record for each time that it was stored, so that a change costs its own bytes, and not those of
// the session. The image is that at the beginning with the patches of all records put into it, and the marks are those with the marks of all records.
//
//   0  8 bytes   the version before it
//   8  u32       bytes of the record
//  12  u32       when it was made (Unix s), for the marks
//  16  u16       how many marks follow, and each (marks.ts)
//      patches   (patches.ts)
//
// A record is put at its place, not after whatever is there: one that is put there twice is there once.
//
// To append is a faster way for large sessions, and no more than that (`npm run bench -- --only redis-change`, its large sessions): `mayAppend` that says
// no is the backend without it.

import { MARK_BYTES, type Mark, withMarkAt, writeMark } from "./marks.ts";
import { Patched, patchesBetween } from "./patches.ts";

const LENGTH_AT = 8;
const SECONDS_AT = 12;
const COUNT_AT = 16;
const MARKS_AT = 18;

/** Smaller images are written whole: their bytes cost less than what an append has to do more. */
const FROM_BYTES = 2048;
/** So many are put into the image of whoever reads all of them. */
const MAX_RECORDS = 64;

/** Marks of one record. */
export const MAX_MARKS = 0xffff;

/** What there is of a session in its value. */
export interface Layout {
  /** Of the image, the marks, and all records. */
  readonly imageBytes: number;
  readonly marksBytes: number;
  readonly recordsBytes: number;
  readonly recordCount: number;
}

export interface Change {
  /** The version before it. */
  readonly version: Buffer;
  /** The image before it, and what commits made of it, one after the other. */
  readonly images: readonly Buffer[];
  readonly marks: readonly Mark[];
  readonly seconds: number;
}

/** Whether another record may come, or the value is to be written whole, which leaves none. @param bytes of the record; 0: not known yet. */
export function mayAppend({ imageBytes, recordsBytes, recordCount }: Layout, bytes: number): boolean {
  return imageBytes >= FROM_BYTES && recordCount < MAX_RECORDS && recordsBytes + bytes <= imageBytes / 2;
}

export function recordOf({ version, images, marks, seconds }: Change): Buffer {
  const patches: Buffer[] = [];
  for (let n = 1; n < images.length; n++) patches.push(patchesBetween(images[n - 1] as Buffer, images[n] as Buffer));
  const head = Buffer.allocUnsafe(MARKS_AT + marks.length * MARK_BYTES);
  const length = patches.reduce((sum, one) => sum + one.length, head.length);
  version.copy(head);
  head.writeUInt32BE(length, LENGTH_AT);
  head.writeUInt32BE(seconds, SECONDS_AT);
  head.writeUInt16BE(marks.length, COUNT_AT);
  for (const [n, mark] of marks.entries()) writeMark(head, MARKS_AT + n * MARK_BYTES, mark);
  return Buffer.concat([head, ...patches], length);
}

interface Contents {
  readonly image: Buffer;
  readonly marks: Buffer;
}

/** The records put into the contents at their beginning. Undefined: they are none of ours. */
export function withRecords({ image, marks }: Contents, records: Buffer): (Contents & { count: number }) | undefined {
  const patched = new Patched(image, records.length);
  let [all, count, at] = [marks, 0, 0];
  for (; at < records.length; count++) {
    if (at + MARKS_AT > records.length) return undefined;
    const patchesAt = at + MARKS_AT + records.readUInt16BE(at + COUNT_AT) * MARK_BYTES;
    const end = at + records.readUInt32BE(at + LENGTH_AT);
    if (patchesAt > end || end > records.length) return undefined;
    const seconds = records.readUInt32BE(at + SECONDS_AT);
    for (let mark = at + MARKS_AT; mark < patchesAt; mark += MARK_BYTES) all = withMarkAt(all, records, mark, seconds);
    if (!patched.apply(records.subarray(patchesAt, end))) return undefined;
    at = end;
  }
  return { image: patched.image, marks: all, count };
}

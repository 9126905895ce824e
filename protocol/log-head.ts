// The head of a SQLite write-ahead log, as everybody who has the database open sees it: the first bytes of `<database>-shm`. Each commit of anybody makes
// another one, before it is acknowledged. Pure: a daemon tells workers the head that its commit has made, and they read it where it is.
//
// It stands there twice, and a writer changes the second one first: where both are alike, neither is half written. In words of 32 bits, in the byte order of
// the machine:
//    0  the version of the format
//    2  counts commits
//    3  in its last two bytes, as a number of their own: bytes of a page, 1 for 65 536
//    4  the last frame of the log that counts; 0 in an empty log
//    5  pages of the database
//    6  checksum of all frames up to that one, salts included
//    8  salts of the log, drawn by chance
//   10  checksum of the head
//
// The log itself begins with 32 bytes. Then come its frames, a page each with 24 bytes in front of it; words 2 and 3 of those are the salts of the log that the frame was
// written for. A log that is begun anew is written over the old one, so frames of that follow, with other salts.

/** Bytes of one head. */
export const HEAD_BYTES = 48;
const WORDS = HEAD_BYTES / 4;
/** Words of both. */
export const HEAD_PAIR_WORDS: number = 2 * WORDS;
const FORMAT = 3_007_000;
const LAST_FRAME = 4;
const SALTS = 8;
/** Of 16 bits. */
const PAGE_SIZE = 7;
const LOG_HEADER_BYTES = 32;
const FRAME_HEADER_BYTES = 24;
export const FRAME_HEADER_WORDS: number = FRAME_HEADER_BYTES / 4;
const FRAME_SALTS = 2;
const COMMITS_AT = 2 * 4;
const PAGES_AT = 5 * 4;
const FRAMES_AT = LAST_FRAME * 4;
const isLittleEndian = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1;

/** A copy of the head in words as they are read. Undefined: it is half written, or SQLite has not made it yet. */
export function headIn(pair: Int32Array): Int32Array | undefined {
  const head = pair.slice(0, WORDS);
  return head[0] === FORMAT && isHeadIn(pair, head) ? head : undefined;
}

/** Whether this is the head in words as they are read. */
export function isHeadIn(pair: Int32Array, head: Int32Array): boolean {
  for (let at = 0; at < WORDS; at++) if (pair[at] !== head[at] || pair[at + WORDS] !== head[at]) return false;
  return true;
}

/** Frames of the log, by the bytes of a head. */
export function framesIn(head: Buffer): number {
  return wordAt(head, FRAMES_AT);
}

/** Pages of the database, by the bytes of a head. */
export function pagesIn(head: Buffer): number {
  return wordAt(head, PAGES_AT);
}

/** Whether the one commit that was made since `before` has made this head, by the bytes of both. */
export function isNextHead(head: Buffer, before: Buffer): boolean {
  return wordAt(head, COMMITS_AT) === (wordAt(before, COMMITS_AT) + 1) >>> 0;
}

function wordAt(head: Buffer, at: number): number {
  return isLittleEndian ? head.readUInt32LE(at) : head.readUInt32BE(at);
}

/** A head as its bytes travel; undefined for bytes that are none. */
export function headOf(bytes: Uint8Array): Int32Array | undefined {
  if (bytes.length !== HEAD_BYTES) return undefined;
  const head = new Int32Array(WORDS);
  new Uint8Array(head.buffer).set(bytes);
  return head;
}

/**
 * Whether the head alone names one state, for ever: salts and checksum are those of no other frames. The head of an empty log is the same whenever
 * one is begun, over a database that may have changed in between.
 */
export function namesState(head: Int32Array): boolean {
  return head[LAST_FRAME] !== 0;
}

/** Where the first frame of the log would be that does not count, in bytes. */
export function nextFrameAt(head: Int32Array): number {
  const pageSize = new Uint16Array(head.buffer, head.byteOffset)[PAGE_SIZE] ?? 0;
  const frames = (head[LAST_FRAME] ?? 0) >>> 0;
  return LOG_HEADER_BYTES + frames * ((pageSize === 1 ? 65_536 : pageSize) + FRAME_HEADER_BYTES);
}

/** Whether the frame with this header was written for the log with this head, counting or not. */
export function isFrameOf(frame: Int32Array, head: Int32Array): boolean {
  return frame[FRAME_SALTS] === head[SALTS] && frame[FRAME_SALTS + 1] === head[SALTS + 1];
}

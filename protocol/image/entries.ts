// Walks the entries of an image, from the root that announces them to the cookie path behind them. Nothing is copied or decoded.

import { SessionError } from "../errors.ts";
import {
  isCollectionOfEither,
  isNewerTag,
  lengthBytes,
  NEWER_STEP,
  readLength,
  TAG,
  tagName,
} from "../value/format.ts";
import { endOfString, endOfValue, type Scan } from "../value/scan.ts";
import { HEADER_BYTES } from "./header.ts";

/** Bytes `from` up to `to` of a buffer. */
export interface ByteRange {
  readonly bytes: Buffer;
  readonly from: number;
  readonly to: number;
}

const NO_PATH: ByteRange = { bytes: Buffer.of(0), from: 0, to: 1 };

/** Stands on one entry at a time: `while (reader.next()) ...`. */
export class EntryReader {
  /** Where the entry begins: the length of its key. */
  start = 0;
  keyFrom = 0;
  keyTo = 0;
  valueEnd = 0;
  readonly count: number;
  /** Where the entries begin. */
  readonly bodyStart: number;
  readonly #image: Buffer;
  readonly #scan: Scan;
  #left: number;

  /** `scan` counts the objects; it begins with the root collection. */
  constructor(image: Buffer, scan: Scan) {
    if (image.length <= HEADER_BYTES) throw unreadableImage("it ends before its contents");
    const tag = image[HEADER_BYTES] as number;
    if (!isCollectionOfEither(tag))
      throw unreadableImage(`its contents are no collection, but type ${tagName(tag)} at byte ${HEADER_BYTES}`);
    this.#image = image;
    this.#scan = scan;
    this.count = readLength(image, HEADER_BYTES + 1);
    this.bodyStart = HEADER_BYTES + 1 + lengthBytes(image[HEADER_BYTES + 1] as number);
    this.valueEnd = this.bodyStart;
    this.#left = this.count;
  }

  next(): boolean {
    if (this.#left === 0) return false;
    this.#left--;
    const at = this.valueEnd;
    const image = this.#image;
    this.start = at;
    this.keyTo = endOfString(image, at);
    this.keyFrom = at + lengthBytes(image[at] as number);
    this.valueEnd = isDamaged(image, this.keyTo, this.#scan)
      ? endOfString(image, this.keyTo + 1)
      : endOfValue(image, this.keyTo, this.#scan);
    return true;
  }

  /** Gambas drops the entry when it loads the file. */
  get isDead(): boolean {
    return this.keyFrom === this.keyTo || isDeadValue(this.#image[this.keyTo]);
  }
}

/** Tag and count of the entries, behind the header. The dialect stays that of `root`. */
export function writeBodyStart(target: Buffer, count: number, root: number): void {
  target[HEADER_BYTES] = isNewerTag(root) ? TAG.COLLECTION + NEWER_STEP : TAG.COLLECTION;
  if (count < 0x80) target[HEADER_BYTES + 1] = count;
  else if (count < 0x4000) target.writeUInt16BE(count | 0x8000, HEADER_BYTES + 1);
  else target.writeUInt32BE(count + 0xc000_0000, HEADER_BYTES + 1);
}

export function bodyStartOf(count: number): number {
  return HEADER_BYTES + 1 + (count < 0x80 ? 1 : count < 0x4000 ? 2 : 4);
}

/** Whether Gambas drops the entry: it has no key or no value. An empty string is a value here (client/SESSION.md, "Values"). */
export function isDeadEntry(image: Buffer, key: string, valueStart: number): boolean {
  return key === "" || isDeadValue(image[valueStart]);
}

/** No file has such a value: there its tag is unknown. */
function isDamaged(image: Buffer, at: number, scan: Scan): boolean {
  return image[at] === TAG.DAMAGED && scan.dialect === undefined;
}

function isDeadValue(tag: number | undefined): boolean {
  return tag === TAG.NULL_OBJECT || tag === TAG.NULL;
}

/** Where the cookie path that begins at `at` ends; `at` itself when it is missing or cut off, which Gambas reads as empty. */
export function endOfCookiePath(image: Buffer, at: number): number {
  const first = image[at];
  if (first === undefined || at + lengthBytes(first) > image.length) return at;
  const end = at + lengthBytes(first) + readLength(image, at);
  return end > image.length ? at : end;
}

/** The cookie path as it is stored; one byte 00 when it is missing or cut off. Bytes behind it are dropped, as by Gambas. */
export function rawCookiePath(image: Buffer, at: number): ByteRange {
  const end = endOfCookiePath(image, at);
  return end === at ? NO_PATH : { bytes: image, from: at, to: end };
}

function unreadableImage(reason: string): SessionError {
  return new SessionError("ERR_UNREADABLE", `The stored session cannot be read: ${reason}.`);
}

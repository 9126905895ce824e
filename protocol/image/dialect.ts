// The two dialects of session files, and the one form that everything else knows.
//
// Gambas 3.19 and later write the tags of collections and arrays one higher, and count for `@` only the objects that have such a tag
// (GAMBAS.md 3.14). In memory and on the wire every image is in the older dialect with all objects counted, whatever its file is in. The tag
// of the root alone tells the dialect of the file, so nothing that reads, compares or changes values knows of dialects. An engine that
// keeps files turns the bytes that it reads and writes. Both ways their number stays the same.

import { isNewerTag, NEWER_STEP, tagName, unreadable } from "../value/format.ts";
import { type DialectReader, newScan } from "../value/scan.ts";
import { EntryReader } from "./entries.ts";
import { HEADER_BYTES, isSameTimeout } from "./header.ts";

/** Named by the first version that writes it. "3.18" stands for every version before, too; 3.19 reads such files if they have no `@`. */
export type Dialect = "3.18" | "3.19";

/** The dialect of the file that the image came from, or goes to. */
export function dialectOf(image: Buffer): Dialect {
  return isNewerTag(image[HEADER_BYTES]) ? "3.19" : "3.18";
}

export function setDialect(image: Buffer, dialect: Dialect): void {
  if (dialectOf(image) === dialect) return;
  image[HEADER_BYTES] = (image[HEADER_BYTES] as number) + (dialect === "3.19" ? NEWER_STEP : -NEWER_STEP);
}

/** Whether two images are equal but for the stamp, and for the dialect their files are in. The life time is part of what a session is. */
export function isSameButStamp(left: Buffer, right: Buffer): boolean {
  if (left === right) return true;
  if (!isSameTimeout(left, right)) return false;
  return left.compare(right, HEADER_BYTES + 1, right.length, HEADER_BYTES + 1, left.length) === 0;
}

/**
 * Makes the image of a file, in place, and checks it on the way. A mixture of both dialects, which only 3.19 can read, counts as one of
 * 3.19. Returns whether there are references. Throws ERR_UNREADABLE where no version of Gambas would read the file.
 */
export function imageOfFile(file: Buffer): { readonly hasReferences: boolean } {
  const dialect = new Turning(isNewerTag(file[HEADER_BYTES]));
  const scan = { ...newScan(1), dialect };
  const reader = new EntryReader(file, scan);
  while (reader.next());
  if (dialect.isNewer) setDialect(file, "3.19");
  return { hasReferences: scan.hasReferences };
}

/** The bytes of the file for an image: in the older dialect the image itself, else a copy. */
export function fileOfImage(image: Buffer): Buffer {
  if (dialectOf(image) === "3.18") return image;
  const scan = { ...newScan(1), starts: [] as number[] };
  const reader = new EntryReader(image, scan);
  while (reader.next());
  if (scan.starts.length === 0) return image;
  const file = Buffer.from(image);
  for (const at of scan.starts) file[at] = (file[at] as number) + NEWER_STEP;
  return file;
}

/** Turns the tags and the numbers of one file, or of one value that stands alone. */
export class Turning implements DialectReader {
  isNewer: boolean;
  /** By the number that 3.19 counts, minus 1: the number where all objects are counted. */
  readonly #numbers: number[] = [];
  /** Objects before the first that a reference can mean. */
  readonly #before: number;
  /** Where the first reference was met that only 3.18 can have meant; -1 when there is none. */
  #oldReferenceAt = -1;

  /**
   * @param isNewer the root, the first object, has a newer tag.
   * @param before the objects in front of a value that stands alone, which counts from 1 by itself.
   */
  constructor(isNewer: boolean, before = 0) {
    this.isNewer = isNewer;
    this.#before = before;
    if (isNewer) this.#numbers.push(1);
  }

  tagAt(bytes: Buffer, at: number, number: number): number | undefined {
    const tag = bytes[at];
    if (tag === undefined || !isNewerTag(tag)) return tag;
    if (this.#oldReferenceAt >= 0) {
      const where = `the reference at byte ${this.#oldReferenceAt}`;
      throw unreadable(at, `type ${tagName(tag)} of Gambas 3.19 behind ${where}, which only 3.18 would read`);
    }
    this.isNewer = true;
    this.#numbers.push(number);
    bytes[at] = tag - NEWER_STEP;
    return bytes[at];
  }

  referenceAt(bytes: Buffer, at: number): number {
    const stored = bytes.readInt32LE(at + 1);
    if (!this.isNewer) {
      if (this.#oldReferenceAt < 0) this.#oldReferenceAt = at;
      const number = stored < 1 ? 0 : stored + this.#before;
      if (number !== stored) bytes.writeInt32LE(number, at + 1);
      return number;
    }
    const number = this.#numbers[stored - 1];
    if (number === undefined) {
      throw unreadable(at, `reference to object ${stored} of ${this.#numbers.length} that Gambas 3.19 counts`);
    }
    if (number !== stored) bytes.writeInt32LE(number, at + 1);
    return number;
  }
}

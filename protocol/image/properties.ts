// What an image says besides its entries: its life time, and whether two images say the same in all but stamp and dialect.

import { HEADER_BYTES } from "./header.ts";

/** The stamp comes first; the life time has the rest of the header. */
const STARTUP_BYTES = 8;

/** The bytes of the life time, as a view. */
export function timeoutBytes(image: Buffer): Buffer {
  return image.subarray(STARTUP_BYTES, HEADER_BYTES);
}

export function copyTimeout(from: Buffer, to: Buffer): void {
  from.copy(to, STARTUP_BYTES, STARTUP_BYTES, HEADER_BYTES);
}

/** Equal but for the stamp, and for the dialect the file is in, which the tag of the root tells. The life time is part of what a session is. */
export function isSameButStamp(a: Buffer, b: Buffer): boolean {
  if (a === b) return true;
  if (a.compare(b, STARTUP_BYTES, HEADER_BYTES, STARTUP_BYTES, HEADER_BYTES) !== 0) return false;
  return a.compare(b, HEADER_BYTES + 1, b.length, HEADER_BYTES + 1, a.length) === 0;
}

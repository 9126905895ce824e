// Reads, writes, removes and closes files as a whole. Knows nothing of sessions.

import { closeSync, readSync, unlinkSync, writeSync } from "node:fs";
import { isMissing } from "./system-errors.ts";

/**
 * Linux frees the descriptor even when close reports an error, and the daemon must not close it a second time: it may
 * be another file's by then. A late failure of a write, which close could report, is found by fdatasync where it
 * matters.
 */
export function closeDescriptor(fd: number): void {
  try {
    closeSync(fd);
  } catch {
    // Any system error of close; see above.
  }
}

/** Reads the first `size` bytes of a file; fewer where the file has become shorter. */
export function readAll(fd: number, size: number): Buffer {
  const image = Buffer.allocUnsafeSlow(size);
  let at = 0;
  while (at < size) {
    const count = readSync(fd, image, at, size - at, at);
    if (count === 0) return image.subarray(0, at);
    at += count;
  }
  return image;
}

export function writeAll(fd: number, image: Buffer): void {
  let at = 0;
  while (at < image.length) at += writeSync(fd, image, at, image.length - at, at);
}

/** Removes a file, if it is there. */
export function removeFile(path: string): void {
  try {
    unlinkSync(path);
  } catch (error) {
    if (!isMissing(error)) throw error;
  }
}

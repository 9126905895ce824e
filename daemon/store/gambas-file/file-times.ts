// What the file system does with the times of files, found out by trying.

import { constants, fstatSync, futimesSync, openSync, readFileSync, writeSync } from "node:fs";
import { closeDescriptor, removeFile } from "./files.ts";

const FLAGS = constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW;
const FILE_MODE = 0o600;

/**
 * Tries whether a time given as we give it comes back as the whole microsecond that was meant, so that it need not be read back after
 * every write. Other versions of Node keep the nanoseconds; then it is.
 */
export function givesWholeMicros(path: string): boolean {
  const fd = openSync(path, FLAGS, FILE_MODE);
  try {
    for (let at = 0; at < 64; at++) {
      const stamp = Date.now() * 1000 + 15_489 * at;
      futimesSync(fd, (stamp + 0.5) / 1e6, (stamp + 0.5) / 1e6);
      if (fstatSync(fd, { bigint: true }).mtimeNs !== BigInt(stamp) * 1000n) return false;
    }
    return true;
  } finally {
    closeDescriptor(fd);
    removeFile(path);
  }
}

/** Tries it: mounted with "noatime" a file does not tell who read it. */
export function recordsReads(path: string): boolean {
  const fd = openSync(path, FLAGS, FILE_MODE);
  try {
    writeSync(fd, "x");
    futimesSync(fd, 1, 1);
    const isQuiet = !wasReadSinceStamp(fd);
    readFileSync(path);
    return isQuiet && wasReadSinceStamp(fd);
  } finally {
    closeDescriptor(fd);
    removeFile(path);
  }
}

export function wasReadSinceStamp(fd: number): boolean {
  const stat = fstatSync(fd);
  return stat.atimeMs !== stat.mtimeMs;
}

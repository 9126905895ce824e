// What must not stay behind: open files of this process, and locks.

import { closeSync, constants, existsSync, openSync, readdirSync, readlinkSync } from "node:fs";
import type { native as Native } from "../../../daemon/files/native.ts";

export function countOpenFiles(): number {
  return readdirSync("/proc/self/fd").filter(isFile).length;
}

/** Node keeps some of the kernel's own kinds for good, as soon as it needs one: that for watching directories, say. */
function isFile(fd: string): boolean {
  try {
    return !readlinkSync(`/proc/self/fd/${fd}`).startsWith("anon_inode:");
  } catch {
    // Closed since it was listed.
    return false;
  }
}

/** Whether another program could lock the session now. */
export function isLockFree(native: typeof Native, sessionPath: string): boolean {
  const path = `${sessionPath}.lock`;
  if (native === undefined || !existsSync(path)) return true;
  const fd = openSync(path, constants.O_WRONLY);
  try {
    return native.tryLock(fd);
  } finally {
    closeSync(fd);
  }
}

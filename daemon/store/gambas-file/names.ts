// The two names of a session, that of its file and that of its twin, exchanged or given to the other. Knows no contents.

import { renameSync, type Stats, statSync } from "node:fs";
import { isSystemError } from "../../files/files.ts";
import { native } from "../../files/native.ts";
import type { HotSession } from "./hot-sessions.ts";

/** False when one of the two is gone: another program ended the session, or somebody cleaned up. */
export function exchangeIfThere(hot: HotSession): boolean {
  try {
    native?.exchange(hot.twinPath, hot.path);
    return true;
  } catch (error) {
    // Which file has which name is not known any more; the next write must not go into the wrong one.
    hot.forgetFiles();
    if (!isSystemError(error, "ENOENT", "ENOTDIR")) throw error;
    return false;
  }
}

/** False when somebody has cleaned up the twin. */
export function renameIfThere(hot: HotSession): boolean {
  try {
    renameSync(hot.twinPath, hot.path);
    return true;
  } catch (error) {
    if (!isSystemError(error, "ENOENT", "ENOTDIR") || statSync(hot.twinPath, { throwIfNoEntry: false }) !== undefined)
      throw error;
    hot.leaveTwin();
    return false;
  }
}

/** When that cannot be found out, it gets its name back. */
export function lookAtReplaced(hot: HotSession): Stats {
  try {
    return statSync(hot.twinPath);
  } catch (error) {
    exchangeBack(hot);
    throw error;
  }
}

/** The file that lies aside now is all there is of somebody's save: it is worth a second try. */
export function exchangeBack(hot: HotSession): void {
  try {
    native?.exchange(hot.twinPath, hot.path);
  } catch {
    exchangeIfThere(hot);
  }
}

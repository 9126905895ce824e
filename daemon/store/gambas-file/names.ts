// Exchanges the names of a session's file and its twin, or gives the session's name to the twin. Knows no contents.

import { renameSync, type Stats, statSync } from "node:fs";
import { isSystemError, native } from "../../files/files.ts";
import type { HotSession } from "./hot-sessions.ts";

/**
 * False when one of the two files is missing: a foreign writer ended the session, or another program removed the twin.
 */
export function exchangeIfThere(hot: HotSession): boolean {
  try {
    native?.exchange(hot.twinPath, hot.path);
    return true;
  } catch (error) {
    // The daemon does not know any more which file has which name, and the next write must not go into the wrong one.
    hot.forgetFiles();
    if (!isSystemError(error, "ENOENT", "ENOTDIR")) throw error;
    return false;
  }
}

/** Renames the twin over the session's file. False when another program has removed the twin. */
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

/**
 * The stat of the file that an exchange has replaced. If stat fails, the exchange is taken back before the error is
 * thrown.
 */
export function lookAtReplaced(hot: HotSession): Stats {
  try {
    return statSync(hot.twinPath);
  } catch (error) {
    exchangeBack(hot);
    throw error;
  }
}

/**
 * Takes an exchange back, at a second try if need be: the replaced file may be the only copy of a foreign writer's
 * save.
 */
export function exchangeBack(hot: HotSession): void {
  try {
    native?.exchange(hot.twinPath, hot.path);
  } catch {
    exchangeIfThere(hot);
  }
}

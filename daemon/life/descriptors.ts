// How many files this process may have open.

import { readFileSync } from "node:fs";

/** Undefined where the system does not say. */
export function maxOpenFiles(): number | undefined {
  try {
    const [, soft] = /^Max open files\s+(\d+)/m.exec(readFileSync("/proc/self/limits", "latin1")) ?? [];
    return soft === undefined ? undefined : Number(soft);
  } catch {
    // No such file: another system, or one that is about to say so more clearly.
    return undefined;
  }
}

// Where the daemon of a root writes its pid. Which process that is matters to messages only: a daemon that was killed leaves the file behind.

import { readFileSync } from "node:fs";
import { join } from "node:path";

export function pathOfPid(root: string): string {
  return join(root, "sessiond.pid");
}

/** The pid of the daemon that was elected last; undefined where none can be read. */
export function electedPid(root: string): number | undefined {
  try {
    const pid = Number.parseInt(readFileSync(pathOfPid(root), "latin1"), 10);
    return pid > 0 ? pid : undefined;
  } catch {
    // Whatever the system error: the message does without.
    return undefined;
  }
}

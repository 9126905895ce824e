// Where the daemon of a root and type writes its pid. Which process that is matters to messages only: a daemon that was killed leaves the file behind.

import { readFileSync } from "node:fs";
import { daemonPath, type Places } from "../../protocol/places.ts";

export function pathOfPid(places: Pick<Places, "root" | "type">): string {
  return daemonPath(places, ".pid");
}

/** The pid of the daemon that was elected last; undefined where none can be read. */
export function electedPid(places: Pick<Places, "root" | "type">): number | undefined {
  try {
    const pid = Number.parseInt(readFileSync(pathOfPid(places), "latin1"), 10);
    return pid > 0 ? pid : undefined;
  } catch {
    // Whatever the system error: the message does without.
    return undefined;
  }
}

// Whether the daemon that answers is the one that this worker was configured for: it would make this application's sessions among others.

import { statSync } from "node:fs";
import { join } from "node:path";
import { isBackend } from "../../protocol/backend-name.ts";
import { SessionError } from "../../protocol/errors.ts";
import type { Places } from "../../protocol/places.ts";

const REMEDY = "Let both have the same; a daemon of a former configuration is ended by gambas-sessiond stop.";

/** Refuses a daemon that keeps its sessions elsewhere than this worker was configured for: they would be other sessions. */
export function checkKeeps({ socket }: Places, told: string, wanted: string): void {
  if (isBackend(told, wanted)) return;
  const what = `The daemon on ${socket} keeps its sessions in ${told}, and this process was configured for ${wanted}.`;
  throw new SessionError("ERR_BAD_OPTION", what, { remedy: REMEDY });
}

/**
 * Refuses the daemon of another root that has got hold of the socket: it would make this root's sessions in its own.
 */
export function checkServes({ root, socket }: Places, directory: string): void {
  const wanted = join(root, "session");
  // "": the daemon keeps its sessions in no files.
  if (directory === "" || directory === wanted || isSameDirectory(directory, wanted)) return;
  const what = `The daemon on ${socket} keeps its sessions in ${directory}, not in ${wanted}.`;
  throw new SessionError("ERR_BAD_OPTION", what, { remedy: REMEDY });
}

/** Whether two paths lead to one directory: through a symbolic link, say. */
function isSameDirectory(one: string, other: string): boolean {
  try {
    const [a, b] = [statSync(one), statSync(other)];
    return a.ino === b.ino && a.dev === b.dev;
  } catch {
    // Any system error: a directory that this worker cannot look at does not count as the same.
    return false;
  }
}

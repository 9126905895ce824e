// Whether a worker may talk to the socket at the daemon's path: the user who made the socket gets to read every
// session. Knows no protocol.

import { lstatSync, type Stats } from "node:fs";
import { dirname } from "node:path";
import { SessionError } from "../../protocol/errors.ts";
import type { Places } from "../../protocol/places.ts";

/**
 * Checks that our user owns the socket, and the root where the socket lies in it. No other user can make a file that
 * our user owns, nor replace one in a directory that our user owns.
 *
 * @throws SessionError ERR_BAD_ROOT, naming the owner.
 */
export function checkIsOurs({ root, socket }: Places): void {
  const paths = dirname(socket) === root ? [root, socket] : [socket];
  const uid = process.getuid?.();
  for (const path of paths) {
    const stat = statQuietly(path);
    if (stat === undefined || uid === undefined) return;
    if (stat.uid !== uid) throw new SessionError("ERR_BAD_ROOT", `${path} belongs to uid ${stat.uid}, not to ${uid}.`);
  }
}

/** Undefined: there is no socket to talk to. Connecting, or starting a daemon, tells any other problem. */
function statQuietly(path: string): Stats | undefined {
  try {
    return lstatSync(path);
  } catch {
    // Any system error: connecting meets it too.
    return undefined;
  }
}

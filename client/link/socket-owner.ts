// Whether what is at the socket's path may be talked to: whoever made it gets to read every session. Knows nothing of what is said.

import { lstatSync, type Stats } from "node:fs";
import { dirname } from "node:path";
import { SessionError } from "../../protocol/errors.ts";
import type { Places } from "../../protocol/places.ts";

/**
 * Nobody else can make a file that is ours, nor put another one in its place in a directory that is ours.
 *
 * @throws SessionError ERR_BAD_ROOT, naming whose it is.
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

/** Undefined: there is nobody to talk to. Whoever starts a daemon finds out what else is wrong. */
function statQuietly(path: string): Stats | undefined {
  try {
    return lstatSync(path);
  } catch {
    // Whatever the system error: connecting meets it too.
    return undefined;
  }
}

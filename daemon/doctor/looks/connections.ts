// Which processes are connected to a socket: the system's own list knows, where there is a program that prints it.

import { execFile } from "node:child_process";
import { promisify } from "node:util";

const ASKED_MS = 3_000;
const MAX_BYTES = 32 * 1024 * 1024;
/** State, queues, path and inode of one end, path and inode of the other, processes that have it. */
const ROW = /^\S+ +\S+ +\d+ +\d+ +(.*?) +(\d+) +(.*?) +(\d+)(?: +(users:.*))?$/;

/** The processes at the other ends; undefined where that cannot be found out. @param folder of the socket. */
export async function pidsConnectedTo(daemon: number, folder: string): Promise<ReadonlySet<number> | undefined> {
  try {
    const options = { timeout: ASKED_MS, maxBuffer: MAX_BYTES };
    const { stdout } = await promisify(execFile)("ss", ["-xpH"], options);
    return pidsIn(stdout, daemon, folder);
  } catch {
    // Whatever it is: not installed, not allowed, too slow. Then it is not known.
    return undefined;
  }
}

/** A daemon's end has the path under which it began to listen, which is in the folder of its socket and has another name. */
function pidsIn(list: string, daemon: number, folder: string): ReadonlySet<number> {
  const rows = list.split("\n").flatMap((line) => {
    const [, path = "", inode = "", , peer = "", users = ""] = ROW.exec(line.trim()) ?? [];
    return inode === "" ? [] : [{ path, inode, peer, pids: pidsOf(users) }];
  });
  const ends = rows.filter(({ path, pids }) => path.startsWith(`${folder}/`) && pids.includes(daemon));
  const peers = new Set(ends.map(({ peer }) => peer));
  return new Set(rows.filter(({ inode }) => peers.has(inode)).flatMap(({ pids }) => pids));
}

function pidsOf(users: string): readonly number[] {
  return [...users.matchAll(/pid=(\d+)/g)].map(([, pid]) => Number(pid));
}

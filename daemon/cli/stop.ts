// The command `stop`: has the daemon leave, and waits until it has given up its place.

import { setTimeout as pause } from "node:timers/promises";
import { SessionError } from "../../protocol/errors.ts";
import { resolveConfig } from "../config.ts";
import { electedPid, Peer } from "../peer/peer.ts";
import type { Errand } from "./terminal/errand.ts";
import { noDaemonOn } from "./terminal/refusals.ts";

const LOOK_MS = 10;
/** It answers what has arrived, which may wait for the lock of another program as long as `lockWaitMs`. */
const MAX_LEAVE_MS = 60_000;
/** From its last step to the end of its process. A daemon inside an application leaves that running. */
const MAX_END_MS = 1_000;

export async function stop({ options, form, say }: Errand): Promise<boolean> {
  const config = resolveConfig(options);
  const pid = await new Peer(config).retire();
  if (pid === undefined) throw noDaemonOn(config);
  // Its pid file is the last thing that it removes; the next daemon may have put its own there.
  const hasLeft = await comesTrue(() => electedPid(config) !== pid, MAX_LEAVE_MS);
  if (!hasLeft) {
    const what = `The daemon (pid ${pid}) on ${config.socket} was asked to leave and has not for ${MAX_LEAVE_MS / 1000} s.`;
    throw new SessionError("ERR_OVERLOADED", what);
  }
  await comesTrue(() => !isThere(pid), MAX_END_MS);
  const { root, socket } = config;
  if (form === "json") await say(`${JSON.stringify({ pid, root, socket })}\n`);
  else await say(`The daemon (pid ${pid}) on ${socket} has left. Workers that need one may start the next.\n`);
  return true;
}

async function comesTrue(look: () => boolean, maxMs: number): Promise<boolean> {
  const deadlineMs = performance.now() + maxMs;
  while (!look()) {
    if (performance.now() > deadlineMs) return false;
    await pause(LOOK_MS);
  }
  return true;
}

function isThere(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    // ESRCH: it has ended. EPERM: it is another user's.
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

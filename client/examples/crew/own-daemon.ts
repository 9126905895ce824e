// A daemon that the example may have to end. An application needs none of this, since `session()` starts a daemon by itself.

import { setTimeout as delay } from "node:timers/promises";
import { type Client, type ConnectOptions, connect, SessionError } from "gambas-session";

const LEAVES_MS = 5_000;
const LOOK_AGAIN_MS = 10;

export interface DaemonOfRoot {
  readonly client: Client;
  /** False: the daemon was there before us, and stays. */
  readonly isOurs: boolean;
}

/** The daemon that is there, or one that is started. */
export async function ensureDaemon(options: ConnectOptions = {}): Promise<DaemonOfRoot> {
  try {
    return { client: await connect({ ...options, spawn: false }), isOurs: false };
  } catch (error) {
    if (!(error instanceof SessionError && error.code === "ERR_DAEMON_UNAVAILABLE")) throw error;
    return { client: await connect(options), isOurs: true };
  }
}

/** Ends the daemon that serves now: if the first one died meanwhile, the workers have started another. */
export async function leaveDaemon({ client, isOurs }: DaemonOfRoot): Promise<void> {
  if (isOurs) {
    const { pid } = await client.status();
    process.kill(pid, "SIGTERM");
    await hasEnded(pid);
  }
  client.close();
}

/** Resolves when the process is gone, or has had time enough. */
async function hasEnded(pid: number): Promise<void> {
  const deadlineMs = performance.now() + LEAVES_MS;
  while (isRunning(pid) && performance.now() < deadlineMs) await delay(LOOK_AGAIN_MS);
}

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

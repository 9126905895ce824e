// The command `run`: a daemon in the foreground. Readiness, and what a daemon does that was not elected.

import { writeSync } from "node:fs";
import { SessionError } from "../../protocol/errors.ts";
import { type DaemonOptions, resolveConfig, TYPES } from "../config.ts";
import { Peer } from "../peer/peer.ts";
import { type Daemon, startDaemon } from "../start.ts";
import { logNodeEvents } from "./node-events.ts";

const STDOUT = 1;
/** What a daemon makes is its user's alone, and the user's indeed, whatever umask it was started with. */
const UMASK = 0o077;
/** Enough for a daemon that leaves after many others have been started in its place. */
const MAX_TAKEOVER_TRIES = 2_000;
const TAKEOVER_PAUSE_MS = 5;
/**
 * From its election until it answers another daemon takes milliseconds, on a busy machine seconds, and longer where it looks for a server that is away:
 * until so long before those who wait for this one wait no more.
 */
const JOIN_MARGIN_MS = 2_000;
const JOIN_TRIES = 20;

export interface RunOptions {
  readonly options: DaemonOptions;
  /** Where a client waits to be told that a daemon serves; undefined: people are told on standard output. */
  readonly readyFd: number | undefined;
  /** A daemon that runs is asked to leave. */
  readonly takesOver: boolean;
  /** Aborted when somebody asks this daemon to leave, be it before it serves. */
  readonly leaving: AbortSignal;
}

/** Ends the process when the daemon has left. Resolves only where another daemon serves, or none is wanted any more. */
export async function run(how: RunOptions): Promise<void> {
  process.umask(UMASK);
  logNodeEvents(resolveConfig(how.options));
  const daemon = how.takesOver ? await takeOver(how) : await startOrJoin(how);
  if (daemon === undefined) return;
  const stop = (): void => void daemon.stop();
  if (how.leaving.aborted) stop();
  else how.leaving.addEventListener("abort", stop);
  if (how.readyFd === undefined) tell(STDOUT, `gambas-sessiond is ready on ${daemon.socket} (pid ${process.pid})\n`);
  else tell(how.readyFd, "\n");
  await daemon.stopped;
  // A supervisor starts it again where it has lost its place.
  process.exit(daemon.hasLostPlace ? 1 : 0);
}

/**
 * A daemon that a client spawned finds its place taken as often as not: it waits until the other daemon answers, says so, and leaves. An other
 * daemon of an older version is asked to leave instead.
 */
async function startOrJoin({ options, readyFd, leaving }: RunOptions): Promise<Daemon | undefined> {
  const deadlineMs = performance.now() + TYPES[resolveConfig(options).type].startMs - JOIN_MARGIN_MS;
  for (let tries = JOIN_TRIES; ; ) {
    try {
      return await startDaemon(options);
    } catch (error) {
      if (!isTaken(error) || readyFd === undefined || performance.now() > deadlineMs) throw error;
    }
    if (leaving.aborted) return undefined;
    const other = new Peer(resolveConfig(options));
    // The older daemon leaves in a moment, and nobody serves until we do.
    if (await other.retireOlder()) tries = 1;
    else if (await other.isServing(tries)) {
      tell(readyFd, "\n");
      return undefined;
    }
  }
}

/**
 * Asks the daemon that runs to leave and starts as soon as it has. Workers send their unanswered calls to the next daemon, whichever that is; if
 * one of them was quicker to start one, that is asked to leave as well.
 */
async function takeOver({ options, leaving }: RunOptions): Promise<Daemon | undefined> {
  for (let tries = 1; ; tries++) {
    try {
      return await startDaemon(options);
    } catch (error) {
      if (!isTaken(error) || tries === MAX_TAKEOVER_TRIES) throw error;
    }
    if (leaving.aborted) return undefined;
    const retired = await new Peer(resolveConfig(options)).retire();
    if (retired === undefined) await new Promise((resolve) => setTimeout(resolve, TAKEOVER_PAUSE_MS));
  }
}

function isTaken(error: unknown): boolean {
  return error instanceof SessionError && error.code === "ERR_DAEMON_RUNNING";
}

/** The client that waited for it may have gone meanwhile, or its disk be full: others may still come. */
function tell(fd: number, text: string): void {
  try {
    writeSync(fd, text);
  } catch {
    // Any system error of write; see above.
  }
}

// Starts a daemon in a process group of its own and waits until it says that it is ready. Then a daemon answers: the
// started one, or another one that won the election.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { SessionError } from "../../protocol/errors.ts";
import type { Places } from "../../protocol/places.ts";
import type { DaemonProgram } from "./daemon-program.ts";

const KILLED = "killed";
const LATE = "it is not ready yet";
/** A start gets this time even if a call would wait for less: on a busy machine a start takes seconds. */
const MIN_START_MS = 10_000;

/** The Node program that runs this process: Linux can start it even when its file has been removed or replaced. */
const THIS_PROGRAM = "/proc/self/exe";
/** How a daemon that refuses to start begins its reason on standard error. */
const REFUSAL = /^gambas-sessiond: ERR_/m;
/**
 * Variables of the environment that the daemon must not inherit: those of node:cluster would make it join the cluster.
 */
const NOT_FOR_DAEMON = ["NODE_UNIQUE_ID", "NODE_CHANNEL_FD", "NODE_CHANNEL_SERIALIZATION_MODE", "NODE_OPTIONS"];

/**
 * @param patienceMs how long we wait for the daemon; a daemon that is ready later may serve later calls.
 * @returns undefined, or why this process cannot start a daemon although another process might: the release of this one
 * is not there any more, or not whole.
 * @throws SessionError ERR_DAEMON_UNAVAILABLE when the daemon refuses to start and says why, or is not ready in time.
 */
export async function spawnDaemon(
  places: Places,
  daemon: DaemonProgram,
  patienceMs: number,
): Promise<SessionError | undefined> {
  const program = daemon.get();
  if ("problem" in program) return lost(places, program.problem, program.advice);
  const command = [program.path, ...daemon.args, "--ready-fd", "3"];
  const forMs = Math.max(MIN_START_MS, patienceMs);
  const first = await run(process.execPath, command, forMs);
  const { outcome, said } = first.hasBegun ? first : await run(THIS_PROGRAM, command, forMs);
  // A daemon that was killed while it started is no failure: the connection tries again for as long as it may wait.
  if (outcome === "ready" || outcome === KILLED) return undefined;
  if (outcome !== LATE && !REFUSAL.test(said)) return lost(places, `${program.path}: ${outcome}. ${said.trim()}`);
  throw new SessionError(
    "ERR_DAEMON_UNAVAILABLE",
    `A daemon for ${places.root} could not be started: ${outcome}. ${said.trim()}`,
  );
}

function lost(places: Places, what: string, advice?: string): SessionError {
  const why = `No daemon answers on ${places.socket}, and this process cannot start one: ${what}.`;
  const remedy = "If a new release was installed, restart this process from it; otherwise install the package again.";
  return new SessionError("ERR_DAEMON_UNAVAILABLE", `${why} ${advice ?? remedy}`);
}

interface Outcome {
  readonly outcome: string;
  /** False where the system could not run the program: Node itself was removed, say. */
  readonly hasBegun: boolean;
  /** The end of the daemon's standard error. */
  readonly said: string;
}

async function run(program: string, command: readonly string[], patienceMs: number): Promise<Outcome> {
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !NOT_FOR_DAEMON.includes(name)));
  const child = spawn(program, command, {
    cwd: "/",
    detached: true,
    env,
    stdio: ["ignore", "ignore", "pipe", "pipe"],
  });
  const [errors, ready] = [child.stderr, child.stdio[3]];
  let said = "";
  errors?.setEncoding("utf8").on("data", (text: string) => {
    said = (said + text).slice(-2000);
  });
  let timer: NodeJS.Timeout | undefined;
  const outcome = await Promise.race([
    once(ready as NodeJS.ReadableStream, "data").then(() => "ready"),
    once(child, "close").then(([code, signal]) => (signal === null ? `it ended with ${code}` : KILLED)),
    once(child, "error").then(([error]) => String(error)),
    new Promise<string>((resolve) => {
      timer = setTimeout(resolve, patienceMs, LATE);
    }),
  ]).catch((error: unknown) => String(error));
  clearTimeout(timer);
  child.unref();
  errors?.destroy();
  (ready as NodeJS.ReadableStream & { destroy(): void }).destroy();
  return { outcome, hasBegun: child.pid !== undefined, said };
}

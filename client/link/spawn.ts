// Starts a daemon of its own process group and waits until it says it is ready. Whether that one or another was elected, one answers then.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { SessionError } from "../../protocol/errors.ts";
import type { Places } from "../../protocol/places.ts";

const KILLED = "killed";
const LATE = "it is not ready yet";
/** However little a call would wait: on a busy machine a start takes seconds. */
const MIN_START_MS = 10_000;

export interface SpawnOptions {
  readonly idleExitMs: number;
  readonly durability: string;
}

/** The daemon is spawned, never imported: a worker that only uses sessions loads nothing of it. */
const DAEMON = fileURLToPath(new URL("../../daemon/main.js", import.meta.url));
/** Then it may be gone because its release was removed while this process went on. */
const wasThere = existsSync(DAEMON);
/** The program of this very process: it can be run when its file has been removed or replaced. */
const THIS_PROGRAM = "/proc/self/exe";
/** What a daemon of ours says when it refuses to start. */
const REFUSAL = /^gambas-sessiond: ERR_/m;
/** What node:cluster tells its workers would make the daemon take part in the cluster. */
const NOT_FOR_DAEMON = ["NODE_UNIQUE_ID", "NODE_CHANNEL_FD", "NODE_CHANNEL_SERIALIZATION_MODE", "NODE_OPTIONS"];

/**
 * @param patienceMs how long it is waited for; one that is not ready by then may serve later calls.
 * @returns undefined, or why this process can start none although another one might: its release is not there any more, or not whole.
 * @throws SessionError ERR_DAEMON_UNAVAILABLE when the daemon says why none can be.
 */
export async function spawnDaemon(
  places: Places,
  options: SpawnOptions,
  patienceMs: number,
): Promise<SessionError | undefined> {
  if (!existsSync(DAEMON)) return lost(places, `${DAEMON} is not there${wasThere ? " any more" : ""}`);
  const forMs = Math.max(MIN_START_MS, patienceMs);
  const first = await run(process.execPath, places, options, forMs);
  const { outcome, said } = first.hasBegun ? first : await run(THIS_PROGRAM, places, options, forMs);
  // Killed while it started: whoever needs a daemon tries again, as long as it is willing to wait.
  if (outcome === "ready" || outcome === KILLED) return undefined;
  if (outcome !== LATE && !REFUSAL.test(said)) return lost(places, `${DAEMON}: ${outcome}. ${said.trim()}`);
  throw new SessionError(
    "ERR_DAEMON_UNAVAILABLE",
    `A daemon for ${places.root} could not be started: ${outcome}. ${said.trim()}`,
  );
}

/** Whether this process has lost what it was started with, so that one of the next release is likely to start a daemon. */
export function mayBeReplaced(): boolean {
  return wasThere && !existsSync(DAEMON);
}

function lost(places: Places, what: string): SessionError {
  const why = `No daemon answers on ${places.socket}, and this process cannot start one: ${what}.`;
  const remedy = "If a new release was installed, restart this process from it; otherwise install the package again.";
  return new SessionError("ERR_DAEMON_UNAVAILABLE", `${why} ${remedy}`);
}

interface Outcome {
  readonly outcome: string;
  /** False where the program could not even be run: Node itself was removed, say. */
  readonly hasBegun: boolean;
  /** On its standard error. */
  readonly said: string;
}

async function run(program: string, places: Places, options: SpawnOptions, patienceMs: number): Promise<Outcome> {
  const args = ["--root", places.root, "--socket", places.socket, "--ready-fd", "3"];
  args.push("--idle-exit-ms", String(options.idleExitMs), "--durability", options.durability);
  args.push("--log-file", join(places.root, "sessiond.log"));
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !NOT_FOR_DAEMON.includes(name)));
  const child = spawn(program, [DAEMON, ...args], {
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

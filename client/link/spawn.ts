// Starts a daemon that is nobody's child and waits until it says that it is ready. Then a daemon answers: the started one, or another one that
// won the election.

import { accessSync, constants } from "node:fs";
import { SessionError } from "../../protocol/errors.ts";
import type { Places } from "../../protocol/places.ts";
import { TYPES } from "../../protocol/types.ts";
import type { DaemonProgram } from "./daemon-program.ts";
import { startNobodysChild } from "./nobodys-child.ts";

/** How a daemon that refuses to start begins its reason on standard error. */
const REFUSAL = /^gambas-sessiond: ERR_/m;
/** What Node's permission model says to who may start nothing. */
const FORBIDDEN = /Access to this API has been restricted/;
const PERMIT =
  "Node's permission model forbids it: allow this process to start others (--allow-child-process), or start gambas-sessiond by yourself.";
/** What the system says to who may open no more files: a process that is started needs some for its pipes. */
const NO_DESCRIPTORS = /\b(?:EMFILE|ENFILE)\b/;
/** A daemon that refuses says what to do. */
const OWN_REMEDY = "";
export const OPEN_MORE =
  "See that it may open more files (ulimit -n, LimitNOFILE= of systemd), or what keeps so many open: ls -l /proc/<pid>/fd shows them.";
const LATE = "Call again: it may be by then. gambas-sessiond doctor looks for what may keep it.";
/**
 * Variables of the environment that are meant for this process alone: a daemon that had them would join its cluster, load what its author gave
 * Node for it, or speak to its supervisor in its name.
 */
const NOT_FOR_DAEMON =
  /^(?:NODE_(?:UNIQUE_ID|CHANNEL_.*|OPTIONS|APP_INSTANCE)|WATCH_REPORT_DEPENDENCIES|PM2_.*|pm_.*|NOTIFY_SOCKET|WATCHDOG_.*|LISTEN_(?:FDS|PID|FDNAMES|PIDFDID))$/;

/**
 * @param patienceMs how long we wait for the daemon, but no shorter than its type takes; a daemon that is ready later may serve later calls.
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
  const args = [program.path, ...daemon.args, "--ready-fd", "3"];
  const { outcome, said } = await startNobodysChild(
    nodeProgram(),
    args,
    environment(daemon.env),
    Math.max(TYPES[places.type].startMs, patienceMs),
  );
  if (outcome === "ready") return undefined;
  // A daemon that was killed while it started says nothing, and is no failure: the connection tries again for as long as it may wait.
  if (outcome === "ended" && said === "") return undefined;
  if (FORBIDDEN.test(said)) return lost(places, `${program.path} (${said.replace(/\.+$/, "")})`, PERMIT);
  if (outcome === "failed" && NO_DESCRIPTORS.test(said)) return lost(places, said, OPEN_MORE);
  if (outcome !== "late" && !REFUSAL.test(said)) return lost(places, `${program.path}: ${said}`);
  const [what, remedy] = outcome === "late" ? ["it is not ready yet", LATE] : ["it ended", OWN_REMEDY];
  const why = `A daemon for ${places.root} could not be started: ${what}. ${said}`.trim();
  throw new SessionError("ERR_DAEMON_UNAVAILABLE", why, { remedy });
}

function lost(places: Places, what: string, advice?: string): SessionError {
  const why = `No daemon answers on ${places.socket}, and this process cannot start one: ${what}.`;
  const remedy = "If a new release was installed, restart this process from it; otherwise install the package again.";
  return new SessionError("ERR_DAEMON_UNAVAILABLE", why, { remedy: advice ?? remedy });
}

function environment(own: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const inherited = Object.entries(process.env).filter(([name]) => !NOT_FOR_DAEMON.test(name));
  return { ...Object.fromEntries(inherited), ...own };
}

/** The program that runs this process: Linux can start it even when its file has been removed or replaced. */
function nodeProgram(): string {
  try {
    accessSync(process.execPath, constants.X_OK);
    return process.execPath;
  } catch {
    // Whatever the system error: that file cannot be started.
    return process.platform === "linux" ? `/proc/${process.pid}/exe` : process.execPath;
  }
}

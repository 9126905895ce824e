// What `npm start` runs: four HTTP workers that share sessions, and the daemon behind them. Ctrl-C ends all of it.

import cluster from "node:cluster";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { type Client, connect, SessionError } from "gambas-session";
import { Team } from "./crew/team.ts";
import { type Daemon, type Grants, grantWishes } from "./crew/wishes.ts";
import { runWorker } from "./worker.ts";

const WORKERS = 4;
const FIRST_PORT = 8080;
const PORTS_TRIED = 100;
const DAEMON_LEAVES_MS = 5_000;
const LOOK_AGAIN_MS = 10;

if (!cluster.isPrimary) runWorker();
else process.exit(await runPrimary());

/** Resolves to the exit status when everything it started is gone. */
async function runPrimary(): Promise<number> {
  const asked = new Promise<false>((resolve) => {
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => resolve(false));
  });
  try {
    await serve(asked);
    return 0;
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    return 1;
  }
}

/** Serves until it is `asked` to end. */
async function serve(asked: Promise<false>): Promise<void> {
  const port = await freePort(process.env.PORT);
  const daemon = await ensureDaemon();
  // What workers make tokens with: forms that kill processes are taken from pages of this run only.
  const TOKEN_KEY = randomBytes(32).toString("hex");
  const team = new Team(WORKERS, { PORT: String(port), WORKERS: String(WORKERS), TOKEN_KEY });
  grantWishes(grantsOf(team, daemon));
  try {
    const isReady = await Promise.race([team.start().then(() => true), asked]);
    if (isReady) announce(port, daemon.client);
    await asked;
  } finally {
    await team.stop();
    await leaveDaemon(daemon);
  }
}

function announce(port: number, client: Client): void {
  console.log(`Ready: http://127.0.0.1:${port}/ (${WORKERS} workers; Ctrl-C ends them and the daemon)`);
  if (client.directory === "") return;
  console.log(`Sessions are files in ${client.directory}; Gambas programs read them with Session.Type = "file".`);
}

interface DaemonOfRoot {
  readonly client: Client;
  /** False: the daemon was there before us, and stays. */
  readonly isOurs: boolean;
}

/** What a worker may ask for: it ends nothing but what the example has started. */
function grantsOf(team: Team, daemon: DaemonOfRoot): Grants {
  const whichDaemon = async (): Promise<Daemon> => {
    const { pid } = await daemon.client.status();
    return { pid, isOurs: daemon.isOurs };
  };
  return {
    "which daemon": whichDaemon,
    "kill the daemon": async () => {
      if (!daemon.isOurs) return null;
      const { pid } = await daemon.client.status();
      process.kill(pid, "SIGKILL");
      return { pid, isOurs: true };
    },
    "kill a worker": (mortal) => team.kill(mortal),
  };
}

/** An application needs none of this, since `session()` starts a daemon by itself. The example wants to know whether the daemon is its own to end. */
async function ensureDaemon(): Promise<DaemonOfRoot> {
  try {
    return { client: await connect({ spawn: false }), isOurs: false };
  } catch (error) {
    if (!(error instanceof SessionError && error.code === "ERR_DAEMON_UNAVAILABLE")) throw error;
    return { client: await connect(), isOurs: true };
  }
}

/** Ends the daemon that serves now: if the first one died meanwhile, the workers have started another. */
async function leaveDaemon({ client, isOurs }: DaemonOfRoot): Promise<void> {
  if (isOurs) {
    const { pid } = await client.status();
    process.kill(pid, "SIGTERM");
    await hasEnded(pid);
  }
  client.close();
}

/** Resolves when the process is gone, or has had time enough. */
async function hasEnded(pid: number): Promise<void> {
  const deadlineMs = performance.now() + DAEMON_LEAVES_MS;
  while (isRunning(pid) && performance.now() < deadlineMs) await delay(LOOK_AGAIN_MS);
}

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

/** The port that was asked for, or the first free one from 8080 on. */
async function freePort(asked: string | undefined): Promise<number> {
  const [first, last] =
    asked === undefined ? [FIRST_PORT, FIRST_PORT + PORTS_TRIED - 1] : [portOf(asked), portOf(asked)];
  for (let port = first; port <= last; port++) {
    const free = await tryPort(port);
    if (free !== undefined) return free;
  }
  throw new Error(`No port from ${first} to ${last} is free on 127.0.0.1; choose another one with PORT.`);
}

function portOf(text: string): number {
  const port = Number(text);
  if (/^\d+$/.test(text) && port <= 65_535) return port;
  throw new Error(`PORT is a number from 0 (any) to 65535, not ${JSON.stringify(text)}.`);
}

/** The port, for 0 the one that the system chose; undefined when another program has it. */
async function tryPort(port: number): Promise<number | undefined> {
  const server = createServer();
  try {
    server.listen(port, "127.0.0.1");
    await once(server, "listening");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EADDRINUSE") throw error;
    return undefined;
  }
  const address = server.address();
  server.close();
  await once(server, "close");
  return typeof address === "object" ? address?.port : undefined;
}

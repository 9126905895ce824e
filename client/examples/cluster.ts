// What `npm start` runs: four HTTP workers that share sessions, and the daemon behind them. Ctrl-C ends all of it. With TYPE=sqlite their
// sessions are in databases; with TYPE=redis they are on two hosts, each with a daemon of its own, and their sessions in one Redis.

import cluster, { type Worker } from "node:cluster";
import { randomBytes } from "node:crypto";
import { type Ends, type Host, hostOf, openHosts, WORKERS } from "./crew/hosts.ts";
import { GUARD_COMMAND } from "./crew/own-sqlite.ts";
import { type Daemon, type Grants, grantWishes } from "./crew/wishes.ts";
import { runWorker } from "./worker.ts";

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
  // What workers make tokens with: forms that kill processes are taken from pages of this run only.
  const TOKEN_KEY = randomBytes(32).toString("hex");
  const ends: Ends = [];
  try {
    const hosts = await openHosts(process.env, { TOKEN_KEY }, ends);
    grantWishes((worker) => grantsOf(hosts, worker));
    const isReady = await Promise.race([Promise.all(hosts.map(({ team }) => team.start())).then(() => true), asked]);
    if (isReady) await announce(hosts);
    await asked;
  } finally {
    for (const end of ends.reverse()) await end();
  }
}

async function announce(hosts: readonly Host[]): Promise<void> {
  const [first, second] = hosts;
  if (first === undefined) return;
  const what = second === undefined ? "the daemon" : "both daemons";
  console.log(`Ready: ${first.url} (${WORKERS} workers; Ctrl-C ends them and ${what})`);
  if (second !== undefined) console.log(`That is host 1; host 2 has the same sessions: ${second.url}`);
  const { type, root, fileSystem } = await first.daemon.client.status();
  if (type === "file")
    console.log(`Sessions are files in ${root}/session; Gambas programs read them with Session.Type = "file".`);
  if (type !== "sqlite") return;
  console.log(`Sessions are databases in ${root}/session; Gambas programs read them where they set no Session.Type.`);
  if (fileSystem?.guard !== true)
    console.log(`While a Gambas program runs no session is changed, for want of the package koffi: ${GUARD_COMMAND}`);
}

/** What a worker may ask for: it ends nothing but what the example has started. */
function grantsOf(hosts: readonly Host[], worker: Worker): Grants {
  const { daemon, team } = hostOf(hosts, worker) ?? strange();
  const whichDaemon = async (): Promise<Daemon> => {
    const { pid } = await daemon.client.status();
    return { pid, isOurs: daemon.isOurs };
  };
  const relayOf = (number: number) => hosts[number - 1]?.relay ?? strange();
  return {
    "which daemon": whichDaemon,
    "kill the daemon": async () => {
      if (!daemon.isOurs) return null;
      const { pid } = await daemon.client.status();
      process.kill(pid, "SIGKILL");
      return { pid, isOurs: true };
    },
    "kill a worker": (mortal) => team.kill(mortal),
    "cut a host off": async (number) => {
      const relay = relayOf(number);
      if (relay.isCut) return false;
      relay.cut();
      return true;
    },
    "heal a host": async (number) => {
      relayOf(number).heal();
      return null;
    },
  };
}

function strange(): never {
  throw new Error("That host is not there.");
}

// The Redis of `TYPE=redis npm start`: the one of GAMBAS_SESSION_REDIS, or a redis-server of our own that ends with the example.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { connect, type NetConnectOpts } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";

const LOOK_AGAIN_MS = 20;
const KEEPS = ["--appendonly", "yes", "--save", "", "--maxmemory-policy", "noeviction"];
const MISSING =
  "TYPE=redis needs a Redis. Install redis-server (Debian, Ubuntu: apt install redis-server; Fedora: dnf install valkey-compat-redis), or name one in GAMBAS_SESSION_REDIS=redis://HOST:PORT.";

export interface Redis {
  /** Where a relay finds it. */
  readonly address: NetConnectOpts;
  /** The URL of it behind a relay on this port. */
  urlAt(port: number): string;
  end(): Promise<void>;
}

/** @throws Error with what to install. */
export async function ensureRedis(named: string | undefined): Promise<Redis> {
  return named ? redisOf(named) : startRedis();
}

/** What is said behind the host (a data base, a password) goes along. */
function redisOf(named: string): Redis {
  const url = URL.canParse(named) ? new URL(named) : undefined;
  if (url?.protocol !== "redis:" || url.hostname === "")
    throw new Error(
      "With TYPE=redis, GAMBAS_SESSION_REDIS is redis://HOST:PORT: the example puts a relay of its own before it.",
    );
  const address = { host: url.hostname, port: Number(url.port || 6379) };
  const urlAt = (port: number): string => {
    const own = new URL(url);
    own.host = `127.0.0.1:${port}`;
    return String(own);
  };
  return { address, urlAt, end: async () => undefined };
}

/** On a Unix socket: nobody else finds it, and it takes no port. */
async function startRedis(): Promise<Redis> {
  const folder = mkdtempSync(join(tmpdir(), "gs-example-redis-"));
  const path = join(folder, "s");
  // A process group of its own: Ctrl-C is for the example, which ends it last.
  const flags = ["--port", "0", "--unixsocket", path, "--dir", folder, "--logfile", "log", ...KEEPS];
  const child = spawn("redis-server", flags, { stdio: "ignore", detached: true });
  const end = async (): Promise<void> => {
    if (child.exitCode === null && child.signalCode === null && child.pid !== undefined) {
      const exited = once(child, "exit");
      child.kill();
      await exited;
    }
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    await begun(child, path);
    return { address: { path }, urlAt: (port) => `redis://127.0.0.1:${port}`, end };
  } catch (error) {
    await end();
    throw error;
  }
}

async function begun(child: ChildProcess, path: string): Promise<void> {
  let problem: Error | undefined;
  child.once("error", ({ code }: NodeJS.ErrnoException) => {
    problem = new Error(code === "ENOENT" ? MISSING : `redis-server could not be started (${code}).`);
  });
  child.once("exit", (code, signal) => {
    problem = new Error(`redis-server has ended at once (${signal ?? `code ${code}`}).`);
  });
  while (!(await isThere(path))) {
    if (problem !== undefined) throw problem;
    await delay(LOOK_AGAIN_MS);
  }
  child.removeAllListeners("exit");
}

function isThere(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}

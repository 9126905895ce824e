// Real Redis servers for tests: each in a directory of its own, on 127.0.0.1 and a Unix socket, ended with what it keeps.

import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createConnection, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe } from "vitest";
import { requireGambas } from "../gambas/interop-name.ts";

function isInstalled(): boolean {
  try {
    execFileSync("redis-server", ["--version"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

/** Tests that need a redis-server are skipped where there is none, by a name that says so; in CI they fail there. */
export function describeWithRedis(name: string, tests: () => void): void {
  if (isInstalled() || requireGambas) describe(name, tests);
  else describe.skip(`${name} (needs redis-server)`, tests);
}

/** A port that was free a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, "close");
  return port;
}

export type Flags = readonly string[];

/** A server that keeps what it acknowledged over its end, and throws nothing away: what sessions want. */
export const KEEPING: Flags = ["--appendonly", "yes", "--maxmemory-policy", "noeviction", "--save", ""];

export class RedisProcess {
  readonly folder: string;
  readonly port: number;
  readonly socket: string;
  readonly #flags: Flags;
  #child: ChildProcess | undefined;

  private constructor(folder: string, port: number, flags: Flags) {
    this.folder = folder;
    this.port = port;
    this.socket = join(folder, "s");
    this.#flags = flags;
  }

  /** Resolves when it answers, if only with an error. */
  static async start(flags: Flags = KEEPING): Promise<RedisProcess> {
    const server = new RedisProcess(mkdtempSync(join(tmpdir(), "gs-redis-")), await freePort(), flags);
    await server.startAgain();
    return server;
  }

  get url(): string {
    return `redis://127.0.0.1:${this.port}`;
  }

  get socketUrl(): string {
    return `unix://${this.socket}`;
  }

  async startAgain(): Promise<void> {
    const own = ["--bind", "127.0.0.1", "--unixsocket", this.socket, "--dir", this.folder, "--logfile", "log"];
    const flags = ["--port", String(this.port), ...own, "--protected-mode", "no", "--daemonize", "no", ...this.#flags];
    this.#child = spawn("redis-server", flags, { stdio: "ignore" });
    await this.#answers();
  }

  signal(signal: NodeJS.Signals): void {
    this.#child?.kill(signal);
  }

  /** Ends the process; its files stay. */
  async kill(signal: NodeJS.Signals = "SIGKILL"): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, "exit");
    child.kill(signal);
    await exited;
  }

  async remove(): Promise<void> {
    await this.kill();
    rmSync(this.folder, { recursive: true, force: true });
  }

  /** What redis-cli says to a command, over the Unix socket. */
  cli(...args: readonly string[]): string {
    return execFileSync("redis-cli", ["-s", this.socket, ...args], { encoding: "utf8" }).trim();
  }

  async #answers(): Promise<void> {
    while (!(await this.#isAnswering())) {
      if (this.#child?.exitCode !== null) throw new Error(`redis-server ended at once: see ${this.folder}/log`);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }

  #isAnswering(): Promise<boolean> {
    return new Promise((resolve) => {
      const socket = createConnection(this.socket);
      socket.on("connect", () => socket.write("PING\r\n"));
      socket.on("error", () => resolve(false));
      socket.on("close", () => resolve(false));
      socket.on("data", (bytes) => {
        resolve(!String(bytes).startsWith("-LOADING"));
        socket.destroy();
      });
    });
  }
}

// Real Redis servers for tests: each in a directory of its own, on 127.0.0.1 and a Unix socket, ended with what it keeps.

import { type ChildProcess, execFile, execFileSync, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createConnection } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { describe } from "vitest";
import { freePort } from "../free-port.ts";
import { requireGambas } from "../gambas/interop-name.ts";
import { until } from "../processes.ts";

function isInstalled(): boolean {
  try {
    execFileSync("redis-server", ["--version"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

export const hasRedis: boolean = isInstalled();

/** Tests that need a redis-server are skipped where there is none, by a name that says so; in CI they fail there. */
export function describeWithRedis(name: string, tests: () => void): void {
  if (hasRedis || requireGambas) describe(name, tests);
  else describe.skip(`${name} (needs redis-server)`, tests);
}

export type Flags = readonly string[];

/**
 * A server that keeps what it acknowledged over its end, and throws nothing away: what sessions want. With `everysec` it answers before it writes its log as long
 * as that is being flushed: what was answered in these moments is lost with its process.
 */
export const KEEPING: Flags = [
  ...["--appendonly", "yes", "--appendfsync", "always"],
  ...["--maxmemory-policy", "noeviction", "--save", ""],
];

/** Where a server runs. */
export interface Host {
  /** Of the server, as others see it. */
  readonly address: string;
  /** What runs a command there, as the process that was started. */
  command(program: string, ...args: readonly string[]): readonly string[];
}

/** This machine itself. */
export const HERE: Host = { address: "127.0.0.1", command: (program, ...args) => [program, ...args] };
/** The usual ones. */
export const REDIS_PORT = 6379;
export const SENTINEL_PORT = 26_379;

export class RedisProcess {
  readonly folder: string;
  readonly port: number;
  readonly socket: string;
  readonly #command: readonly string[];
  #child: ChildProcess | undefined;

  private constructor(folder: string, port: number, command: readonly string[], host: Host = HERE) {
    this.folder = folder;
    this.port = port;
    this.socket = join(folder, "s");
    const bound = ["--bind", ...new Set(["127.0.0.1", host.address])];
    const own = [...bound, "--unixsocket", this.socket, "--dir", folder, "--logfile", join(folder, "log")];
    this.#command = [...host.command("redis-server"), ...command, ...own, "--daemonize", "no"];
  }

  /** Resolves when it answers, if only with an error. */
  static async start(flags: Flags = KEEPING): Promise<RedisProcess> {
    const port = await freePort();
    return RedisProcess.#started(port, ["--port", String(port), "--protected-mode", "no", ...flags]);
  }

  /** Its port speaks TLS alone. */
  static async startTls(flags: Flags): Promise<RedisProcess> {
    const port = await freePort();
    return RedisProcess.#started(port, ["--port", "0", "--tls-port", String(port), "--protected-mode", "no", ...flags]);
  }

  /** @param watched lines of its configuration: what it watches. */
  static async startSentinel(watched: readonly string[]): Promise<RedisProcess> {
    const port = await freePort();
    const folder = mkdtempSync(join(tmpdir(), "gs-redis-"));
    // It keeps what it learns in the file.
    writeFileSync(join(folder, "sentinel.conf"), `port ${port}\nprotected-mode no\n${watched.join("\n")}\n`);
    return RedisProcess.#started(port, [join(folder, "sentinel.conf"), "--sentinel"], folder);
  }

  /** On another host, where every port is free; reached by others at its address. */
  static async startOn(host: Host, flags: Flags = KEEPING): Promise<RedisProcess> {
    const command = ["--port", String(REDIS_PORT), "--protected-mode", "no", ...flags];
    return RedisProcess.#begun(new RedisProcess(mkdtempSync(join(tmpdir(), "gs-redis-")), REDIS_PORT, command, host));
  }

  /** @param watched lines of its configuration: what it watches. */
  static async startSentinelOn(host: Host, watched: readonly string[]): Promise<RedisProcess> {
    const folder = mkdtempSync(join(tmpdir(), "gs-redis-"));
    const lines = [`port ${SENTINEL_PORT}`, "protected-mode no", `sentinel announce-ip ${host.address}`, ...watched];
    writeFileSync(join(folder, "sentinel.conf"), `${lines.join("\n")}\n`);
    const command = [join(folder, "sentinel.conf"), "--sentinel"];
    return RedisProcess.#begun(new RedisProcess(folder, SENTINEL_PORT, command, host));
  }

  static #started(port: number, command: readonly string[], folder?: string): Promise<RedisProcess> {
    return RedisProcess.#begun(new RedisProcess(folder ?? mkdtempSync(join(tmpdir(), "gs-redis-")), port, command));
  }

  static async #begun(server: RedisProcess): Promise<RedisProcess> {
    await server.startAgain();
    return server;
  }

  get url(): string {
    return `redis://127.0.0.1:${this.port}`;
  }

  get socketUrl(): string {
    return `unix://${this.socket}`;
  }

  get isRunning(): boolean {
    return this.#child !== undefined;
  }

  async startAgain(): Promise<void> {
    const [program = "", ...args] = this.#command;
    const child = spawn(program, args, { stdio: "ignore" });
    this.#child = child;
    // Rejects where there is no such program.
    await once(child, "spawn");
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

  /** What redis-cli says to a command, over the Unix socket. @throws where that is an error. */
  cli(...args: readonly string[]): string {
    return execFileSync("redis-cli", ["-e", "-s", this.socket, ...args], { encoding: "utf8", stdio: "pipe" }).trim();
  }

  /**
   * The same, while this process goes on: a link of its own would come to nothing between looks that it waits for. Asks again where the connection breaks:
   * a server that is given another role breaks all of them.
   */
  answer(...args: readonly string[]): Promise<string> {
    const ask = async (): Promise<string | undefined> => {
      try {
        const { stdout } = await promisify(execFile)("redis-cli", ["-e", "-s", this.socket, ...args], {
          encoding: "utf8",
        });
        return stdout.trim();
      } catch (error) {
        if (/Connection|LOADING/.test(String(error))) return undefined;
        throw error;
      }
    };
    return until(ask);
  }

  /** Whether a script keeps it from anything else. */
  isBusy(): boolean {
    return /^BUSY/.test(spawnSync("redis-cli", ["-s", this.socket, "GET", "x"], { encoding: "utf8" }).stdout);
  }

  async #answers(): Promise<void> {
    await until(async () => {
      if (await this.#isAnswering()) return true;
      if (this.#child?.exitCode !== null) throw new Error(`redis-server ended at once: see ${this.folder}/log`);
      return false;
    });
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

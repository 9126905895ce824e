// Everything that one part of the benchmark has running: servers, crews, directories. What a stage made it ends and removes.

import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Contender, MAX_STALE_MS, type Places, type ServerName } from "./contenders/contender.ts";
import { commandOf, missingProgram } from "./servers/commands.ts";
import { missingPackage } from "./servers/optional-packages.ts";
import { ServerProcess } from "./servers/server-process.ts";

const TMPFS = "/dev/shm";
const REDIS = "redis-aof";

interface Running {
  end(): Promise<void>;
  kill(): void;
}

interface Started {
  readonly server: ServerProcess;
  readonly directory: string;
}

export class Stage {
  readonly #running: Running[] = [];
  readonly #directories: string[] = [];
  /** By name, and the host of which it is. */
  readonly #servers = new Map<string, Started>();

  /** A fresh directory whose path is short enough for a Unix socket in it. */
  directory(fileSystem: "disk" | "tmpfs"): string {
    const directory = mkdtempSync(join(fileSystem === "tmpfs" ? TMPFS : tmpdir(), "gsb-"));
    this.#directories.push(directory);
    return directory;
  }

  /** Ends with the stage, in the reverse order. */
  keep<T extends Running>(running: T): T {
    this.#running.push(running);
    return running;
  }

  /** The server of that name, started by the first who asks. */
  async server(name: ServerName, host = 0): Promise<Started> {
    const key = `${name} ${host}`;
    const known = this.#servers.get(key);
    if (known !== undefined) return known;
    const settings = await this.#settingsOf(name);
    const directory = this.directory(name.endsWith("-tmpfs") ? "tmpfs" : "disk");
    const server = this.keep(await ServerProcess.start(commandOf(name, directory, settings)));
    const started = { server, directory };
    this.#servers.set(key, started);
    return started;
  }

  /**
   * Where a contender finds its server and its files on each host, and the processes of its servers. A daemon on Redis is there once for each host,
   * and they share one Redis; whatever else there is they all share.
   */
  async placesOf(
    contender: Contender,
    hosts = 1,
  ): Promise<{ readonly places: readonly Places[]; readonly serverPids: readonly number[] }> {
    const { server: name } = contender;
    if (name === undefined) {
      return { places: [{ socket: "", directory: this.directory(contender.fileSystem ?? "disk") }], serverPids: [] };
    }
    const behind = isOnRedis(name) ? [(await this.server(REDIS)).server.pid] : [];
    const started: Started[] = [];
    while (started.length < (isOnRedis(name) ? hosts : 1)) started.push(await this.server(name, started.length));
    return {
      places: started.map(({ server, directory }) => ({ socket: server.socket, directory })),
      serverPids: [...started.map(({ server }) => server.pid), ...behind],
    };
  }

  /** Flags of a daemon. */
  async #settingsOf(name: ServerName): Promise<readonly string[]> {
    if (name === "daemon-memory") return ["--type", "memory"];
    if (name.startsWith("daemon-sqlite")) return ["--type", "sqlite"];
    if (!isOnRedis(name)) return [];
    const { server } = await this.server(REDIS);
    const settings = ["--type", "redis", "--redis", `unix://${server.socket}`];
    return name === "daemon-redis-stale" ? [...settings, "--max-stale-ms", String(MAX_STALE_MS)] : settings;
  }

  async close(): Promise<void> {
    for (const running of this.#running.splice(0).toReversed()) await running.end();
    this.#removeDirectories();
  }

  kill(): void {
    for (const running of this.#running.splice(0)) running.kill();
    this.#removeDirectories();
  }

  #removeDirectories(): void {
    for (const directory of this.#directories.splice(0))
      rmSync(directory, { recursive: true, force: true, maxRetries: 3 });
  }
}

/** Why a contender cannot be measured on this machine, or undefined. */
export function whyMissing(contender: Contender): string | undefined {
  if (contender.fileSystem === "tmpfs" && !existsSync(TMPFS)) return `${TMPFS} is not there`;
  const { server, packages = [] } = contender;
  const program = server === undefined ? undefined : missingProgram(isOnRedis(server) ? REDIS : server);
  return program === undefined ? missingPackage(packages) : `${program} is not installed`;
}

function isOnRedis(name: ServerName): boolean {
  return name === "daemon-redis" || name === "daemon-redis-stale";
}

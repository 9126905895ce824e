// Everything that one part of the benchmark has running: servers, crews, directories. What a stage made it ends and removes.

import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Contender, Places, ServerName } from "./contenders/contender.ts";
import { commandOf, missingProgram } from "./servers/commands.ts";
import { ServerProcess } from "./servers/server-process.ts";

const TMPFS = "/dev/shm";

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
  readonly #servers = new Map<ServerName, Started>();

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
  async server(name: ServerName): Promise<Started> {
    const known = this.#servers.get(name);
    if (known !== undefined) return known;
    const directory = this.directory(name === "daemon-tmpfs" ? "tmpfs" : "disk");
    const server = this.keep(await ServerProcess.start(commandOf(name, directory)));
    const started = { server, directory };
    this.#servers.set(name, started);
    return started;
  }

  /** Where a contender finds its server and its files, and the process of its server. */
  async placesOf(contender: Contender): Promise<{ readonly places: Places; readonly serverPids: readonly number[] }> {
    if (contender.server === undefined) {
      return { places: { socket: "", directory: this.directory(contender.fileSystem ?? "disk") }, serverPids: [] };
    }
    const { server, directory } = await this.server(contender.server);
    return { places: { socket: server.socket, directory }, serverPids: [server.pid] };
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
  const program = contender.server === undefined ? undefined : missingProgram(contender.server);
  return program === undefined ? undefined : `${program} is not installed`;
}

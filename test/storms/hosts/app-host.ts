// A host of applications: a root of its own, workers, the daemon that they start, and a way to Redis. In a network namespace, or one of several on this
// machine itself.

import { spawn } from "node:child_process";
import { join } from "node:path";
import { daemonPid, freshRoot, killAndWait, removeRoot, until, WorkerProcess } from "../../support/processes.ts";
import type { Mode } from "../../support/redis/faulty-way.ts";
import type { Host } from "../../support/redis/redis-server.ts";
import { repository } from "../../support/repository.ts";
import { wrongClock } from "./changed-product.ts";

export interface AppHostOptions {
  readonly place: Host;
  /** The option redis of its workers; or the server at the end of a way that can be made bad. */
  readonly redis: string | { readonly host: string; readonly port: number };
  readonly durability?: "file" | "replica";
  /** The program of its daemon, if that is not the one that was built. */
  readonly daemonPath?: string;
  /** So far the clock of its workers is ahead. */
  readonly aheadMs?: number;
}

export class AppHost {
  readonly root: string = freshRoot();
  readonly #options: AppHostOptions;
  readonly #processes: WorkerProcess[] = [];
  #way: WorkerProcess | undefined;
  #url = "";

  private constructor(options: AppHostOptions) {
    this.#options = options;
  }

  static async start(options: AppHostOptions): Promise<AppHost> {
    const host = new AppHost(options);
    await host.#findWay();
    return host;
  }

  get hasWay(): boolean {
    return this.#way !== undefined;
  }

  startWorker(): WorkerProcess {
    const { durability = "file", daemonPath, aheadMs } = this.#options;
    return this.#start("test/storms/hosts/worker.js", {
      GAMBAS_SESSION_ROOT: this.root,
      GAMBAS_SESSION_TYPE: "redis",
      GAMBAS_SESSION_REDIS: this.#url,
      STORM_DURABILITY: durability,
      ...(daemonPath === undefined ? {} : { GAMBAS_SESSIOND: daemonPath }),
      ...(aheadMs === undefined
        ? {}
        : { NODE_OPTIONS: `--import data:text/javascript,${encodeURIComponent(wrongClock(aheadMs))}` }),
    });
  }

  get daemon(): number | undefined {
    return daemonPid(this.root, "redis");
  }

  /** Resolves to the pid of the daemon that is there, as soon as there is one. */
  daemonThere(): Promise<number> {
    return until(() => this.daemon);
  }

  async killDaemon(): Promise<void> {
    const { daemon } = this;
    if (daemon !== undefined) await killAndWait(daemon);
  }

  async makeWay(mode: Mode): Promise<void> {
    await this.#way?.call("become", mode);
  }

  /** Pieces of answers that its way keeps. */
  async kept(): Promise<number> {
    return (await this.#way?.call<number>("kept")) ?? 0;
  }

  /** Lets so many of them through. */
  async let(count: number): Promise<void> {
    await this.#way?.call("let", count);
  }

  /** Connections over its way so far. */
  async connections(): Promise<number> {
    return (await this.#way?.call<number>("connections")) ?? 0;
  }

  async close(): Promise<void> {
    await Promise.all(this.#processes.map((one) => one.kill()));
    await removeRoot(this.root);
  }

  async #findWay(): Promise<void> {
    const { redis } = this.#options;
    if (typeof redis === "string") this.#url = redis;
    else {
      this.#way = this.#start("test/storms/hosts/way.js", {});
      this.#url = await this.#way.call<string>("open", redis.port, redis.host);
    }
  }

  #start(script: string, env: NodeJS.ProcessEnv): WorkerProcess {
    const [program = "", ...args] = this.#options.place.command(process.execPath, join(repository, "dist", script));
    const stdio = ["ignore", "inherit", "inherit", "ipc"] as const;
    const worker = new WorkerProcess(spawn(program, args, { stdio: [...stdio], env: { ...process.env, ...env } }));
    this.#processes.push(worker);
    return worker;
  }
}

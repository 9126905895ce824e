// A Node worker in a house, led step by step like the oracle. The first of them brings the daemon along, which stays with the house.
import type { ChildProcess } from "node:child_process";
import { join } from "node:path";
import type { ConnectOptions, SessionOptions } from "../../client/options.ts";
import type { GambasHouse, SpawnOptions } from "../support/gambas/gambas-house.ts";
import { WorkerProcess } from "../support/processes.ts";
import { repository } from "../support/repository.ts";
import { pack, unpack } from "./packed.ts";
import type { Shown, Step } from "./programs/steps.ts";
import type { Reads } from "./programs/worker.ts";

const program = join(repository, "dist/test/gambas/programs/worker.js");

export class NodeSide {
  readonly #child: ChildProcess;
  readonly #worker: WorkerProcess;

  private constructor(child: ChildProcess) {
    this.#child = child;
    this.#worker = new WorkerProcess(child);
  }

  static start(house: GambasHouse, options: ConnectOptions = {}, more: SpawnOptions["env"] = {}): NodeSide {
    const env = {
      ...more,
      GAMBAS_SESSION_ROOT: undefined,
      GAMBAS_SESSION_SOCKET: undefined,
      CONNECT_OPTIONS: JSON.stringify(options),
    };
    return new NodeSide(house.startNode(program, [], { env, stdio: ["ignore", "inherit", "inherit", "ipc"] }));
  }

  /** One request: the steps in the context of this session, and its changes saved. One answer per step. */
  async run(id: string | null, ...steps: readonly Step[]): Promise<unknown[]> {
    return unpack(await this.#worker.call<string>("run", id, pack(steps)));
  }

  /** The answer of a single step. */
  async ask<T = unknown>(id: string, ...step: Step): Promise<T> {
    const [answer] = await this.run(id, step);
    return answer as T;
  }

  dump(id: string): Promise<Shown[]> {
    return this.ask(id, "dump");
  }

  /** Whether the id still names a session. */
  async finds(id: string): Promise<boolean> {
    return (await this.ask(id, "read", "Id")) === id;
  }

  add(id: string, key: string, times: number): Promise<number> {
    return this.#worker.call("add", id, key, times);
  }

  setMany(id: string, prefix: string, times: number): Promise<number> {
    return this.#worker.call("setMany", id, prefix, times);
  }

  look(id: string, key: string, times: number): Promise<Reads> {
    return this.#worker.call("look", id, key, times);
  }

  addBehindGate(id: string, key: string, gate: string): Promise<number[]> {
    return this.#worker.call("addBehindGate", id, key, gate);
  }

  openGate(gate: string): Promise<void> {
    return this.#worker.call("open", gate);
  }

  /** Resolves when the transaction behind this gate has begun. */
  inside(gate: string): Promise<void> {
    return new Promise((resolve) => {
      this.#child.on("message", (message: { inside?: string }) => {
        if (message.inside === gate) resolve();
      });
    });
  }

  /** Resolves to the port of a server with the middleware. */
  listen(options: SessionOptions = {}): Promise<number> {
    return this.#worker.call("listen", options);
  }

  /** What the daemon counts. */
  status(): Promise<Record<string, unknown>> {
    return this.#worker.call("status");
  }

  async counted(name: "repairs" | "resurrectionsUndone" | "conflicts" | "foreignSaves"): Promise<number> {
    return Number((await this.status())[name]);
  }

  kill(): Promise<void> {
    return this.#worker.kill();
  }
}

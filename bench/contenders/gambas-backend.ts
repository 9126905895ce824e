// A backend of the daemon by itself, in the process that measures: what a daemon makes of its calls, without a worker, a socket and frames. Nobody
// decodes a value: workers do that.

import { randomBytes } from "node:crypto";
import type { Backend, Caller, Engine } from "../../daemon/backend/backend.ts";
import { type Config, type DaemonOptions, resolveConfig } from "../../daemon/config.ts";
import { ENGINES } from "../../daemon/engines.ts";
import { Log, Metrics } from "../../daemon/report/report.ts";
import { encodeDelta, layoutOf, parseDelta } from "../../protocol/image/image.ts";
import { encodeValue } from "../../protocol/value/value.ts";
import { type CommitOptions, KIND, type State } from "../../protocol/wire/wire.ts";
import { changedValues, type Values } from "../session-values.ts";
import type { Entry, Held, Subject } from "./contender.ts";

const NO_OPTIONS: CommitOptions = {};

/** What a worker knows of a session that it has a copy of. */
interface Copy {
  readonly mtimeMs: number;
  readonly count: number;
}

class BackendSubject implements Subject {
  readonly #house: House;
  readonly #caller: Caller = { owner: {}, client: `bench-${process.pid}` };
  readonly #copies = new Map<string, Copy>();
  /** Sequences of commits that were not answered yet, the lowest first. */
  readonly #waiting = new Set<number>();
  #sequence = 0;

  constructor(house: House) {
    this.#house = house;
  }

  async create(values: Values): Promise<string> {
    const id = `bench:${randomBytes(12).toString("hex").toUpperCase()}`;
    const { mtimeMs } = await this.#commit(id, values, { create: true });
    this.#copies.set(id, { mtimeMs, count: Object.keys(values).length });
    return id;
  }

  async get(id: string): Promise<number> {
    const { backend } = this.#house;
    const known = this.#copies.get(id)?.mtimeMs ?? 0;
    const caller = this.#caller;
    const state = await new Promise<State>((answer, fail) => backend.read(id, { caller, known, answer, fail }));
    return this.#keep(id, state).count;
  }

  async hold(id: string): Promise<Held> {
    await this.get(id);
    return {
      change: async (visit, isLong) => {
        this.#keep(id, await this.#commit(id, changedValues(visit, isLong)));
      },
    };
  }

  close(): Promise<void> {
    return this.#house.close();
  }

  #keep(id: string, state: State): Copy {
    const known = this.#copies.get(id);
    const { kind, mtimeMs, image } = state;
    if (kind === KIND.absent) throw new Error(`session ${id} is not there`);
    const count = image === null || image === undefined ? known?.count : countIn(Buffer.from(image));
    if (count === undefined) throw new Error(`session ${id} came without its contents`);
    const copy = { mtimeMs, count };
    this.#copies.set(id, copy);
    return copy;
  }

  #commit(id: string, values: Values, options: CommitOptions = NO_OPTIONS): Promise<State> {
    const delta = deltaOf(values);
    const sequence = ++this.#sequence;
    this.#waiting.add(sequence);
    const [floor = sequence] = this.#waiting;
    const base = this.#copies.get(id)?.mtimeMs ?? 0;
    return new Promise<State>((resolve, reject) => {
      this.#house.backend.commit(id, {
        type: "commit",
        caller: this.#caller,
        sequence,
        floor,
        base,
        delta,
        parsed: parseDelta(delta),
        options,
        arrivedMs: performance.now(),
        answer: (state) => {
          this.#waiting.delete(sequence);
          resolve(state);
        },
        fail: (error) => {
          this.#waiting.delete(sequence);
          reject(error);
        },
      });
    });
  }
}

/** A backend without a wire: the event loop ends its turns, and this process has its place for ever. */
class House {
  readonly backend: Backend;
  readonly #metrics: Metrics;
  readonly #timers: readonly NodeJS.Timeout[];

  private constructor(backend: Backend, metrics: Metrics, timers: readonly NodeJS.Timeout[]) {
    this.backend = backend;
    this.#metrics = metrics;
    this.#timers = timers;
  }

  static async open(engine: Engine, config: Config): Promise<House> {
    const metrics = new Metrics();
    const timers: NodeJS.Timeout[] = [];
    const backend: Backend = await engine({
      config,
      log: new Log("warn"),
      metrics,
      requestWork: () => void setImmediate(() => backend.flush()),
      mayWrite: () => true,
      every: (ms, action) => void timers.push(setInterval(action, ms).unref()),
    });
    backend.start();
    return new House(backend, metrics, timers);
  }

  async close(): Promise<void> {
    for (const timer of this.#timers) clearInterval(timer);
    this.#metrics.stop();
    await this.backend.stop();
    await this.backend.close(() => true);
  }
}

function deltaOf(values: Values): Buffer {
  const entries = Object.entries(values).map(
    ([key, value]) => [key, Buffer.from(encodeValue(value, key).bytes)] as const,
  );
  return encodeDelta(new Map<string, Buffer | undefined>(entries));
}

function countIn(image: Buffer): number {
  return layoutOf(image).entries.list.shown.length;
}

/** With settings of a daemon. */
function backendOf(options: (socket: string) => DaemonOptions): Entry {
  return {
    async open({ socket, directory }) {
      const config = resolveConfig({ root: directory, ...options(socket) });
      return new BackendSubject(await House.open(await ENGINES[config.type](), config));
    },
  };
}

export const redisBackend: Entry = backendOf((socket) => ({ type: "redis", redis: `unix://${socket}` }));

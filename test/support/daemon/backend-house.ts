// A backend without a wire, and workers that call it: for tests of the seam itself.

import type { Backend, Caller, Engine, ListPage, SweepCount } from "../../../daemon/backend/backend.ts";
import { type DaemonOptions, prepareRoot, resolveConfig } from "../../../daemon/config.ts";
import { Log } from "../../../daemon/report/log.ts";
import { Metrics } from "../../../daemon/report/metrics.ts";
import { parseDelta } from "../../../protocol/image/image.ts";
import type { CommitOptions, State } from "../../../protocol/wire/operations.ts";
import { freshRoot, removeRoot } from "../processes.ts";
import { deltaOf, valuesOf } from "./raw-worker.ts";

type Values = Readonly<Record<string, unknown>>;

interface Granted {
  readonly fence: number;
  readonly state: State;
  readonly isUnverified: boolean;
}

interface HouseParts {
  readonly root: string;
  readonly backend: Backend;
  readonly metrics: Metrics;
  readonly timers: NodeJS.Timeout[];
}

/** A backend without a wire: the event loop ends its turns, and this process has its place for ever. */
export class BackendHouse {
  readonly root: string;
  readonly backend: Backend;
  readonly #metrics: Metrics;
  readonly #timers: NodeJS.Timeout[];

  private constructor({ root, backend, metrics, timers }: HouseParts) {
    this.root = root;
    this.backend = backend;
    this.#metrics = metrics;
    this.#timers = timers;
  }

  static async open(engine: Engine, options: DaemonOptions): Promise<BackendHouse> {
    const [root, metrics, timers] = [freshRoot(), new Metrics(), [] as NodeJS.Timeout[]];
    const sweeps = options.type === "redis" ? {} : { sweepMs: 0 };
    const config = resolveConfig({ root, logLevel: "silent", ...sweeps, ...options });
    prepareRoot(config.root);
    let backend: Backend | undefined;
    backend = await engine({
      config,
      log: new Log("silent"),
      metrics,
      requestWork: () => void setImmediate(() => backend?.flush()),
      mayWrite: () => true,
      every: (ms, action) => void timers.push(setInterval(action, ms).unref()),
    });
    backend.start();
    return new BackendHouse({ root, backend, metrics, timers });
  }

  worker(client: string): BackendWorker {
    return new BackendWorker(this.backend, client);
  }

  async close(): Promise<void> {
    for (const timer of this.#timers) clearInterval(timer);
    this.#metrics.stop();
    await this.backend.stop();
    await this.backend.close(() => true);
    await removeRoot(this.root);
  }
}

/** One connection, as the backend sees it. */
export class BackendWorker {
  readonly owner = {};
  readonly #backend: Backend;
  readonly #caller: Caller;
  #sequence = 0;

  constructor(backend: Backend, client: string) {
    this.#backend = backend;
    this.#caller = { owner: this.owner, client };
  }

  read(id: string, known = 0): Promise<State> {
    return new Promise((answer, fail) => this.#backend.read(id, { caller: this.#caller, known, answer, fail }));
  }

  async values(id: string): Promise<Values | undefined> {
    return valuesOf(await this.read(id));
  }

  /** @param sequence of a commit that is sent again. @param floor the lowest that is waited for. @param base what was seen. */
  commit(
    id: string,
    changes: Values,
    options: CommitOptions = {},
    ...[sequence = this.#next(), floor, base = 0]: readonly number[]
  ): Promise<State> {
    const delta = deltaOf(changes);
    return new Promise((answer, fail) => {
      const { held } = options;
      const caller = this.#caller;
      const turn = {
        type: "commit",
        caller,
        sequence,
        floor,
        base,
        held,
        delta,
        parsed: parseDelta(delta),
        options,
      } as const;
      const way = { arrivedMs: performance.now(), answer, fail };
      if (options.unique === true) this.#backend.commitUnique(id, { ...turn, ...way });
      else this.#backend.commit(id, { ...turn, ...way });
    });
  }

  create(id: string, values: Values, options: CommitOptions = {}): Promise<State> {
    return this.commit(id, values, { ...options, create: true });
  }

  touch(id: string): Promise<State> {
    return new Promise((answer, fail) =>
      this.#backend.enter(id, { type: "touch", caller: this.#caller, base: 0, answer, fail }),
    );
  }

  end(id: string): Promise<void> {
    return new Promise((answer, fail) => this.#backend.enter(id, { type: "end", caller: this.#caller, answer, fail }));
  }

  lease(id: string, leaseMs = 60_000, held?: readonly number[], isOptimistic = false): Promise<Granted> {
    const caller = this.#caller;
    return new Promise((resolve, fail) => {
      const answer = (fence: number, state: State, isUnverified = false): void =>
        resolve({ fence, state, isUnverified });
      this.#backend.enter(id, { type: "lease", caller, leaseMs, known: 0, held, isOptimistic, answer, fail });
    });
  }

  /** @param limit of a page. */
  async list(prefix: string | null, limit: number): Promise<string[][]> {
    const pages: string[][] = [];
    for (let after: string | null = ""; after !== null; ) {
      const from: string = after;
      const page = await new Promise<ListPage>((answer, fail) =>
        this.#backend.list({ caller: this.#caller, after: from, prefix, limit, answer, fail }),
      );
      pages.push(page.sessions.map(({ id }) => id));
      after = page.next;
    }
    return pages;
  }

  sweep(does: "end" | "look"): Promise<SweepCount> {
    return new Promise((answer, fail) => this.#backend.sweep({ caller: this.#caller, does, answer, fail }));
  }

  release(id: string, fence: number): void {
    this.#backend.release(id, fence, this.owner);
  }

  leave(): void {
    this.#backend.forget(this.owner);
  }

  #next(): number {
    this.#sequence += 1;
    return this.#sequence;
  }
}

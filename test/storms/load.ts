// The load of a storm: random reads, plain commits, transactions and increments on few sessions, every one recorded.
// Knows sessions only by the three ways of using them below, so that it runs in worker processes and inside a test alike.

import { Random } from "../support/values/random.ts";
import type { Recorder } from "./recorder.ts";

/** The keys of one session, at one moment. */
export interface Keys {
  get(key: string): unknown;
  set(key: string, value: unknown): void;
}

/** How sessions are used. Every call is a request of its own. */
export interface Sessions {
  read(id: string, key: string): Promise<unknown>;
  commit(id: string, key: string, value: unknown): Promise<void>;
  transaction(id: string, fn: (keys: Keys) => Promise<void>): Promise<void>;
}

export interface Load {
  /** Makes the values this load writes its own. */
  readonly name: string;
  readonly sessionIds: readonly string[];
  readonly seed: number;
  readonly operations: number;
  /** Operations under way at once. */
  readonly width: number;
  /** Of a hundred operations so many are reads. */
  readonly readShare: number;
}

const REGISTERS: readonly string[] = ["r0", "r1", "r2", "r3"];
export const COUNTER = "n";
/** How long a call waits for a daemon: it bounds what hangs, and is more than a machine gives a storm nothing at all. */
export const PATIENCE_MS = 240_000;

/** A key that only the load of this name writes. */
function ownKey(name: string): string {
  return `of ${name}`;
}

export async function runLoad(load: Load, sessions: Sessions, recorder: Recorder): Promise<void> {
  const runner = new Runner(load, sessions, recorder);
  await Promise.all(Array.from({ length: load.width }, () => runner.run()));
}

/** Reads every key of every session once, recorded like any read, also where a session is not there. */
export async function readEverything(
  load: { readonly sessionIds: readonly string[]; readonly names: readonly string[] },
  sessions: Sessions,
  recorder: Recorder,
): Promise<void> {
  for (const id of load.sessionIds) {
    const counted = recorder.called("count", `${id}/${COUNTER}`);
    await finish(recorder, counted, async () => shown(await sessions.read(id, COUNTER)));
    for (const key of [...REGISTERS, ...load.names.map(ownKey)]) {
      const number = recorder.called("read", `${id}/${key}`);
      await finish(recorder, number, async () => shown(await sessions.read(id, key)));
    }
  }
}

async function finish(
  recorder: Recorder,
  number: number,
  action: () => Promise<string | number | null>,
): Promise<void> {
  try {
    recorder.ended(number, await action());
  } catch (error) {
    recorder.failed(number, error);
  }
}

class Runner {
  readonly #load: Load;
  readonly #sessions: Sessions;
  readonly #recorder: Recorder;
  readonly #random: Random;
  #left: number;
  #writes = 0;

  constructor(load: Load, sessions: Sessions, recorder: Recorder) {
    this.#load = load;
    this.#sessions = sessions;
    this.#recorder = recorder;
    this.#random = new Random(load.seed);
    this.#left = load.operations;
  }

  async run(): Promise<void> {
    while (this.#left > 0) {
      this.#left -= 1;
      await this.#step();
      await this.#dawdle(8);
    }
  }

  async #step(): Promise<void> {
    const id = this.#random.of(this.#load.sessionIds);
    if (this.#random.below(100) < this.#load.readShare) await this.#readOrCount(id);
    else await this.#change(id);
  }

  async #readOrCount(id: string): Promise<void> {
    if (this.#random.below(6) > 0) await this.#read(id, this.#anyKey());
    else await this.#count(id);
  }

  async #change(id: string): Promise<void> {
    const dice = this.#random.below(52);
    if (dice < 17) await this.#write(id, this.#random.of(REGISTERS));
    else if (dice < 24) await this.#write(id, ownKey(this.#load.name));
    else if (dice < 38) await this.#update(id, this.#random.of(REGISTERS));
    else await this.#add(id);
  }

  #anyKey(): string {
    return this.#random.below(5) === 0 ? ownKey(this.#load.name) : this.#random.of(REGISTERS);
  }

  #nextValue(): string {
    this.#writes += 1;
    return `${this.#load.name}.${this.#writes}`;
  }

  async #read(id: string, key: string): Promise<void> {
    const number = this.#recorder.called("read", `${id}/${key}`);
    await this.#finish(number, async () => shown(await this.#sessions.read(id, key)));
  }

  async #count(id: string): Promise<void> {
    const number = this.#recorder.called("count", `${id}/${COUNTER}`);
    await this.#finish(number, async () => shown(await this.#sessions.read(id, COUNTER)) ?? 0);
  }

  async #write(id: string, key: string): Promise<void> {
    const value = this.#nextValue();
    const number = this.#recorder.called("write", `${id}/${key}`, value);
    await this.#finish(number, async () => {
      await this.#sessions.commit(id, key, value);
      return value;
    });
  }

  async #update(id: string, key: string): Promise<void> {
    const number = this.#recorder.called("update", `${id}/${key}`);
    await this.#finish(number, async () => {
      await this.#sessions.transaction(id, async (keys) => {
        const read = shown(keys.get(key));
        const written = this.#nextValue();
        await this.#dawdle(3);
        // Before the end of `fn`: from then on it may take effect, whatever becomes of this process.
        this.#recorder.tried(number, read, written);
        keys.set(key, written);
      });
      return null;
    });
  }

  async #add(id: string): Promise<void> {
    const number = this.#recorder.called("add", `${id}/${COUNTER}`);
    await this.#finish(number, async () => {
      let sum = 0;
      await this.#sessions.transaction(id, async (keys) => {
        const read = Number(shown(keys.get(COUNTER)) ?? 0);
        sum = read + 1;
        await this.#dawdle(3);
        this.#recorder.tried(number, read, sum);
        keys.set(COUNTER, sum);
      });
      return sum;
    });
  }

  #finish(number: number, action: () => Promise<string | number | null>): Promise<void> {
    return finish(this.#recorder, number, action);
  }

  /** Lets other things happen first, a few turns of the event loop at most. */
  async #dawdle(limit: number): Promise<void> {
    for (let turns = this.#random.below(limit); turns > 0; turns--)
      await new Promise((resolve) => setImmediate(resolve));
  }
}

function shown(value: unknown): string | number | null {
  return typeof value === "string" || typeof value === "number" ? value : null;
}

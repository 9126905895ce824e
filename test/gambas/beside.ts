// Node workers and Gambas programs on one session at the same time: what each did, and what was left of it in the end.
// Run with small numbers by beside.test.ts, with large ones by storms/beside-gambas.ts.
import { rmSync, writeFileSync } from "node:fs";
import { GambasHouse } from "../support/gambas/gambas-house.ts";
import type { OracleAnswer, OracleProcess } from "../support/gambas/oracle-process.ts";
import { until } from "../support/processes.ts";
import { canonicalEntry, type TypedEntry } from "../support/values/typed-json.ts";
import { NodeSide } from "./node-side.ts";
import type { Reads } from "./programs/worker.ts";

/** What the Gambas program beside the workers does until it is stopped. */
export type Habit =
  /** Loads the session and writes back what it loaded, as every request does that only reads. */
  | { readonly kind: "reads"; readonly pause: number }
  /** The same with 1 added to a key of its own, "g". */
  | { readonly kind: "changes"; readonly pause: number }
  /** Takes the lock for so long, lets it go, takes it again after the pause. */
  | { readonly kind: "holds"; readonly seconds: number; readonly pause: number };

/** What was promised and what was found. */
export interface Outcome {
  /** Transactions that were acknowledged, and what they made of their counter. */
  readonly acknowledged: number;
  readonly counter: unknown;
  /** Keys whose plain commits were acknowledged, and those of them that are not there. */
  readonly keys: number;
  readonly keysMissing: number;
  /** Turns of the Gambas program, those that did not find the session, and what its own key held in the end. */
  readonly gambasTurns: number;
  readonly gambasLost: number;
  readonly gambasKey: unknown;
  /** Whether Gambas reads in the end what Node reads. */
  readonly isSameInGambas: boolean;
  readonly repairs: number;
  readonly conflicts: number;
  readonly foreignSaves: number;
  readonly seconds: number;
}

interface Work {
  readonly transactions: number;
  readonly plainCommits: number;
}

const stopFile = "/tmp/stop";

/** A house with several workers. The options of each are those of `connect()`. */
export class Neighbours {
  readonly house: GambasHouse;
  readonly workers: readonly NodeSide[];

  private constructor(house: GambasHouse, workers: readonly NodeSide[]) {
    this.house = house;
    this.workers = workers;
  }

  static async open(...options: readonly Parameters<typeof NodeSide.start>[1][]): Promise<Neighbours> {
    const house = await GambasHouse.open();
    return new Neighbours(
      house,
      options.map((each) => NodeSide.start(house, each)),
    );
  }

  get first(): NodeSide {
    const [first] = this.workers;
    if (first === undefined) throw new Error("nobody lives here");
    return first;
  }

  close(): Promise<void> {
    return this.house.close();
  }

  /** A session with n = 0 and g = 0, of which the daemon knows nothing yet. */
  async newSession(): Promise<string> {
    const [, read] = await this.house.oracle([
      [
        "put",
        [
          ["n", { type: "Integer", value: 0 }],
          ["g", { type: "Integer", value: 0 }],
        ],
      ],
      ["read", "Id"],
    ]);
    return String(read?.value);
  }

  /** Every worker does this work on the session, while a Gambas program has that habit. */
  async work({ transactions, plainCommits }: Work, habit: Habit): Promise<Outcome> {
    const [id, before, beganMs] = [await this.newSession(), await this.first.status(), performance.now()];
    const beside = await this.#begin(id, habit);
    const done = await Promise.all(
      this.workers.flatMap((worker, place) => [
        worker.add(id, "n", transactions),
        worker.setMany(id, `w${place}-`, plainCommits),
      ]),
    );
    const { turns, lost } = await this.#end(beside);
    const seconds = (performance.now() - beganMs) / 1000;
    const acknowledged = done.filter((_, place) => place % 2 === 0).reduce((sum, count) => sum + count, 0);
    const values = new Map((await this.first.dump(id)).map(({ key, value }) => [key, value]));
    const after = await this.first.status();
    const counted = (name: string): number => Number(after[name]) - Number(before[name]);
    return {
      acknowledged,
      counter: values.get("n"),
      keys: this.workers.length * plainCommits,
      keysMissing: this.#missing(values, plainCommits),
      gambasTurns: turns,
      gambasLost: lost,
      gambasKey: values.get("g"),
      isSameInGambas: sameNumbers(values, await this.#entriesInGambas(id)),
      repairs: counted("repairs"),
      conflicts: counted("conflicts"),
      foreignSaves: counted("foreignSaves"),
      seconds,
    };
  }

  /** Every worker reads the session, at least so many times, while a Gambas program loads, changes and saves it so often. */
  async look(times: number, saves: number, pause: number): Promise<Reads & { readonly gambasLost: number }> {
    const id = await this.newSession();
    const oracle = this.house.startOracle({ cookie: id });
    await oracle.do("touch");
    let isOver = false;
    const loop = oracle.do("increment", { key: "g", times: saves, pause }).finally(() => {
      isOver = true;
    });
    const lookOn = async (worker: NodeSide): Promise<Reads> => {
      let reads: Reads = { done: 0, lost: 0, empty: 0, older: 0 };
      while (!isOver || reads.done < times) reads = sum(reads, await worker.look(id, "g", 250));
      return reads;
    };
    const [{ lost = 0 }, ...reads] = await Promise.all([loop, ...this.workers.map(lookOn)]);
    await oracle.end();
    return { ...reads.reduce(sum), gambasLost: lost };
  }

  /**
   * So often: a worker abandons a session in the same moment as a Gambas program that had it loaded ends and saves it. Resolves when all
   * the files are gone, to how many of these sessions any worker still found.
   */
  async abandon(times: number): Promise<{ readonly found: number; readonly resurrections: number }> {
    const before = await this.first.counted("resurrectionsUndone");
    let found = 0;
    for (let round = 0; round < times; round++) {
      const id = await this.newSession();
      const loaded = this.house.startOracle({ cookie: id });
      await loaded.do("put", [["g", { type: "Integer", value: round }]]);
      await Promise.all([loaded.end(), this.workers[round % this.workers.length]?.run(id, ["abandon"])]);
      const finds = await Promise.all(this.workers.map((worker) => worker.finds(id)));
      if (finds.includes(true)) found += 1;
      await until(() => !this.house.hasSession(id));
    }
    return { found, resurrections: (await this.first.counted("resurrectionsUndone")) - before };
  }

  async #entriesInGambas(id: string): Promise<TypedEntry[]> {
    const [dump] = await this.house.oracle([["dump"]], { cookie: id });
    return (dump?.entries ?? []).filter(([key]) => key !== "_").map(canonicalEntry);
  }

  #missing(values: ReadonlyMap<string, unknown>, plainCommits: number): number {
    let missing = 0;
    for (const place of this.workers.keys()) {
      for (let count = 0; count < plainCommits; count++) if (values.get(`w${place}-${count}`) !== count) missing += 1;
    }
    return missing;
  }

  async #begin(id: string, habit: Habit): Promise<Beside> {
    const beside = await this.#beginHabit(id, habit);
    // Where the workers fail first nobody waits for it any more.
    beside.loop.catch(() => undefined);
    return beside;
  }

  async #beginHabit(id: string, habit: Habit): Promise<Beside> {
    const oracle = this.house.startOracle({ cookie: id });
    await oracle.do("touch");
    const options = { stop: stopFile, pause: habit.pause };
    if (habit.kind === "reads") return { oracle, loop: oracle.do("poll", { key: "n", rewrite: true, ...options }) };
    if (habit.kind === "changes") return { oracle, loop: oracle.do("increment", { key: "g", ...options }) };
    return { oracle, ...holding(oracle, habit.seconds, habit.pause) };
  }

  /** Lets the program stop and end, at which it saves once more. */
  async #end({ oracle, loop, stop }: Beside): Promise<{ turns: number; lost: number }> {
    const file = this.house.outside(stopFile);
    stop?.();
    writeFileSync(file, "");
    const { turns = 0, lost = 0 } = await loop;
    rmSync(file);
    await oracle.end();
    return { turns, lost };
  }
}

function sum(a: Reads, b: Reads): Reads {
  return { done: a.done + b.done, lost: a.lost + b.lost, empty: a.empty + b.empty, older: a.older + b.older };
}

interface Beside {
  readonly oracle: OracleProcess;
  readonly loop: Promise<Pick<OracleAnswer, "turns" | "lost">>;
  readonly stop?: () => void;
}

function holding(oracle: OracleProcess, seconds: number, pause: number): Pick<Beside, "loop" | "stop"> {
  let isStopped = false;
  const hold = async (): Promise<{ turns: number }> => {
    let turns = 0;
    while (!isStopped) {
      // An error: one of us had the lock just then.
      const { error } = await oracle.send("hold", seconds);
      if (error === undefined) turns += 1;
      await oracle.do("sleep", pause);
    }
    return { turns };
  };
  return {
    loop: hold(),
    stop: () => {
      isStopped = true;
    },
  };
}

function sameNumbers(values: ReadonlyMap<string, unknown>, entries: readonly TypedEntry[]): boolean {
  const inGambas = new Map(entries.map(([key, json]) => [key, "value" in json ? json.value : undefined]));
  return values.size === inGambas.size && [...values].every(([key, value]) => inGambas.get(String(key)) === value);
}

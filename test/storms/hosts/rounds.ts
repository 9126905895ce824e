// Sessions that end, each in a round of its own, on all hosts at once: abandoned, ended by a unique one, or gone on under another id. What must be so
// afterwards is looked at from every host. Rounds in which a call failed, so that nobody knows what became of it, are held to less.

import type { WorkerProcess } from "../../support/processes.ts";
import { Random } from "../../support/values/random.ts";
import { carryOut, type Fault, type Faults, type Progress } from "./faults.ts";

export interface RoundFigures {
  readonly rounds: number;
  readonly faults: Faults;
  /** Calls of workers. */
  readonly operations: number;
  /** Rounds with a call that failed with something else than what was to be expected. */
  readonly unsure: number;
  /** The codes of those. */
  readonly failures: Readonly<Record<string, number>>;
  readonly problems: readonly string[];
  readonly longestGapMs: number;
}

interface Created {
  readonly id: string;
  readonly outcome: string;
}

type Kind = "end" | "unique" | "regenerate";
const KINDS: readonly Kind[] = ["end", "unique", "regenerate"];

export class Rounds implements Progress {
  readonly #workers: readonly WorkerProcess[];
  readonly #random: Random;
  readonly #total: number;
  readonly #problems: string[] = [];
  readonly #failures: Record<string, number> = {};
  #begun = 0;
  #operations = 0;
  #unsure = 0;
  #lastEndMs = performance.now();
  #longestGapMs = 0;
  #isPlanDone = false;
  #hasFailed = false;

  /** @param workers one of each host. @param total rounds, at least: they go on until all faults were carried out. */
  constructor(workers: readonly WorkerProcess[], total: number, seed: number) {
    this.#workers = workers;
    this.#total = total;
    this.#random = new Random(seed);
  }

  /** Rounds, not operations. */
  count(): number {
    return this.#begun;
  }

  isOver(): boolean {
    return this.#hasFailed;
  }

  /** @param width so many of them at once. */
  async run(width: number, plan: readonly Fault[]): Promise<RoundFigures> {
    const faults = carryOut(plan, this.#total, this).finally(() => {
      this.#isPlanDone = true;
    });
    const lane = async (): Promise<void> => {
      while (this.#begun < this.#total || !this.#isPlanDone) {
        this.#begun += 1;
        await this.#round(this.#begun);
      }
    };
    await Promise.all([faults, ...Array.from({ length: width }, lane)]).catch((error: unknown) => {
      this.#hasFailed = true;
      throw error;
    });
    return {
      faults: await faults,
      rounds: this.#begun,
      operations: this.#operations,
      unsure: this.#unsure,
      failures: this.#failures,
      problems: this.#problems,
      longestGapMs: Math.round(this.#longestGapMs),
    };
  }

  async #round(number: number): Promise<void> {
    const kind = this.#random.of(KINDS);
    const round = new Round(kind, `r${number}`, this.#ordered(), (worker, name, args) =>
      this.#call(worker, name, args),
    );
    try {
      await round.run();
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      round.failures.push(`${code}: ${message.slice(0, 160)}`);
    }
    for (const failure of round.failures) this.#failures[failure] = (this.#failures[failure] ?? 0) + 1;
    if (round.failures.length > 0) this.#unsure += 1;
    this.#problems.push(...round.problems.map((problem) => `${kind} ${number}: ${problem}`));
  }

  /** The workers, beginning with another one each time. */
  #ordered(): WorkerProcess[] {
    const first = this.#random.below(this.#workers.length);
    return [...this.#workers.slice(first), ...this.#workers.slice(0, first)];
  }

  async #call(worker: WorkerProcess, name: string, args: readonly unknown[]): Promise<unknown> {
    try {
      return await worker.call(name, ...args);
    } finally {
      this.#operations += 1;
      const nowMs = performance.now();
      this.#longestGapMs = Math.max(this.#longestGapMs, nowMs - this.#lastEndMs);
      this.#lastEndMs = nowMs;
    }
  }
}

type Call = (worker: WorkerProcess, name: string, args: readonly unknown[]) => Promise<unknown>;

class Round {
  readonly problems: string[] = [];
  /** Codes of calls of which nobody knows what became. */
  readonly failures: string[] = [];
  readonly #kind: Kind;
  readonly #prefix: string;
  readonly #workers: readonly WorkerProcess[];
  readonly #call: Call;

  constructor(kind: Kind, prefix: string, workers: readonly WorkerProcess[], call: Call) {
    this.#kind = kind;
    this.#prefix = prefix;
    this.#workers = workers;
    this.#call = call;
  }

  run(): Promise<void> {
    if (this.#kind === "end") return this.#end();
    return this.#kind === "unique" ? this.#unique() : this.#regenerate();
  }

  /** Abandoned while others change it: gone for all of them, and for whoever comes late. */
  async #end(): Promise<void> {
    const id = await this.#created();
    await this.#each((worker) => this.#call(worker, "keep", [id]));
    const [ended, ...others] = (await this.#each((worker, n) => {
      if (n === 0) return this.#call(worker, "abandon", [id]);
      return this.#call(worker, n % 2 === 0 ? "add" : "set", n % 2 === 0 ? [id, "m"] : [id, "k", n]);
    })) as string[];
    this.#expect(ended, ["done"], "abandon");
    for (const other of others) this.#expect(other, ["done", "ERR_SESSION_GONE", "MISSING"], "a change meanwhile");
    if (ended !== "done") return;
    await this.#expectGone(id);
    const late = (await this.#each((worker) => this.#call(worker, "saveLate", [id, "k"]))) as string[];
    for (const outcome of late) this.#expect(outcome, ["ERR_SESSION_GONE"], "a slow save");
    const again = (await this.#each((worker) =>
      this.#call(worker, "create", [{ prefix: this.#prefix, id }]),
    )) as Created[];
    for (const { outcome } of again) this.#expect(outcome, ["ERR_ID_TAKEN", "ERR_SESSION_GONE"], "made again");
    await this.#expectGone(id);
    await this.#expectListed([]);
  }

  /** Several unique ones at once, after others: one of them is left. */
  async #unique(): Promise<void> {
    const before = (await this.#each((worker) =>
      this.#call(worker, "create", [{ prefix: this.#prefix }]),
    )) as Created[];
    const options = { prefix: this.#prefix, isUnique: true };
    const unique = (await this.#each((worker) => this.#call(worker, "create", [options]))) as Created[];
    // One that is created may be ended by another one before it is answered.
    for (const { outcome } of [...before, ...unique]) this.#expect(outcome, ["done", "ERR_SESSION_GONE"], "create");
    if (this.failures.length > 0) return;
    const all = [...before, ...unique].map(({ id }) => id);
    const views = (await this.#each(async (worker) => {
      const there = await Promise.all(all.map((id) => this.#call(worker, "look", [id, ["n"]])));
      return all.filter((_, n) => there[n] !== null);
    })) as string[][];
    const [survivor] = views[0] ?? [];
    const hasOne = views.every((there) => there.length === 1 && there[0] === survivor);
    if (!hasOne)
      this.problems.push(`there are ${views.map((there) => there.length).join(", ")}: ${JSON.stringify(views)}`);
    else if (!unique.some(({ id }) => id === survivor)) this.problems.push("the survivor is none of the unique ones");
    else await this.#expectListed([survivor as string]);
  }

  /** Several want another id while others change it: one gets it, and nothing of what was acknowledged is missing. */
  async #regenerate(): Promise<void> {
    const id = await this.#created();
    await this.#each((worker) => this.#call(worker, "keep", [id]));
    const results = await this.#each((worker, n) =>
      n === 2 ? this.#call(worker, "add", [id, "m"]) : this.#call(worker, "regenerate", [id, "n", n + 1]),
    );
    const adds = results.filter((one): one is string => typeof one === "string");
    const renewed = results.filter((one): one is Created => typeof one !== "string");
    for (const outcome of adds) this.#expect(outcome, ["done", "ERR_SESSION_GONE", "MISSING"], "a change meanwhile");
    for (const { outcome } of renewed) this.#expect(outcome, ["done", "ERR_SESSION_GONE"], "regenerate");
    const winners = renewed.filter(({ outcome }) => outcome === "done");
    if (winners.length > 1) this.problems.push(`${winners.length} have another id`);
    if (this.failures.length > 0) return this.#expectOneOf(id);
    const [winner] = winners;
    if (winner === undefined) {
      this.problems.push("nobody has another id");
      return;
    }
    await this.#expectGone(id);
    const number = results.indexOf(winner) + 1;
    const added = adds.filter((outcome) => outcome === "done").length;
    const views = await this.#each((worker) => this.#call(worker, "look", [winner.id, ["n", "m"]]));
    for (const view of views) {
      const [n, m] = (view ?? []) as readonly unknown[];
      if (n !== number || (m ?? 0) !== added) {
        this.problems.push(`the other id holds ${JSON.stringify(view)} instead of ${number} and ${added}: ${adds}`);
      }
    }
    await this.#expectListed([winner.id]);
  }

  /** Whatever became of the calls: the session is there under one id, the old one or another. */
  async #expectOneOf(id: string): Promise<void> {
    await this.#each((worker) => this.#call(worker, "look", [id, ["n"]]));
    const listed = (await this.#each((worker) => this.#call(worker, "list", [this.#prefix]))) as string[][];
    for (const ids of listed) if (ids.length !== 1) this.problems.push(`${ids.length} of both ids are there`);
  }

  async #created(): Promise<string> {
    const [first] = this.#workers;
    if (first === undefined) throw new Error("no worker");
    const { id, outcome } = (await this.#call(first, "create", [{ prefix: this.#prefix }])) as Created;
    if (outcome !== "done") throw Object.assign(new Error("create"), { code: outcome });
    return id;
  }

  #each<T>(fn: (worker: WorkerProcess, n: number) => Promise<T>): Promise<T[]> {
    return Promise.all(this.#workers.map(fn));
  }

  /** @param outcomes those that are right. ERR_STORE is one of which nobody knows what became. */
  #expect(outcome: string | undefined, outcomes: readonly string[], what: string): void {
    if (outcome === undefined || outcomes.includes(outcome)) return;
    if (UNSURE.includes(outcome)) this.failures.push(outcome);
    else this.problems.push(`${what} ended with ${outcome}`);
  }

  async #expectGone(id: string): Promise<void> {
    const views = await this.#each((worker) => this.#call(worker, "look", [id, ["n"]]));
    for (const [n, view] of views.entries()) if (view !== null) this.problems.push(`${id} is there for host ${n}`);
  }

  async #expectListed(ids: readonly string[]): Promise<void> {
    const listed = await this.#each((worker) => this.#call(worker, "list", [this.#prefix]));
    for (const list of listed) {
      if (JSON.stringify(list) !== JSON.stringify(ids))
        this.problems.push(`listed are ${JSON.stringify(list)}, not ${ids}`);
    }
  }
}

/** Redis was away for longer than a call waits for it. */
const UNSURE: readonly string[] = ["ERR_STORE"];

export function printRounds(title: string, { problems, failures, faults, ...rest }: RoundFigures): void {
  const rows = {
    ...rest,
    failures: JSON.stringify(failures),
    faults: JSON.stringify(faults),
    problems: problems.length,
  };
  const lines = Object.entries(rows).map(([name, value]) => `  ${name.padEnd(20)} ${value}`);
  console.log([title, ...lines, ...problems.slice(0, 12).map((one) => `    ${one}`)].join("\n"));
}

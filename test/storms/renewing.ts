// A worker that gives a session of its own new ids all the time, in every way there is, and looks after each that there is exactly one: with what was
// put into it, and nothing of the one before.

import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { type Client, connect, type Handle } from "gambas-session";
import { serveCalls } from "../support/processes.ts";
import { Random } from "../support/values/random.ts";
import { PATIENCE_MS } from "./load.ts";

export interface Renewed {
  readonly id: string;
  readonly n: number;
  readonly renewals: number;
  readonly problems: readonly string[];
}

interface Orders {
  readonly seed: number;
  readonly rounds: number;
  readonly durability: "file" | "fsync";
}

class Renewing {
  readonly #anna: Client;
  readonly #bert: Client;
  readonly #random: Random;
  readonly problems: string[] = [];
  id = "";
  n = 0;
  renewals = 0;

  constructor(anna: Client, bert: Client, seed: number) {
    this.#anna = anna;
    this.#bert = bert;
    this.#random = new Random(seed);
  }

  async begin(): Promise<void> {
    const handle = this.#anna.create({ prefix: "renewing" });
    handle.set("n", 0);
    await handle.save();
    this.id = handle.id ?? "";
  }

  async step(): Promise<void> {
    const before = this.id;
    const [slow, path] = [await this.#open(this.#bert, before), `${this.#anna.directory}/${before}`];
    const image = readFileSync(path);
    const dice = this.#random.below(5);
    if (dice === 0) await this.#add();
    else if (dice === 1) await this.#renew(await this.#open(this.#anna, before));
    else if (dice === 2) await this.#renewInTransaction();
    else if (dice === 3) await this.#race();
    else await this.#renew(slow);
    if (this.id !== before) {
      this.renewals += 1;
      if (existsSync(path) || existsSync(`${path}.lock`)) this.problems.push(`${before} has left files`);
      // A program that had loaded it saves it, or a request that is slower.
      if (this.#random.below(2) === 0) writeFileSync(path, image);
      if (dice !== 4) await this.#expectGone(slow);
      if ((await this.#anna.open(before)) !== undefined) this.problems.push(`${before} is there again`);
    }
    const n = (await this.#open(this.#bert, this.id)).get("n");
    if (n !== this.n) this.problems.push(`${this.id} counts ${n} instead of ${this.n}`);
  }

  async #open(client: Client, id: string): Promise<Handle> {
    const handle = await client.open(id);
    if (handle === undefined) throw new Error(`session ${id} is not there`);
    return handle;
  }

  async #add(): Promise<void> {
    await this.#bert.transaction(this.id, (own) => own.set("n", Number(own.get("n")) + 1));
    this.n += 1;
  }

  async #renew(handle: Handle): Promise<void> {
    handle.set("n", this.n + 1);
    await handle.regenerate();
    this.#note(handle);
  }

  async #renewInTransaction(): Promise<void> {
    const handle = await this.#open(this.#bert, this.id);
    await handle.transaction(async (own) => {
      own.set("n", Number(own.get("n")) + 1);
      await own.regenerate();
    });
    this.#note(handle);
  }

  async #race(): Promise<void> {
    const handles = [await this.#open(this.#anna, this.id), await this.#open(this.#bert, this.id)];
    const outcomes = await Promise.all(
      handles.map((handle) => {
        handle.set("n", this.n + 1);
        return handle.regenerate().then(
          () => "won",
          (error: NodeJS.ErrnoException) => error.code ?? error.message,
        );
      }),
    );
    if (outcomes.toSorted().join() !== "ERR_SESSION_GONE,won")
      this.problems.push(`a race ended with ${outcomes.join()}`);
    const winner = handles[outcomes.indexOf("won")];
    if (winner !== undefined) this.#note(winner);
  }

  #note(handle: Handle): void {
    this.id = handle.id ?? "";
    this.n += 1;
  }

  async #expectGone(slow: Handle): Promise<void> {
    slow.set("n", -1);
    const outcome = await slow.save().then(
      () => "saved",
      (error: NodeJS.ErrnoException) => error.code,
    );
    if (outcome !== "ERR_SESSION_GONE") this.problems.push(`a slow save ended with ${outcome}`);
  }
}

serveCalls({
  async run({ seed, rounds, durability }: Orders): Promise<Renewed> {
    const options = { waitMs: PATIENCE_MS, durability };
    const renewing = new Renewing(await connect(options), await connect(options), seed);
    await renewing.begin();
    for (let left = rounds; left > 0; left--) await renewing.step();
    const { id, n, renewals, problems } = renewing;
    return { id, n, renewals, problems };
  },
  async list(): Promise<Record<string, unknown>> {
    const client = await connect();
    const found: Record<string, unknown> = {};
    for await (const { id } of client.list({ prefix: "renewing" })) found[id] = (await client.open(id))?.get("n");
    return found;
  },
});

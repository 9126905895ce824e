// One question to all Sentinels: for how long answers are waited for, and what is known then. Asks nobody itself.

import { SessionError } from "../../../protocol/errors.ts";
import { describeAddress, type RedisAddress } from "../../../protocol/redis-url.ts";
import type { ServerError } from "../server/server.ts";
import type { View } from "./configuration.ts";

/** What one says, or why it says nothing: a SessionError where it will say nothing the next time either. */
export type Answer = View | ServerError | SessionError;

/** What has come until it was over. */
export interface Answers {
  readonly views: readonly View[];
  /** Those that have named no master, each with the reason; "": none. */
  readonly failures: string;
  readonly refusal: SessionError | undefined;
  /** Those that were waited for in vain. */
  readonly missing: readonly RedisAddress[];
}

export interface RoundOptions {
  /** Those that were waited for in vain the last time. */
  readonly wereSilent: ReadonlySet<RedisAddress>;
  /** Whether nothing else need be known. */
  readonly isEnough: (view: View) => boolean;
}

/** How long the others are waited for once half have answered: a Sentinel that is away is away for every question. */
const OTHERS_MS = 1_000;
/** The same of those that were silent. */
const SILENT_MS = 250;

export class Round {
  /** Resolves when all have answered, half have and the others had their time, or one has said enough. */
  readonly answers: Promise<Answers>;
  readonly #addresses: readonly RedisAddress[];
  readonly #options: RoundOptions;
  readonly #views: View[] = [];
  readonly #failures = new Map<RedisAddress, string>();
  readonly #pending: Set<RedisAddress>;
  /** From when half have answered. */
  #timers: readonly NodeJS.Timeout[] = [];
  #halfMs: number | undefined;
  #refusal: SessionError | undefined;
  #isOver = false;
  #resolve: (answers: Answers) => void = () => {};

  constructor(addresses: readonly RedisAddress[], options: RoundOptions) {
    this.#addresses = addresses;
    this.#options = options;
    this.#pending = new Set(addresses);
    this.answers = new Promise((resolve) => {
      this.#resolve = resolve;
    });
  }

  note(address: RedisAddress, answer: Answer): void {
    if (this.#isOver) return;
    this.#pending.delete(address);
    if (!(answer instanceof Error)) {
      this.#views.push(answer);
      if (2 * this.#views.length >= this.#addresses.length) this.#noteHalf();
      if (this.#options.isEnough(answer)) this.#end([]);
    } else if (answer instanceof SessionError) {
      this.#failures.set(address, answer.what);
      this.#refusal ??= answer;
    } else this.#failures.set(address, answer.message);
    this.#look();
  }

  #noteHalf(): void {
    if (this.#halfMs !== undefined) return;
    this.#halfMs = performance.now();
    // After a stop of this process answers may wait to be read: they come first.
    const look = (): void => void setImmediate(() => this.#look());
    this.#timers = [SILENT_MS, OTHERS_MS].map((ms) => setTimeout(look, ms + 1));
  }

  #look(): void {
    const missing = [...this.#pending];
    const patienceMs = missing.every((address) => this.#options.wereSilent.has(address)) ? SILENT_MS : OTHERS_MS;
    const isLate = this.#halfMs !== undefined && performance.now() - this.#halfMs >= patienceMs;
    if (missing.length === 0 || isLate) this.#end(missing);
  }

  /** Whatever comes later is of no use to this one. */
  #end(missing: readonly RedisAddress[]): void {
    this.#isOver = true;
    for (const timer of this.#timers) clearTimeout(timer);
    const wordsOf = (address: RedisAddress): string => {
      const why = this.#failures.get(address) ?? "has not answered yet";
      return `${describeAddress(address)} (${why.replace(/\.$/, "")})`;
    };
    const failing = this.#addresses.filter((address) => this.#failures.has(address) || this.#pending.has(address));
    const failures = failing.map(wordsOf).join(", ");
    this.#resolve({ views: [...this.#views], failures, refusal: this.#refusal, missing });
  }
}

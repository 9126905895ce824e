// What an operator sees who watches the daemon live: latencies, the processor's time, and the sessions that are used most, each since that operator
// asked last. Kept only as long as somebody watches: without one, a call looks at a number that is 0 and nothing else happens.

import { SessionError } from "../../protocol/errors.ts";
import { Latencies, type Timed } from "./latencies.ts";

/** Operators at once: each takes a MiB at most, and about a microsecond of every call. */
const MAX_WATCHES = 8;
/** Sessions that are counted for one of them. */
const MAX_COUNTED = 1_000;

const OPERATIONS = { open: "opens", commit: "commits", touch: "touches", lease: "transactions" } as const;
type Use = (typeof OPERATIONS)[keyof typeof OPERATIONS];
type Uses = Record<Use, number>;

/**
 * Counts by Misra and Gries: where more sessions are used than there is room for, one that makes a thousandth of all uses is among the counted all
 * the same, whatever their order, and a count is too low by that much at most. Every use costs one look into a map, over all.
 */
class MostUsed {
  readonly #counted = new Map<string, { readonly uses: Uses; room: number }>();

  add(id: string, use: Use): void {
    const known = this.#counted.get(id);
    if (known !== undefined) {
      known.uses[use] += 1;
      known.room += 1;
    } else if (this.#counted.size < MAX_COUNTED) {
      const uses = { opens: 0, commits: 0, touches: 0, transactions: 0 };
      uses[use] = 1;
      this.#counted.set(id, { uses, room: 1 });
    } else this.#makeRoom();
  }

  /** Each counted session gives up one of its uses together with this one, so that this happens once in so many uses. */
  #makeRoom(): void {
    for (const [id, counted] of this.#counted) {
      counted.room -= 1;
      if (counted.room === 0) this.#counted.delete(id);
    }
  }

  take(limit: number): readonly (Uses & { readonly id: string })[] {
    const all = [...this.#counted].map(([id, { uses }]) => ({ id, ...uses }));
    this.#counted.clear();
    return all.sort((one, other) => sumOf(other) - sumOf(one)).slice(0, limit);
  }
}

function sumOf({ opens, commits, touches, transactions }: Uses): number {
  return opens + commits + touches + transactions;
}

/** What one operator sees. */
class Watch {
  readonly #latencies = new Latencies();
  readonly #mostUsed = new MostUsed();
  #sinceMs = performance.now();
  #cpu = process.cpuUsage();

  record(timed: Timed, ns: number): void {
    this.#latencies.record(timed, ns);
  }

  noteUse(id: string, use: Use): void {
    this.#mostUsed.add(id, use);
  }

  /** What has been since the last time, and begins anew. */
  take(limit: number): Record<string, unknown> {
    const nowMs = performance.now();
    const ms = nowMs - this.#sinceMs;
    const { user, system } = process.cpuUsage(this.#cpu);
    const report = {
      ms,
      cpuMs: (user + system) / 1000,
      ...this.#latencies.report(),
      mostUsed: this.#mostUsed.take(limit),
    };
    this.#sinceMs = nowMs;
    this.#cpu = process.cpuUsage();
    this.#latencies.reset();
    return report;
  }
}

export class Watches {
  readonly #watches = new Map<object, Watch>();

  get count(): number {
    return this.#watches.size;
  }

  record(timed: Timed, ns: number): void {
    for (const watch of this.#watches.values()) watch.record(timed, ns);
  }

  /** @param operation which one was asked for, of this session. */
  noteUse(operation: string, id: string): void {
    if (!Object.hasOwn(OPERATIONS, operation)) return;
    const use = OPERATIONS[operation as keyof typeof OPERATIONS];
    for (const watch of this.#watches.values()) watch.noteUse(id, use);
  }

  /**
   * What has been since this owner asked last, with so many sessions at most. The first time it only begins.
   *
   * @throws SessionError ERR_OVERLOADED.
   */
  take(owner: object, limit: number): Record<string, unknown> {
    const known = this.#watches.get(owner);
    if (known !== undefined) return known.take(limit);
    if (this.#watches.size === MAX_WATCHES) {
      throw new SessionError("ERR_OVERLOADED", `${MAX_WATCHES} others watch this daemon already.`);
    }
    const watch = new Watch();
    this.#watches.set(owner, watch);
    return watch.take(limit);
  }

  /** A connection is closed. */
  forget(owner: object): void {
    this.#watches.delete(owner);
  }
}

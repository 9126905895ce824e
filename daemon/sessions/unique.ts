// Commits that also end every other session of the same prefix. Knows nothing of how a session is written or ended.
//
// Those of one prefix run one after the other, so that of several sessions created at once exactly one survives, the last:
//   1. A is written. B is written.
//   2. A's commit ends all others of the prefix: B.
//   3. B's commit comes after it, finds B ended, and ends nobody.

import { prefixOf } from "../../protocol/session-id.ts";
import { KIND, type State } from "../../protocol/wire/wire.ts";
import type { Log } from "../report/report.ts";
import type { CommitTurn, Turn } from "../turns/turns.ts";
import { storeError } from "../turns/turns.ts";
import { IdsOfPrefix } from "./ids-of-prefix.ts";

export interface UniqueParts {
  commit(id: string, turn: CommitTurn): void;
  enter(id: string, turn: Turn): void;
  wasApplied(turn: CommitTurn): boolean;
  hasEnded(id: string): boolean;
  ids(): AsyncIterable<string>;
  readonly log: Log;
}

export class UniqueCommits {
  readonly #parts: UniqueParts;
  readonly #ids: IdsOfPrefix;
  /** By prefix: the last that was asked for. */
  readonly #last = new Map<string, Promise<void>>();

  constructor(parts: UniqueParts) {
    this.#parts = parts;
    this.#ids = new IdsOfPrefix(() => parts.ids());
  }

  /** Those that are under way. */
  get underWay(): Iterable<Promise<void>> {
    return this.#last.values();
  }

  get count(): number {
    return this.#last.size;
  }

  commit(id: string, turn: CommitTurn): void {
    const prefix = prefixOf(id);
    const earlier = this.#last.get(prefix) ?? Promise.resolve();
    // One of the earlier may wait for the lease of this one: it is written first, and then looks whether it was ended meanwhile.
    const written = turn.options.fence === undefined ? undefined : this.#write(id, turn);
    written?.catch(() => undefined);
    const mine = earlier
      .then(() => this.#commitAlone(id, turn, written))
      .catch((error: unknown) => turn.fail(storeError(id, error)));
    this.#last.set(prefix, mine);
    void mine.then(() => {
      if (this.#last.get(prefix) === mine) this.#last.delete(prefix);
    });
  }

  #write(id: string, turn: CommitTurn): Promise<State> {
    return new Promise((answer, fail) => {
      this.#parts.commit(id, { ...turn, answer, fail });
    });
  }

  async #commitAlone(id: string, turn: CommitTurn, written?: Promise<State>): Promise<void> {
    const wasApplied = this.#parts.wasApplied(turn);
    const state = await (written ?? this.#write(id, turn));
    const survivor = turn.options.successor ?? id;
    // Sent again after a newer one has ended it, or ended by an earlier one that came to it late: the other one stays.
    const isGone = written !== undefined && this.#parts.hasEnded(survivor);
    const hasLost = (wasApplied && state.kind === KIND.absent) || isGone;
    if (!hasLost) await this.#endOthers(survivor, turn);
    turn.answer(state);
  }

  async #endOthers(id: string, turn: CommitTurn): Promise<void> {
    const all = await this.#ids.find(prefixOf(id));
    const others = all.filter((other) => other !== id);
    await Promise.all(others.map((other) => this.#endOther(other, turn)));
  }

  /**
   * One that cannot be ended (a directory of that name, say) must not keep the others from it.
   *
   * @throws SessionError ERR_DEADLOCK where its turn would never come.
   */
  #endOther(id: string, { caller, held }: CommitTurn): Promise<void> {
    return new Promise((answer) => {
      const fail = (error: unknown): void => {
        this.#parts.log.error("unique-failed", { session: id, error: String(error) });
        answer();
      };
      this.#parts.enter(id, { type: "end", caller, held, answer, fail });
    });
  }
}

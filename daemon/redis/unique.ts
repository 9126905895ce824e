// Commits that make a session, and those that end every other one of the same prefix. Knows nothing of how a session is stored or ended.
//
// Of several at once exactly one survives, the last, on however many hosts. Each is in the index before it is stored, and is made the last of all when it
// is stored; only then it ends what is before it. The index decides between two, for it takes one step after the other:
//
//   1. A and B are in the index. B is stored, becomes the last, and looks for A.
//   2. A is not stored yet: B leaves it. A becomes the last when it is, finds B before it, and ends it.
//   3. Or A is stored: B claims it, if it is still before B, and ends it, whatever it has become since. A that was claimed does not become the last any
//      more, and ends nobody. Or A was faster and is behind B: then it ends B.

import { timeoutSeconds } from "../../protocol/image/image.ts";
import { KIND, type State } from "../../protocol/wire/wire.ts";
import { endLeaseOf } from "../backend/backend.ts";
import type { Log } from "../report/report.ts";
import { type CommitTurn, storeError } from "../turns/turns.ts";
import type { PrefixIndex } from "./prefix-index.ts";
import type { Sessions } from "./sessions/sessions.ts";
import { reasonOf, unstored } from "./sessions/sessions.ts";

export interface UniqueParts {
  readonly sessions: Pick<Sessions, "commit" | "expect" | "release" | "look" | "end">;
  readonly index: PrefixIndex;
  /** Life time of a session created without one. */
  readonly timeoutSeconds: number;
  readonly log: Log;
}

export class UniqueCommits {
  readonly #parts: UniqueParts;
  readonly #underWay = new Set<Promise<void>>();

  constructor(parts: UniqueParts) {
    this.#parts = parts;
  }

  get underWay(): Iterable<Promise<void>> {
    return this.#underWay;
  }

  get count(): number {
    return this.#underWay.size;
  }

  /** A commit that makes a session: it is in the index before it is answered. */
  commitNew(id: string, turn: CommitTurn): void {
    if (turn.options.successor !== undefined) {
      this.#run(id, turn, () => this.#commitSuccessor(id, turn));
      return;
    }
    const indexed = this.#parts.index.add(id, this.#lifeOf(turn));
    indexed.catch(() => undefined);
    this.#parts.sessions.commit(id, {
      ...turn,
      answer: (state) => {
        indexed.then(() => turn.answer(state)).catch((error: unknown) => turn.fail(unstored(id, error)));
      },
    });
  }

  commitUnique(id: string, turn: CommitTurn): void {
    // It has arrived, whatever the index takes.
    const expected = this.#parts.sessions.expect(id, turn);
    this.#run(id, expected, () => this.#commitUnique(id, expected));
  }

  /** Adds a session that is used, so that its index is not forgotten. @throws ServerError */
  async keep(id: string, seconds: number): Promise<void> {
    await this.#parts.index.add(id, seconds);
  }

  #run(id: string, turn: CommitTurn, work: () => Promise<State>): void {
    const mine = work()
      .then(turn.answer, (error: unknown) => turn.fail(isOurs(error) ? error : unstored(id, error)))
      .catch((error: unknown) => turn.fail(storeError(id, error)))
      .finally(() => this.#underWay.delete(mine));
    this.#underWay.add(mine);
  }

  async #commitSuccessor(id: string, turn: CommitTurn): Promise<State> {
    const state = await this.#commit(id, turn);
    const successor = turn.options.successor ?? id;
    if (state.image !== null) await this.#parts.index.add(successor, timeoutSeconds(state.image));
    return state;
  }

  async #commitUnique(id: string, turn: CommitTurn): Promise<State> {
    const { index, sessions } = this.#parts;
    const survivor = turn.options.successor ?? id;
    try {
      await index.add(survivor, this.#lifeOf(turn));
    } catch (error) {
      endLeaseOf(sessions, id, turn);
      throw error;
    }
    const state = await this.#commit(id, turn);
    // Sent again after a newer one has ended it: the other one stays.
    if (state.kind === KIND.absent) return state;
    const life = state.image === null ? this.#lifeOf(turn) : timeoutSeconds(state.image);
    const place = await index.raise(survivor, life);
    if (place === undefined) return state;
    const others = await index.below(survivor, place);
    await Promise.all(others.filter((other) => other !== survivor).map((other) => this.#endOther(other, place, turn)));
    return state;
  }

  #commit(id: string, turn: CommitTurn): Promise<State> {
    return new Promise((answer, fail) => this.#parts.sessions.commit(id, { ...turn, answer, fail }));
  }

  /** One that cannot be ended must not keep the others from it. */
  async #endOther(id: string, place: number, turn: CommitTurn): Promise<void> {
    const { index, sessions, log } = this.#parts;
    try {
      const { stored, isThere } = await sessions.look(id);
      // Nothing is there yet, perhaps: its commit comes after ours then.
      if (stored === undefined || stored.kind === "reserved") return;
      if (isThere && !(await index.claim(id, place))) return;
      if (isThere) await sessions.end(id, turn);
      await index.remove(id);
    } catch (error) {
      log.error("unique-failed", { error: reasonOf(error) });
    }
  }

  #lifeOf({ options }: CommitTurn): number {
    return options.timeoutSeconds ?? this.#parts.timeoutSeconds;
  }
}

function isOurs(error: unknown): boolean {
  return error instanceof Error && "code" in error && String(error.code).startsWith("ERR_");
}

// Commits that make a session, and those that end every other one of the same prefix. Knows nothing of how a session is stored or ended.
//
// Of several at once exactly one survives, the last, on however many hosts. Each is in the index before it is stored, a unique one as the last of all:
//
//   1. A becomes the last. B becomes the last.
//   2. B is stored, and ends what is before it: A. Just before, it looks whether A still is, with the version of A that it has seen.
//   3. A is stored before that look: it is ended. Or after it: its version is another one, the look comes again. Or it finds itself ended.
//
// One that asks again, after an answer that was lost, keeps its place; it ends what is before that place, once more.

import { isCode } from "../../protocol/errors.ts";
import { timeoutSeconds } from "../../protocol/image/image.ts";
import { KIND, type State } from "../../protocol/wire/wire.ts";
import type { Log } from "../report/report.ts";
import { type CommitTurn, storeError } from "../turns/turns.ts";
import type { PrefixIndex } from "./prefix-index.ts";
import type { Sessions } from "./sessions/sessions.ts";
import { markOf, reasonOf, unstored } from "./sessions/sessions.ts";
import { isMarked } from "./value/value.ts";

export interface UniqueParts {
  readonly sessions: Pick<Sessions, "commit" | "look" | "endVersion">;
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
    this.#run(id, turn, () => this.#commitUnique(id, turn));
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
    const { stored } = await sessions.look(id);
    const isRepeated = stored !== undefined && isMarked(stored.marks, markOf(turn));
    const life = this.#lifeOf(turn);
    const place = await (isRepeated ? index.add(survivor, life) : index.raise(survivor, life));
    const state = await this.#commit(id, turn);
    // Sent again after a newer one has ended it: the other one stays.
    if (state.kind === KIND.absent) return state;
    if (state.image !== null) await index.add(survivor, timeoutSeconds(state.image));
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
      for (;;) {
        const { stored, isThere } = await sessions.look(id);
        // Nothing is there yet, perhaps: its commit comes after ours then.
        if (stored === undefined) return;
        if (!isThere) return await index.remove(id);
        const its = await index.placeOf(id);
        if (its === undefined || its >= place) return;
        const hasEnded = await sessions.endVersion(id, stored.version, turn).then(() => true, again);
        if (hasEnded) return await index.remove(id);
      }
    } catch (error) {
      log.error("unique-failed", { error: reasonOf(error) });
    }
  }

  #lifeOf({ options }: CommitTurn): number {
    return options.timeoutSeconds ?? this.#parts.timeoutSeconds;
  }
}

/** It has changed meanwhile. */
function again(error: unknown): false {
  if (isCode(error, "ERR_CONFLICT")) return false;
  throw error;
}

function isOurs(error: unknown): boolean {
  return error instanceof Error && "code" in error && String(error.code).startsWith("ERR_");
}

// Answers of calls that change nothing: those that need to know only that the copy is current, those that were carried out before, and refusals.

import { isCode, type SessionError } from "../../../protocol/errors.ts";
import { KIND, type State } from "../../../protocol/wire/wire.ts";
import {
  type CommitTurn,
  closed,
  type EndTurn,
  gone,
  leaseLost,
  overtaken,
  type ReadTurn,
  type TouchTurn,
  type Turn,
  type Turns,
  withoutLease,
} from "../../turns/turns.ts";
import { isMarked } from "../value/value.ts";
import type { Copy } from "./copy.ts";
import { unanswered, unstored } from "./failures.ts";
import type { House, Verification } from "./house.ts";
import type { Leasing } from "./leasing.ts";
import { markOf } from "./plan.ts";

/** A session as its readers see it. */
interface Readable {
  readonly id: string;
  read(turn: ReadTurn): void;
  answerRead(turn: ReadTurn, nowMs: number): void;
}

interface Enterable extends Readable {
  enter(turn: Turn): void;
}

interface AnswersParts<S> {
  readonly copy: Copy;
  readonly leasing: Leasing;
  readonly house: House<S>;
}

export class Answers<S extends Enterable> {
  readonly #session: S;
  readonly #parts: AnswersParts<S>;

  constructor(session: S, parts: AnswersParts<S>) {
    this.#session = session;
    this.#parts = parts;
  }

  /**
   * A commit whose lease is not in force. Where that ended here nothing is carried out under it any more. But it may have ended with its connection, with
   * the daemon that gave it, or because this commit was on its way and others went on, and then nobody knows where the commit is:
   *
   *   1. a daemon sends it to Redis, and is killed   2. the worker sends it to the next daemon, which looks: it is not there   3. it arrives
   *
   * So it is carried out, if the session is as its holder saw it; if not, it will never be. In both cases what arrives later finds another version.
   */
  late(turn: CommitTurn): void {
    if (this.#parts.leasing.isOver(turn)) this.#session.read(this.#ofMark(turn));
    else this.#session.enter(withoutLease(turn));
  }

  /** It may be one that was applied under its lease, and whose answer was lost. */
  #ofMark(turn: CommitTurn): ReadTurn {
    const answer = (): void => {
      if (isMarked(this.#parts.copy.marks, markOf(turn))) this.repeat(turn);
      else if (this.#parts.leasing.wasOvertaken(turn)) turn.fail(overtaken(this.#session.id));
      else turn.fail(leaseLost(this.#session.id));
    };
    return { caller: turn.caller, known: 0, answer, fail: turn.fail };
  }

  /** Another host has changed what is due under the lease is for. */
  overtake(turns: Turns): void {
    this.#parts.leasing.noteConflict();
    this.takeBack(turns);
  }

  /** What is due under the lease is for contents that are not stored, or not any more: it is stored already, or runs again. */
  takeBack(turns: Turns): void {
    const { leasing, copy, house } = this.#parts;
    const due = turns.takeDue();
    leasing.takeBack();
    for (const turn of due) {
      if (turn.type === "commit" && isMarked(copy.marks, markOf(turn))) this.repeat(turn);
      else {
        house.metrics.conflicts += 1;
        turn.fail(overtaken(this.#session.id));
      }
    }
    house.schedule(this.#session);
  }

  /** Of those that wait for the copy, if it is current by now. Also in the middle of a chain, which may have no end for long. */
  verifyReads(turns: Turns): void {
    const { copy, house } = this.#parts;
    if (!copy.isCurrent) return;
    for (const turn of turns.takeReads()) house.verify(this.#session, readCheck(this.#session, turn));
  }

  noteCommit({ arrivedMs }: CommitTurn): void {
    const { metrics } = this.#parts.house;
    metrics.commits += 1;
    metrics.noteCommit(performance.now() - arrivedMs);
  }

  /** Of a commit that is in the value already: the present state. */
  repeat(turn: CommitTurn): void {
    const { caller, answer, fail, options } = turn;
    const { house, leasing } = this.#parts;
    house.metrics.duplicates += 1;
    leasing.closeReleased(turn);
    const { id } = this.#session;
    const { successor = id } = options;
    this.#confirmed(successor).then(
      () => house.read(successor, { caller, known: 0, answer, fail }),
      (error: unknown) => fail(unstored(id, error)),
    );
  }

  /** The answer that was lost may have been that no replica had it. */
  async #confirmed(successor: string): Promise<void> {
    const { house } = this.#parts;
    const { id } = this.#session;
    if (successor !== id) await house.whenComplete(id);
    const ids = successor === id ? [id] : [id, successor];
    await Promise.all(ids.map((one) => house.calls.confirm(house.keyOf(one))));
  }

  /** Those whose caller is there still; the others have failed. */
  wanted(turns: readonly Turn[]): readonly Turn[] {
    return turns.filter((turn) => {
      const isWanted = !this.#parts.house.isForgotten(turn.caller.owner);
      if (!isWanted) turn.fail(closed(this.#session.id));
      return isWanted;
    });
  }

  /** Returns those that end a session which cannot be read: that needs nothing that can be. */
  fail(problem: SessionError, turns: readonly Turn[]): readonly EndTurn[] {
    const ends: EndTurn[] = [];
    for (const turn of turns) {
      if (turn.type === "end" && problem.code === "ERR_UNREADABLE") ends.push(turn);
      else {
        this.#parts.leasing.closeReleased(turn);
        turn.fail(problem);
      }
    }
    return ends;
  }

  /** That there never was a session is told by no value: only the barrier tells that none was made meanwhile. */
  refuse(turn: Turn, problem: Error): void {
    const { house, leasing, copy } = this.#parts;
    const refuse = (): void => {
      leasing.closeReleased(turn);
      turn.fail(problem);
    };
    if (copy.stored !== undefined || !isCode(problem, "ERR_SESSION_GONE")) {
      refuse();
      return;
    }
    house.verify(this.#session, {
      current: refuse,
      stale: () => this.#session.enter(turn),
      failed: (error) => turn.fail(unanswered(this.#session.id, error)),
    });
  }
}

export function readCheck(session: Readable, turn: ReadTurn): Verification {
  return {
    current: (nowMs) => session.answerRead(turn, nowMs),
    stale: () => session.read(turn),
    failed: (error) => turn.fail(unanswered(session.id, error)),
  };
}

/** A touch of a session that has a young stamp writes nothing, but the session must be there. */
export function touchCheck(session: Readable, { caller, base, answer, fail }: CommitTurn | TouchTurn): Verification {
  const tell = (state: State): void => (state.kind === KIND.absent ? fail(gone(session.id)) : answer(state));
  return readCheck(session, { caller, known: base, answer: tell, fail });
}

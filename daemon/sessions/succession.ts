// A session that goes on under another id. The new one is made as any other is, by a commit of its own, but with the contents of the old one;
// the old one is held meanwhile, and ends in the step that makes the new one visible:
//
//   1. old: has its lock, and contents that are written; from here on it takes no turn
//   2. new: has its lock, and is staged                  a kill leaves the old one
//   3. new: the journal says that this commit is about to become this revision, in the place of the old one
//                                                        the same: the next daemon finds that the new one was not published
//   4. new: is published                                 the next daemon ends the old one before it answers anybody (`local.ts`)
//   5. old: file, twin and lock are gone, and it has a tombstone
//   6. new: the caller is answered                       all is done; sent again it is answered with the new one
//
// The record lock of the old one keeps Gambas programs out from 1 to 5. One that waits for it finds no session then, and one that had it loaded
// and saves it later meets the tombstone.

import type { Contents } from "../memory/cache.ts";
import { isSameRevision, type SessionFiles } from "../store/store.ts";
import { type CommitTurn, gone, type Origin } from "../turns/turns.ts";
import type { Look } from "./look.ts";

/** The turn of the new session, and its id. */
interface Succession {
  readonly successor: string;
  readonly arrival: CommitTurn;
}

/** The old session. */
export class Departure implements Origin {
  readonly id: string;
  readonly #look: Look;
  readonly #store: Pick<SessionFiles, "stat">;
  readonly #contents: Contents;
  #hasEnded = false;

  /** @param look has contents. */
  constructor(id: string, look: Look, store: Pick<SessionFiles, "stat">) {
    const { contents } = look;
    if (contents === undefined) throw gone(id);
    this.id = id;
    this.#look = look;
    this.#store = store;
    this.#contents = contents;
  }

  get image(): Buffer {
    return this.#contents.image;
  }

  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  get isCurrent(): boolean {
    return isSameRevision(this.#store.stat(this.id), this.#contents.revision);
  }

  end(): void {
    this.#look.leave();
    this.#hasEnded = true;
  }

  /** @param done called before the caller is answered: without an error when the new session is written, and else with it, and nobody is answered. */
  of(turn: CommitTurn, done: (error?: unknown) => void): Succession {
    const { successor, timeoutSeconds, cookiePath, shares } = turn.options;
    if (successor === undefined) throw gone(this.id);
    const options = {
      create: true,
      ...(timeoutSeconds === undefined ? {} : { timeoutSeconds }),
      ...(cookiePath === undefined ? {} : { cookiePath }),
      ...(shares === undefined ? {} : { shares }),
    };
    const answer: CommitTurn["answer"] = (state) => {
      done();
      turn.answer(state);
    };
    return { successor, arrival: { ...turn, options, origin: this, answer, fail: done } };
  }
}

// Brings the calls of workers into the form in which a store knows sessions: where several ids name one session, everything that follows knows it by one
// of them, and where each key has objects of its own, nobody is told that it shares them.

import { prefixOf } from "../../protocol/session-id.ts";
import type { CommitTurn, ListTurn } from "../backend/backend.ts";
import type { Store } from "../store/store.ts";

/** Behind a prefix this makes an id of it. */
const ANY = `:${"0".repeat(24)}`;

export class Names {
  readonly #store: Pick<Store, "nameOf" | "keepsShares">;

  constructor(store: Pick<Store, "nameOf" | "keepsShares">) {
    this.#store = store;
  }

  of(id: string): string {
    return this.#store.nameOf === undefined ? id : this.#store.nameOf(id);
  }

  /** A caller that has shared objects is told the contents, where they are shared no more. */
  ofCommit(turn: CommitTurn): CommitTurn {
    const { nameOf, keepsShares } = this.#store;
    const { successor, shares } = turn.options;
    const named = successor === undefined || nameOf === undefined ? {} : { successor: nameOf(successor) };
    if (keepsShares || shares === undefined || shares.length === 0) {
      return named.successor === undefined ? turn : { ...turn, options: { ...turn.options, ...named } };
    }
    return { ...turn, wantsContents: true, options: { ...turn.options, ...named, shares: [] } };
  }

  ofList(turn: ListTurn): ListTurn {
    const { nameOf } = this.#store;
    return nameOf === undefined || turn.prefix === null
      ? turn
      : { ...turn, prefix: prefixOf(nameOf(turn.prefix + ANY)) };
  }
}

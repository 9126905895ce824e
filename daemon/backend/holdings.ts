// The seam between the command `convert` and what keeps sessions: everything that a type of sessions holds, at rest, while no daemon of that type
// serves. An engine that offers it can be converted from and to. Ids have passed `isSessionId`.

import type { Config } from "../config.ts";
import type { Log } from "../report/report.ts";

/** A tombstone is told with the time at which it is forgotten, in Unix ms: how long it is kept is a matter of where it lies. */
export type Held =
  | { readonly kind: "session"; readonly id: string }
  /** It lies among the sessions and may be one, of no id that is allowed. */
  | { readonly kind: "stranger"; readonly name: string }
  | { readonly kind: "ended"; readonly id: string; readonly forgetMs: number };

/** What is under the id of a session that comes: nothing, the same session, another state of it, or its tombstone. */
export type Found = "nothing" | "same" | "other" | "ended";

/** Contents on their way. */
export interface Lent {
  readonly image: Buffer;
  /** False: each value has a dialect of its own where it comes from, and in a file they get the one in use there. */
  readonly hasDialect: boolean;
}

/**
 * "over": its time is over, or it has ended and was brought back; it was not lent. "changed": another program changed it after it was lent, so it
 * was not removed.
 */
export type Lending = "lent" | "absent" | "over" | "changed";

export interface Holdings {
  /** The one id by which this place knows all ids that are one session in it, as a store has it: what `held` names then. Undefined: each id is one of its own. */
  readonly nameOf: ((id: string) => string) | undefined;
  /** Each that is there all the time at least once. Survives changes while it runs. */
  held(): AsyncIterable<Held>;
  /** The same without a look at any: just their ids, sessions and tombstones. */
  ids(): AsyncIterable<string>;
  /**
   * Lends the contents of a session, and removes it without a tombstone if that is what `use` resolves to and nobody has changed it meanwhile.
   *
   * @throws SessionError ERR_UNREADABLE, ERR_SESSION_BUSY, ERR_STORE; ERR_DAEMON_RUNNING where a daemon elsewhere has changed it.
   */
  lend(id: string, use: (lent: Lent) => Promise<"keep" | "remove">): Promise<Lending>;
  /**
   * Keeps a session if nothing is under its id: byte for byte, or as the same contents are stored here. What was kept survives whatever this type
   * survives when this resolves.
   *
   * @returns what was found there before.
   * @throws SessionError ERR_STORE; ERR_UNREADABLE for what cannot be stored here as it is; ERR_SESSION_BUSY.
   */
  keep(id: string, lent: Lent): Promise<Found>;
  /** Only says what `keep` would. */
  find(id: string, lent: Lent): Promise<Found>;
  /** Removes what was kept, without a tombstone, if it still is the same. @throws SessionError ERR_STORE, ERR_SESSION_BUSY. */
  takeBack(id: string, lent: Lent): Promise<void>;
  /** Keeps a tombstone, and ends the session of this id. False: there was one. @throws SessionError ERR_STORE. */
  end(id: string, forgetMs: number): Promise<boolean>;
  /** Whatever was kept survives when this resolves. @throws SessionError ERR_STORE where tombstones could not be kept. */
  close(): Promise<void>;
}

/** @throws SessionError where that cannot be done; nothing stays open then. */
export type OpenHoldings = (config: Config, log: Log) => Promise<Holdings>;

// The seam between the command `convert` and what keeps sessions: everything that a type of sessions holds, at rest, while no daemon of that type
// serves. An engine that offers it can be converted from and to. Ids have passed `isSessionId`.

import type { Config } from "../config.ts";
import type { Log } from "../report/report.ts";

/** A tombstone is told with the time at which it is forgotten, in Unix ms: how long it is kept is a matter of where it lies. */
export type Held =
  | { readonly kind: "session"; readonly id: string }
  | { readonly kind: "ended"; readonly id: string; readonly forgetMs: number };

/** What is under the id of a session that comes: nothing, the same session, another state of it, or its tombstone. */
export type Found = "nothing" | "same" | "other" | "ended";

export interface Holdings {
  /** Each that is there all the time at least once. Survives changes while it runs. */
  held(): AsyncIterable<Held>;
  /**
   * Lends the contents of a session, which nobody changes meanwhile, and removes it without a tombstone if that is what `use` resolves to.
   *
   * @returns "over" where its time is over, or it has ended and was brought back: that one is not lent.
   * @throws SessionError ERR_UNREADABLE, ERR_SESSION_BUSY, ERR_STORE; ERR_DAEMON_RUNNING where a daemon elsewhere has changed it.
   */
  lend(id: string, use: (image: Buffer) => Promise<"keep" | "remove">): Promise<"lent" | "absent" | "over">;
  /**
   * Keeps a session, byte for byte, if nothing is under its id. What was kept survives whatever this type survives when this resolves.
   *
   * @returns what was found there before.
   * @throws SessionError ERR_STORE.
   */
  keep(id: string, image: Buffer): Promise<Found>;
  /** Only says what `keep` would. */
  find(id: string, image: Buffer): Promise<Found>;
  /** Keeps a tombstone, and ends the session of this id. False: there was one. @throws SessionError ERR_STORE. */
  end(id: string, forgetMs: number): Promise<boolean>;
  /** Whatever was kept survives when this resolves. */
  close(): Promise<void>;
}

/** @throws SessionError where that cannot be done; nothing stays open then. */
export type OpenHoldings = (config: Config, log: Log) => Promise<Holdings>;

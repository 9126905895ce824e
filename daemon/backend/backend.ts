// The seam between the wire and what keeps sessions: the calls of the operation table once they are checked, each with the way back to the
// worker behind it. A backend may answer at once, at the end of the event loop's turn, or when another machine has answered.

import type { ParsedDelta } from "../../protocol/image/image.ts";
import type { CommitOptions, ListedSession, State } from "../../protocol/wire/wire.ts";
import type { Config } from "../config.ts";
import type { Log, Metrics } from "../report/report.ts";

export type { Found, Held, Holdings, Lending, Lent, OpenHoldings } from "./holdings.ts";

/** Commits of one connection that may wait at once: the wire lets no more through, and a backend remembers more that were applied. */
export const MAX_COMMITS_IN_FLIGHT = 32_768;

/** Sessions that one answer names at most. */
export const MAX_LISTED = 4_096;

/** Who waits for an answer. `owner` is the connection; `client` the worker behind it. */
export interface Caller {
  readonly owner: object;
  readonly client: string;
}

/** Exactly one of `answer` and `fail` is called, once. */
export interface Waiting {
  readonly caller: Caller;
  readonly fail: (error: unknown) => void;
  /** Fences of leases that end only after this call is answered. */
  readonly held?: readonly number[] | null | undefined;
}

export interface ReadTurn extends Waiting {
  /** The mtime of the revision that the worker holds; 0: none. */
  readonly known: number;
  readonly answer: (state: State) => void;
}

export interface CommitTurn extends Waiting {
  readonly type: "commit";
  readonly sequence: number;
  /** The lowest sequence that the worker waited for when it sent this: no lower one is sent again. Null or undefined: it did not say. */
  readonly floor?: number | null | undefined;
  readonly base: number;
  readonly delta: Buffer;
  readonly parsed: ParsedDelta;
  readonly options: CommitOptions;
  /** What it makes of the session is more than its worker can tell from its delta. */
  readonly wantsContents?: boolean;
  /** performance.now() of its arrival. */
  readonly arrivedMs: number;
  readonly answer: (state: State) => void;
}

export interface TouchTurn extends Waiting {
  readonly type: "touch";
  readonly base: number;
  readonly answer: (state: State) => void;
}

export interface EndTurn extends Waiting {
  readonly type: "end";
  readonly answer: () => void;
}

export interface LeaseTurn extends Waiting {
  readonly type: "lease";
  readonly leaseMs: number;
  readonly known: number;
  /** The contents need not be compared with what another host may have made of them: a commit will be, or the holder asks before it tells what it saw. */
  readonly isOptimistic?: boolean | null | undefined;
  /** @param isUnverified they were not compared. */
  readonly answer: (fence: number, state: State, isUnverified?: boolean) => void;
}

/** Asks for sessions in the order of their ids. */
export interface ListTurn {
  readonly caller: Caller;
  /** Only those behind this id; "": from the first one on. */
  readonly after: string;
  /** Only those of exactly this prefix; null: of any. */
  readonly prefix: string | null;
  /** So many at most, and no more than `MAX_LISTED`. */
  readonly limit: number;
  readonly answer: (page: ListPage) => void;
  readonly fail: (error: unknown) => void;
}

export interface ListPage {
  /** A session that has expired, or has ended and was brought back, is not among them. */
  readonly sessions: ListedSession[];
  /** Those that follow are behind this one; null: there are none. */
  readonly next: string | null;
}

/** Asks for a look at every session, now. */
export interface SweepTurn {
  readonly caller: Caller;
  /** What becomes of those whose time is over: "look" leaves them alone. */
  readonly does: "end" | "look";
  readonly answer: (count: SweepCount) => void;
  readonly fail: (error: unknown) => void;
}

/** Those of `seen` that are none of the others are kept. */
export interface SweepCount {
  readonly seen: number;
  /** Their time was over. With "look": they would end. */
  readonly ended: number;
  /** They are damaged, or may not be read, and are left as they are. */
  readonly unreadable: number;
  /** Their time is over, and they could not be ended. */
  readonly failed: number;
}

/** Asks for a session of another package that is to become the one of this id. */
export interface FoundTurn extends Waiting {
  readonly id: string;
  readonly key: string;
  /** Undefined: nothing is there, or it was adopted before. */
  readonly answer: (bytes: Buffer | undefined) => void;
}

/** Such a session has become one of ours. */
export interface AdoptionTurn extends Waiting {
  readonly id: string;
  readonly key: string;
  /** What becomes of the old one. "keep": it is kept in mind that it was adopted. */
  readonly does: "keep" | "remove";
  readonly answer: () => void;
}

export interface Adoptions {
  find(turn: FoundTurn): void;
  note(turn: AdoptionTurn): void;
}

export type Turn = CommitTurn | TouchTurn | EndTurn | LeaseTurn;

/** What the calls of workers need. Ids have passed `isSessionId`. */
export interface SessionCalls {
  read(id: string, turn: ReadTurn): void;
  /** @throws SessionError ERR_DEADLOCK where the turn would never come. */
  enter(id: string, turn: Turn): void;
  /**
   * A commit that was applied before is answered with the present state and not applied again. One with a `successor` makes that the session,
   * with the contents after this commit, and ends this one before it is answered: there is always exactly one of the two.
   */
  commit(id: string, turn: CommitTurn): void;
  /** A commit that also ends every other session of the same prefix: of several at once exactly one survives, the last (or its successor). */
  commitUnique(id: string, turn: CommitTurn): void;
  /** Wakes no session and touches none. One that is there all the time is in exactly one page. */
  list(turn: ListTurn): void;
  /** Besides what the backend does by itself. Takes its time: other calls go first, and what all have asked for is done once. */
  sweep(turn: SweepTurn): void;
  /** Ends a lease of this owner without a commit. Ending one that is over is no error. */
  release(id: string, fence: number, owner: object): void;
  /** A connection is closed: its turns and leases end. */
  forget(owner: object): void;
  /** Sessions of other packages in the same place. Undefined: there are none that could be adopted. */
  readonly adoptions?: Adoptions | undefined;
}

/** What keeps the sessions of a daemon, from its election until it leaves. */
export interface Backend extends SessionCalls {
  /** The directory of the files by which workers find out themselves whether their copies are current, or "" when they have to ask. */
  readonly directory: string;
  /** The version table (`protocol/version-table.ts`) by which workers know the same where sessions are in no files. Undefined: they have to ask. */
  readonly versions?: string | undefined;
  /** Begins what it does by itself. Called once, when workers can reach it. */
  start(): void;
  /** The end of a turn of the event loop, asked for by `TurnEnd.requestWork`: does all the work that is due, once. */
  flush(): void;
  /** What the status says of it. */
  report(): Record<string, unknown>;
  /** Takes no more turns. What is under way has been answered when this resolves. */
  stop(): Promise<void>;
  /** Gives back everything that is open. `isOurs`: no other daemon has taken the place, and what lies aside may be removed. */
  close(isOurs: () => boolean): Promise<void>;
}

/** The lease that a commit was to end, if the commit does not get as far as its session. */
export function endLeaseOf(
  backend: Pick<SessionCalls, "release">,
  id: string,
  { options, caller }: Pick<CommitTurn, "options" | "caller">,
): void {
  const { fence, release } = options;
  if (release === true && fence !== undefined) backend.release(id, fence, caller.owner);
}

/** What a backend may use of the daemon around it. */
export interface Around {
  readonly config: Config;
  readonly log: Log;
  readonly metrics: Metrics;
  /** Asks for `flush` at the end of this turn of the event loop. */
  readonly requestWork: () => void;
  /** Asked before everything that is written: false once another daemon may have the place. */
  readonly mayWrite: () => boolean;
  /** Repeats an action until the daemon leaves. */
  readonly every: (ms: number, action: () => void) => void;
}

/** Makes the backend of a daemon that was elected, before the first worker can reach it. Throws where it cannot work, and leaves nothing open then. */
export type Engine = (around: Around) => Backend | Promise<Backend>;

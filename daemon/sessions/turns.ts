// The calls that wait for one session, in the order of arrival: whose each is, the way back to it, which of them are due, and the words in
// which one is refused. Reads always are due; while a lease is in force its commits are, otherwise everybody's changes. Carries out nothing.

import { SessionError } from "../../protocol/errors.ts";
import type { ParsedDelta } from "../../protocol/image/image.ts";
import type { CommitOptions, State } from "../../protocol/wire/operations.ts";

/** The caller that waits for an answer. `owner` is the connection; `client` the worker behind it. */
export interface Caller {
  readonly owner: object;
  readonly client: string;
}

export interface Waiting {
  readonly caller: Caller;
  readonly fail: (error: unknown) => void;
  /** Fences of leases that end only after this call is answered. */
  readonly held?: readonly number[] | null | undefined;
}

export interface ReadTurn extends Waiting {
  readonly known: number;
  readonly answer: (state: State) => void;
}

export interface CommitTurn extends Waiting {
  readonly type: "commit";
  readonly sequence: number;
  readonly base: number;
  readonly delta: Buffer;
  readonly parsed: ParsedDelta;
  readonly options: CommitOptions;
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
  readonly answer: (fence: number, state: State) => void;
}

export type Turn = CommitTurn | TouchTurn | EndTurn | LeaseTurn;

/** A turn on the session that a client ends. */
export interface Lease {
  readonly fence: number;
  readonly owner: object;
  /** The contents the owner was given: a commit under the lease is for these and no others. */
  image: Buffer;
  /** Commits under the lease. They do not wait for it. */
  readonly turns: CommitTurn[];
  readonly deadline: NodeJS.Timeout;
}

/** Asks for a look at the session on nobody's behalf: a look repairs, and ends a session whose time is over. */
export const nobodyReads: ReadTurn = {
  caller: { owner: {}, client: "" },
  known: 0,
  answer: () => undefined,
  fail: () => undefined,
};

const NO_READS: readonly ReadTurn[] = [];

export class Turns {
  #reads: ReadTurn[] = [];
  #queue: Turn[] = [];
  #lease: Lease | undefined;

  /** The lease in force. */
  get lease(): Lease | undefined {
    return this.#lease;
  }

  get count(): number {
    return this.#queue.length + this.#reads.length + (this.#lease?.turns.length ?? 0);
  }

  get hasWork(): boolean {
    return this.#reads.length > 0 || this.due.length > 0;
  }

  /** Changes that may be made now. */
  get due(): readonly Turn[] {
    return this.#lease === undefined ? this.#queue : this.#lease.turns;
  }

  /** Nothing but commits is due: no answer depends on a look. */
  get areCommits(): boolean {
    return this.#reads.length === 0 && this.due.every(({ type }) => type === "commit");
  }

  /** One of those that wait makes the session. */
  get createsSession(): boolean {
    return this.#queue.some(isCreation);
  }

  /** The first that waits for its turn, or for the end of the lease. */
  get first(): Turn | undefined {
    return this.#queue[0];
  }

  addRead(turn: ReadTurn): void {
    this.#reads.push(turn);
  }

  add(turn: Turn): void {
    this.#queue.push(turn);
  }

  /** False: it belongs to no lease that is in force. */
  addLeased(turn: CommitTurn): boolean {
    const lease = this.#lease;
    if (lease === undefined || lease.fence !== turn.options.fence || lease.owner !== turn.caller.owner) return false;
    lease.turns.push(turn);
    return true;
  }

  takeReads(): readonly ReadTurn[] {
    const reads = this.#reads;
    if (reads.length === 0) return NO_READS;
    this.#reads = [];
    return reads;
  }

  /** The first `count` that are due have had their turn. */
  drop(count: number): void {
    const due = this.#lease?.turns ?? this.#queue;
    if (count === due.length) due.length = 0;
    // Not by splice, which moves all the others: there may be tens of thousands.
    else for (let left = count; left > 0; left--) due.shift();
  }

  /** Turns that come again, before all others. Returns those whose lease is over by now. */
  putBack(turns: readonly Turn[]): readonly Turn[] {
    const lost: Turn[] = [];
    for (const turn of [...turns].reverse()) {
      if (turn.type !== "commit" || turn.options.fence === undefined) this.#queue.unshift(turn);
      else if (turn.options.fence === this.#lease?.fence) this.#lease.turns.unshift(turn);
      else lost.unshift(turn);
    }
    return lost;
  }

  /** Takes out all that a connection asked for. */
  takeThoseOf(owner: object): readonly Waiting[] {
    const isTheirs = ({ caller }: Waiting): boolean => caller.owner === owner;
    const isOthers = (turn: Waiting): boolean => !isTheirs(turn);
    const taken = [...this.#reads, ...this.#queue].filter(isTheirs);
    this.#reads = this.#reads.filter(isOthers);
    this.#queue = this.#queue.filter(isOthers);
    return this.#lease?.owner === owner ? [...taken, ...this.#lease.turns.splice(0)] : taken;
  }

  /** Those that wait for the end of a lease wait for their own turn, and hear its outcome. */
  takeDue(): readonly Turn[] {
    return (this.#lease?.turns ?? this.#queue).splice(0);
  }

  beginLease(lease: Lease): void {
    this.#lease = lease;
  }

  /** Returns the commits that were to be made under it, and now have no lease. */
  endLease(): readonly CommitTurn[] {
    const lost = this.#lease?.turns ?? [];
    this.#lease = undefined;
    return lost;
  }
}

export function isCreation(turn: Turn): boolean {
  return turn.type === "commit" && turn.options.create === true;
}

export function badId(id: string): SessionError {
  return new SessionError("ERR_BAD_ID", `${JSON.stringify(id.slice(0, 100))} is not a session id.`);
}

export function gone(id: string): SessionError {
  return new SessionError("ERR_SESSION_GONE", `Session ${id} is gone; nothing was written.`);
}

export function idTaken(id: string): SessionError {
  return new SessionError("ERR_ID_TAKEN", `The id ${id} is or was in use.`);
}

export function leaseLost(id: string): SessionError {
  return new SessionError("ERR_LEASE_LOST", `The lease on session ${id} is over; nothing was written.`);
}

export function closed(id: string): SessionError {
  return new SessionError("ERR_CLOSED", `The connection was closed before its turn on session ${id} came.`);
}

export function overtaken(id: string): SessionError {
  const what = `Another program saved session ${id} during the transaction; nothing of it was written.`;
  return new SessionError("ERR_CONFLICT", what);
}

export function busy(id: string, waitedMs: number): SessionError {
  const what = `The lock of session ${id} has been held by another program for ${waitedMs} ms; nothing was written.`;
  return new SessionError("ERR_SESSION_BUSY", what);
}

/** Engines throw the system's errors; a caller is told which session one is about. */
export function storeError(id: string, error: unknown): SessionError {
  if (error instanceof SessionError) return error;
  const reason = error instanceof Error ? error.message : String(error);
  return new SessionError("ERR_STORE", `Session ${id} could not be read or written: ${reason}.`, { cause: error });
}

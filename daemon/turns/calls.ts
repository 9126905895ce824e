// The calls that wait for one session, in the order of arrival: whose each is, the way back to it, which of them are due, and the words in
// which one is refused. Reads always are due; while a lease is in force its commits are, otherwise everybody's changes. Carries out nothing.

import { SessionError, SucceededError } from "../../protocol/errors.ts";
import type { CommitTurn as Commit, EndTurn, LeaseTurn, ReadTurn, TouchTurn, Waiting } from "../backend/backend.ts";
import { ABSENT, type Contents, knows, stateOf } from "../memory/cache.ts";

export type { Caller, EndTurn, LeaseTurn, ReadTurn, TouchTurn, Waiting } from "../backend/backend.ts";

/** What became of a session that is not there any more. succeeded: it goes on under another id. */
export type Ending = "ended" | "succeeded";

/** The session that a new one takes the place of. It is held until that is written or refused. */
export interface Origin {
  readonly id: string;
  readonly image: Buffer;
  /** It still is what the store holds: no other program has saved it in spite of its lock. */
  readonly isCurrent: boolean;
  /** The new one is visible: this one ends. Throws where its file cannot be removed; then nothing has ended. */
  end(): void;
}

export interface CommitTurn extends Commit {
  /** Of a commit that makes a session of another one. */
  readonly origin?: Origin | undefined;
  /** Of one whose lease is over, and not by its fault: the name of the contents that its holder saw, and on which alone it is carried out. */
  readonly seen?: number | undefined;
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
  /** Its last commit has arrived: that was in time, however long the store takes for it. */
  isEnding: boolean;
  /** Other commits under it that have no answer yet: nor is the time the store takes for these its holder's. */
  underWay: number;
  /** Its time is over, and it goes on for those alone that were under way then, and as long again behind them. */
  isOverdue: boolean;
  deadline: NodeJS.Timeout;
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

  get readCount(): number {
    return this.#reads.length;
  }

  get hasWork(): boolean {
    return this.#reads.length > 0 || this.due.length > 0;
  }

  /** Changes that may be made now. */
  get due(): readonly Turn[] {
    return this.#lease === undefined ? this.#queue : this.#lease.turns;
  }

  /** Nothing but commits to this session is due: no answer depends on a look. */
  get areCommits(): boolean {
    return this.#reads.length === 0 && this.due.every((turn) => turn.type === "commit" && !isSuccession(turn));
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
    const lease = this.#leaseOf(turn);
    lease?.turns.push(this.expect(turn));
    return lease !== undefined;
  }

  /** A commit has arrived, and is added later: under a lease that was in time. Returns it as it is to be added, or to fail. */
  expect(turn: CommitTurn): CommitTurn {
    const lease = this.#leaseOf(turn);
    if (lease === undefined) return turn;
    if (endsLease(turn, lease)) lease.isEnding = true;
    else if (!lease.isOverdue) {
      lease.underWay += 1;
      return notingItsEnd(turn, () => {
        lease.underWay -= 1;
      });
    }
    return turn;
  }

  /** The lease in force, if it is that of the commit. */
  #leaseOf({ options, caller }: CommitTurn): Lease | undefined {
    const lease = this.#lease;
    return lease?.fence === options.fence && lease?.owner === caller.owner ? lease : undefined;
  }

  takeReads(): readonly ReadTurn[] {
    const reads = this.#reads;
    if (reads.length === 0) return NO_READS;
    this.#reads = [];
    return reads;
  }

  /** @param image what the store should hold: other bytes than those of the contents where a repair is under way, which its readers see when it is written. */
  answerReads(contents: Contents | undefined, image: Buffer | undefined): void {
    if (contents !== undefined && image !== contents.image) return;
    for (const turn of this.takeReads()) turn.answer(contents === undefined ? ABSENT : stateOf(contents, turn.known));
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

/** The same turn. @param end called when it is answered, or has failed. */
export function notingItsEnd<T extends Turn>(turn: T, end: () => void): T {
  const answer = (...fields: never[]): void => {
    end();
    (turn.answer as (...fields: never[]) => void)(...fields);
  };
  const fail = (error: unknown): void => {
    end();
    turn.fail(error);
  };
  return { ...turn, answer, fail };
}

/** Whether this is a commit that ends the lease in force, applied or refused. */
export function endsLease(turn: Turn, lease: Pick<Lease, "fence"> | undefined): boolean {
  if (turn.type !== "commit" || lease === undefined) return false;
  return turn.options.release === true && turn.options.fence === lease.fence;
}

/** There was nothing to be written for them. */
export function answerUnwritten(turns: readonly (CommitTurn | TouchTurn)[], contents: Contents | undefined): void {
  for (const turn of turns) if (contents !== undefined) turn.answer(stateOf(contents, turn.base));
}

/** A caller that held the contents before knows those after its own change, if nothing else was written with that. */
export function answerWritten({ turns, before, isRepair, origin }: Written, contents: Contents): void {
  const isAlone = turns.length === 1 && !isRepair && origin === undefined;
  for (const turn of turns) {
    const isToldAll = turn.type === "commit" && turn.wantsContents === true;
    const isExact = isAlone && !isToldAll && (isCreation(turn) || knows(before, turn.base));
    turn.answer(stateOf(contents, isExact ? contents.revision.mtimeMs : 0));
  }
}

/** What was written, and for whom. */
export interface Written {
  readonly turns: readonly (CommitTurn | TouchTurn)[];
  readonly before: Contents | undefined;
  /** The image has values back in it that a stale save undid. */
  readonly isRepair: boolean;
  /** The session whose place this one takes. */
  readonly origin: Origin | undefined;
}

export function isCreation(turn: Turn): boolean {
  return turn.type === "commit" && turn.options.create === true;
}

/** As it waits for its turn when its lease is not there. @param seen the contents that its holder saw, by their name. */
export function withoutLease(turn: CommitTurn, seen: number = turn.base): CommitTurn {
  const { fence: _fence, release: _release, ...options } = turn.options;
  return { ...turn, options, seen };
}

/** Whether it is carried out without its lease. */
export function isLate(turn: Turn | undefined): turn is CommitTurn {
  return turn?.type === "commit" && turn.seen !== undefined;
}

/** Whether the session is to go on under another id. */
export function isSuccession(turn: Turn): boolean {
  return turn.type === "commit" && turn.options.successor !== undefined && turn.origin === undefined;
}

export function badId(id: string): SessionError {
  return new SessionError("ERR_BAD_ID", `${JSON.stringify(id.slice(0, 100))} is not a session id.`);
}

export function gone(id: string, ending?: Ending): SessionError {
  if (ending === "succeeded") return new SucceededError(id);
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

/** @param why in words, where it is no lock of ours that is held. */
export function busy(id: string, waitedMs: number, why?: string): SessionError {
  const reason =
    why === undefined
      ? `The lock of session ${id} has been held by another program for ${waitedMs} ms`
      : `Session ${id} could not be used for ${waitedMs} ms (${why})`;
  const what = `${reason}; nothing was written.`;
  return new SessionError("ERR_SESSION_BUSY", what);
}

/** Engines throw the system's errors; a caller is told which session one is about. */
export function storeError(id: string, error: unknown): SessionError {
  if (error instanceof SessionError) return error;
  const reason = error instanceof Error ? error.message : String(error);
  return new SessionError("ERR_STORE", `Session ${id} could not be read or written: ${reason}.`, { cause: error });
}

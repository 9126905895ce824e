// How one session comes to its record lock, which other programs hold now and then: a busy lock is tried again by timer, for a while, and
// left free for another program that was met here and had no chance. Knows no contents and no turns.
//
//   FREE     --take: held, or there is none to take-->   HELD
//   FREE     --take: busy, or a gap is owed---------->   WAITING   a timer, or the next turn of the event loop
//   WAITING  --the session asks again---------------->   FREE
//   HELD     --release------------------------------->   FREE      after the turn, or with the lease

import type { Encounters } from "../foreign/foreign.ts";
import { GAP_MS } from "../foreign/foreign.ts";
import { type RecordLocks, StoreBusy } from "../store/store.ts";
import { busy } from "../turns/turns.ts";

export interface LockParts {
  readonly locks: RecordLocks;
  /** How long another program may hold the lock before those that wait are refused. */
  readonly lockWaitMs: number;
}

/** The session that waits. */
export interface LockUser {
  readonly id: string;
  /** It tries again in the next turn of the event loop. */
  askForTurn(): void;
}

/** For engines whose sessions no other program locks. */
export const NO_LOCKS: RecordLocks = { take: () => "held", release: () => undefined, has: () => false };

const RETRY_LOCK_MS = 5;
/** Trying again costs a system call; so long it is tried in every turn of the event loop. */
const SPIN_MS = 2;
/** A program that holds a lock longer than this may take it again at once: then every moment in between counts. */
const PATIENT_MS = 100;
/** A program that keeps a store busy longer than this stays: a step that is repeated costs more than a lock, and other sessions want the time. */
const STAYS_MS = 1_000;
const RETRY_STEP_MS = 20;
/** After so long without one another step begins. */
const LAPSE_MS = 1_000;

export class LockWait {
  readonly #user: LockUser;
  readonly #parts: LockParts;
  readonly #encounters: Encounters;
  /** performance.now() of when a step found the store busy, first and last. */
  #storeBusySinceMs = 0;
  #storeBusyMs = Number.NEGATIVE_INFINITY;
  #hasLock = false;
  /** performance.now() of when it was first found busy; 0 while it is not. */
  #busySinceMs = 0;
  #retryTimer: NodeJS.Timeout | undefined;

  constructor(user: LockUser, parts: LockParts, encounters: Encounters) {
    this.#user = user;
    this.#parts = parts;
    this.#encounters = encounters;
  }

  /** False where there was no lock to take, because there is no session: one that turns up then is looked at again. */
  get hasLock(): boolean {
    return this.#hasLock || this.#parts.locks === NO_LOCKS;
  }

  get isWaiting(): boolean {
    return this.#retryTimer !== undefined;
  }

  /**
   * False: the session asks again later.
   *
   * @param mayCreate an unknown id must not leave a lock file behind; a session without one (copied in, say) may get one.
   * @throws SessionError ERR_SESSION_BUSY.
   */
  take(nowMs: number, mayCreate: boolean): boolean {
    if (this.#parts.locks === NO_LOCKS) return true;
    if (this.#encounters.isGapOwed(nowMs)) {
      this.release();
      this.retryLater(GAP_MS);
      return false;
    }
    const result = this.#parts.locks.take(this.#user.id, mayCreate);
    if (result === "busy") {
      this.release();
      this.#wait(nowMs);
      return false;
    }
    this.#hasLock = result === "held";
    this.#busySinceMs = 0;
    this.#encounters.noteLockTaken();
    return true;
  }

  release(): void {
    if (this.#parts.locks === NO_LOCKS) return;
    this.#parts.locks.release(this.#user.id);
    this.#encounters.noteLockReleased();
  }

  /**
   * What is to be told of a step that failed. Undefined where another program was in its way, not for too long yet: the session asks again later,
   * and the step is to be repeated then.
   */
  problemOf(error: unknown): unknown {
    if (!(error instanceof StoreBusy)) return error;
    const presentMs = performance.now();
    // Steps that are repeated follow each other at once: one since then has had its way.
    if (presentMs - this.#storeBusyMs > LAPSE_MS) this.#storeBusySinceMs = presentMs;
    this.#storeBusyMs = presentMs;
    const waitedMs = Math.round(presentMs - this.#storeBusySinceMs);
    if (waitedMs > this.#parts.lockWaitMs) {
      this.noteDone();
      return busy(this.#user.id, waitedMs, error.message);
    }
    if (waitedMs < STAYS_MS) this.#tryAgain(waitedMs);
    else this.retryLater(RETRY_STEP_MS);
    return undefined;
  }

  /** A step has had its way. */
  noteDone(): void {
    this.#storeBusyMs = Number.NEGATIVE_INFINITY;
  }

  retryLater(pauseMs: number): void {
    this.#retryTimer ??= setTimeout(() => {
      this.#retryTimer = undefined;
      this.#user.askForTurn();
    }, pauseMs);
  }

  stop(): void {
    clearTimeout(this.#retryTimer);
  }

  /** A Gambas program at its load or save is done in a fraction of a millisecond. */
  #wait(nowMs: number): void {
    this.#encounters.noteMet(nowMs);
    const presentMs = performance.now();
    if (this.#busySinceMs === 0) this.#busySinceMs = presentMs;
    const waitedMs = Math.round(presentMs - this.#busySinceMs);
    if (waitedMs > this.#parts.lockWaitMs) {
      this.#busySinceMs = 0;
      throw busy(this.#user.id, waitedMs);
    }
    this.#tryAgain(waitedMs);
  }

  #tryAgain(waitedMs: number): void {
    if (waitedMs < SPIN_MS) this.#user.askForTurn();
    else this.retryLater(waitedMs < PATIENT_MS ? RETRY_LOCK_MS : 1);
  }
}

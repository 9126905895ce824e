// Leases, of all sessions: grants one with a deadline and a fencing number that no other lease ever had, and ends it. The session decides
// whose turn a lease is, and makes the changes under it.

import { type Contents, stateOf } from "../memory/cache.ts";
import type { Log, Metrics } from "../report/report.ts";
import { type Lease, type LeaseTurn, leaseLost, type Turn, type Turns } from "./calls.ts";
import { LeaseWaits } from "./lease-waits.ts";

/** Numbers only grow, also over restarts of the daemon, as long as fewer than 1024 leases are granted a millisecond. */
class Fences {
  #last = 0;

  next(): number {
    this.#last = Math.max(this.#last + 1, Date.now() * 1024);
    return this.#last;
  }
}

/** A session whose turn it is. */
interface Leased {
  readonly id: string;
  readonly contents: Contents;
  /** Another host may have changed it since. */
  readonly isUnverified?: boolean | undefined;
}

export class Leases {
  readonly #fences = new Fences();
  readonly #waits = new LeaseWaits();
  readonly #report: { readonly log: Log; readonly metrics: Metrics };

  constructor(report: { readonly log: Log; readonly metrics: Metrics }) {
    this.#report = report;
  }

  /**
   * The turn as it may wait for session `id`.
   *
   * @throws SessionError ERR_DEADLOCK where it would never come.
   */
  enter<T extends Turn>(id: string, turn: T): T {
    return turn.held === undefined || turn.held === null ? turn : this.#waits.enter(id, turn);
  }

  /** Whether this connection has the lease of session `id`. */
  isHeldBy(owner: object, id: string): boolean {
    return this.#waits.holderOf(id) === owner;
  }

  /** @param onLost its time is over, and its holder has not ended it. */
  grant(turns: Turns, turn: LeaseTurn, { id, contents, isUnverified }: Leased, onLost: () => void): void {
    const onOver = (): void => {
      if (turns.lease !== lease || lease.isEnding) return;
      if (lease.underWay > 0) {
        lease.isOverdue = true;
        lease.deadline = deadlineIn(turn.leaseMs, onOver);
        return;
      }
      this.#report.metrics.leasesLost += 1;
      this.#report.log.warn("lease-lost", { session: id, fence: lease.fence });
      onLost();
    };
    const lease = this.#begin(id, turn, contents.image, onOver);
    turns.beginLease(lease);
    try {
      turn.answer(lease.fence, stateOf(contents, turn.known), isUnverified);
    } catch (error) {
      // A holder that was not told of it will never end it.
      this.close(turns, id);
      turn.fail(error);
    }
  }

  /** Ends the lease in force, if there is one: what was to be done under it is refused. */
  close(turns: Turns, id: string): void {
    const { lease } = turns;
    if (lease === undefined) return;
    clearTimeout(lease.deadline);
    this.#waits.noteEnded(id);
    for (const turn of turns.endLease()) turn.fail(leaseLost(id));
  }

  #begin(id: string, { caller, leaseMs }: LeaseTurn, image: Buffer, onOver: () => void): Lease {
    const fence = this.#fences.next();
    const { owner } = caller;
    this.#waits.noteGranted(id, fence, owner);
    this.#report.metrics.leases += 1;
    const deadline = deadlineIn(leaseMs, onOver);
    return { fence, owner, image, turns: [], isEnding: false, underWay: 0, isOverdue: false, deadline };
  }
}

/** @param onOver called behind what has arrived by then: where the daemon itself stood still, its holder's last commit waits in the socket. */
function deadlineIn(ms: number, onOver: () => void): NodeJS.Timeout {
  return setTimeout(setImmediate, ms, onOver);
}

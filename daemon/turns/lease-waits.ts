// Which transaction waits for which: refuses a call that would close a ring of transactions, each of which waits for a session that the next
// one holds. Such a ring would only end with the first lease in it.
//
//   1. Anna holds A. Bert holds B.
//   2. Anna asks for B and says that she holds A: B is Bert's, and he waits for nothing. She waits.
//   3. Bert asks for A and says that he holds B: A is Anna's, and she waits for B. He is refused, B becomes free, and Anna goes on.
//
// Only a call that asks can close a ring: a lease that is granted is a new one, and its holder waits for nothing yet.

import { SessionError } from "../../protocol/errors.ts";
import { notingItsEnd, type Turn } from "./calls.ts";

/** A lease in force. */
interface Held {
  readonly id: string;
  readonly fence: number;
  readonly owner: object;
  /** The sessions that its holder waits for. */
  readonly waits: Set<Wait>;
}

interface Wait {
  readonly id: string;
}

export class LeaseWaits {
  /** By session: each has one lease at most. */
  readonly #byId = new Map<string, Held>();
  readonly #byFence = new Map<number, Held>();

  noteGranted(id: string, fence: number, owner: object): void {
    const held = { id, fence, owner, waits: new Set<Wait>() };
    this.#byId.set(id, held);
    this.#byFence.set(fence, held);
  }

  holderOf(id: string): object | undefined {
    return this.#byId.get(id)?.owner;
  }

  noteEnded(id: string): void {
    const held = this.#byId.get(id);
    if (held === undefined) return;
    this.#byId.delete(id);
    this.#byFence.delete(held.fence);
  }

  /**
   * The turn as it may wait for session `id`: known as long as it does.
   *
   * @throws SessionError ERR_DEADLOCK.
   */
  enter<T extends Turn>(id: string, turn: T): T {
    const asking = this.#heldBy(turn);
    if (asking.size === 0) return turn;
    const ring = this.#ringFrom(this.#byId.get(id), asking);
    if (ring !== undefined) throw deadlock(ring);
    const wait: Wait = { id };
    for (const { waits } of asking) waits.add(wait);
    const end = (): void => {
      for (const { waits } of asking) waits.delete(wait);
    };
    return notingItsEnd(turn, end);
  }

  /** A lease that is over, or another connection's, holds nobody up. */
  #heldBy({ held, caller }: Turn): Set<Held> {
    const found = new Set<Held>();
    for (const fence of held ?? []) {
      const lease = this.#byFence.get(fence);
      if (lease?.owner === caller.owner) found.add(lease);
    }
    return found;
  }

  /** The sessions from the one that is asked for to one that the asker holds; undefined when there is no such way. */
  #ringFrom(first: Held | undefined, asking: ReadonlySet<Held>): string[] | undefined {
    if (first === undefined) return undefined;
    const reachedBy = new Map<Held, Held | undefined>([[first, undefined]]);
    // A map hands out what is added while it is walked.
    for (const held of reachedBy.keys()) {
      if (asking.has(held)) return wayTo(held, reachedBy);
      for (const { id } of held.waits) {
        const next = this.#byId.get(id);
        if (next !== undefined && !reachedBy.has(next)) reachedBy.set(next, held);
      }
    }
    return undefined;
  }
}

function wayTo(last: Held, reachedBy: ReadonlyMap<Held, Held | undefined>): string[] {
  const ids: string[] = [];
  for (let held: Held | undefined = last; held !== undefined; held = reachedBy.get(held)) ids.unshift(held.id);
  return ids;
}

function deadlock(ring: readonly string[]): SessionError {
  const [wanted, ...between] = ring;
  const own = between.pop();
  if (own === undefined) {
    const what = `Session ${wanted} is held by the very transaction that asks for it; it would wait for itself.`;
    return new SessionError("ERR_DEADLOCK", what);
  }
  const chain = between.map((id) => ` for session ${id}, which is held by one that waits`).join("");
  const what = `A transaction that holds session ${own} asks for session ${wanted}, which is held by one that waits${chain} for session ${own}. This call was refused; the other transaction goes on.`;
  return new SessionError("ERR_DEADLOCK", what);
}

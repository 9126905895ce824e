// The place of a daemon, from its election on: whether it still has it. Somebody may replace or remove the pid file or the socket, and a process
// that was stopped does not know how long.

import type { Election } from "./election.ts";

export interface PlaceEvents {
  /** False when the name that workers connect to has gone to somebody else, or is gone. */
  readonly isNamed: () => boolean;
  /** Another daemon may have the place from now on. May be called again and again. */
  readonly onLost: (reason: string) => void;
  /** It cannot be found out at present. */
  readonly onUnknown: (error: unknown) => void;
}

export class Place {
  readonly #election: Election;
  readonly #events: PlaceEvents;
  #hasLeft = false;

  constructor(election: Election, events: PlaceEvents) {
    this.#election = election;
    this.#events = events;
  }

  /** Whether the pid file is still ours. One stat. */
  get isOurs(): boolean {
    return this.#election.isStillOurs();
  }

  /** Asked before everything that is written. */
  mayWrite(): boolean {
    if (this.#hasLeft) return false;
    try {
      if (this.isOurs) return true;
    } catch {
      // Whatever the system error: the write meets it too, and is answered with it.
      return true;
    }
    this.#events.onLost("the pid file was replaced or removed");
    return false;
  }

  /** Also looks for the socket, without which no worker finds this daemon. */
  check(): void {
    try {
      if (this.mayWrite() && !this.#events.isNamed()) this.#events.onLost("the socket was replaced or removed");
    } catch (error) {
      this.#events.onUnknown(error);
    }
  }

  leave(): Promise<void> {
    this.#hasLeft = true;
    return this.#election.resign();
  }
}

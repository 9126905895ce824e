// A turn on a session that a client ends: granted to one owner, with a deadline and a fencing number that no other lease ever had.

/** Numbers only grow, also over restarts of the daemon, as long as fewer than 1024 leases are granted a millisecond. */
export class Fences {
  #last = 0;

  next(): number {
    this.#last = Math.max(this.#last + 1, Date.now() * 1024);
    return this.#last;
  }
}

export class Lease {
  readonly fence: number;
  readonly owner: object;
  /** The contents the owner was given: a commit under the lease is for these and no others. */
  image: Buffer;
  readonly #timer: NodeJS.Timeout;

  constructor(grant: { fence: number; owner: object; image: Buffer; leaseMs: number; onDeadline: () => void }) {
    this.fence = grant.fence;
    this.owner = grant.owner;
    this.image = grant.image;
    this.#timer = setTimeout(grant.onDeadline, grant.leaseMs);
  }

  end(): void {
    clearTimeout(this.#timer);
  }
}

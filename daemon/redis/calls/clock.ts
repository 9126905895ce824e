// The time of a Redis server, as this process knows it between two answers: what is stored and when it is over is told by that clock and by no host's.

/** A sample that took longer than this many times the best one says less than what is known already. */
const POOR_FACTOR = 4;
/** What is known for longer may have drifted, or the server's clock was set: then any sample counts. */
const OLD_MS = 10_000;

export class Clock {
  #offsetMs = Date.now() - performance.now();
  #bestMs = Number.POSITIVE_INFINITY;
  #sampledMs = Number.NEGATIVE_INFINITY;

  /** In Unix ms. */
  get nowMs(): number {
    return performance.now() + this.#offsetMs;
  }

  /** @param sentMs performance.now() when the server was asked. */
  note(serverMs: number, sentMs: number): void {
    const answeredMs = performance.now();
    const tookMs = answeredMs - sentMs;
    const isOld = answeredMs - this.#sampledMs > OLD_MS;
    if (!isOld && tookMs > POOR_FACTOR * this.#bestMs) return;
    this.#bestMs = isOld ? tookMs : Math.min(tookMs, this.#bestMs);
    this.#sampledMs = answeredMs;
    this.#offsetMs = serverMs - (sentMs + answeredMs) / 2;
  }
}

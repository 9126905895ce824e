// What an operator's log says of one server: that it is away or does not do its work, once, and that it is there again.

import type { Log } from "../../report/report.ts";
import type { Facts } from "../server/server.ts";

/** What goes on is said once, and again when it has been over for so long. */
const QUIET_MS = 10_000;

export class Reporter {
  readonly #log: Log;
  readonly #where: string;
  #isAway = false;
  #putOffMs = Number.NEGATIVE_INFINITY;

  /** @param where without credentials. */
  constructor(log: Log, where: string) {
    this.#log = log;
    this.#where = where;
  }

  away(reason: Error): void {
    if (!this.#isAway) this.#log.warn("redis-away", { redis: this.#where, reason: reason.message });
    this.#isAway = true;
  }

  putOff(reason: Error): void {
    const nowMs = performance.now();
    if (nowMs - this.#putOffMs > QUIET_MS) this.#log.warn("redis-busy", { redis: this.#where, reason: reason.message });
    this.#putOffMs = nowMs;
  }

  connected({ server, role, evictionPolicy, keepsLog }: Facts): void {
    this.#log.info("redis-connected", { redis: this.#where, server, role, evictionPolicy, keepsLog });
    this.#isAway = false;
  }
}

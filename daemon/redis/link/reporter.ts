// What an operator's log says of one server: that it is away, once, and that it is there again.

import type { Log } from "../../report/report.ts";
import type { Facts } from "../server/server.ts";

export class Reporter {
  readonly #log: Log;
  readonly #where: string;
  #isAway = false;

  /** @param where without credentials. */
  constructor(log: Log, where: string) {
    this.#log = log;
    this.#where = where;
  }

  away(reason: Error): void {
    if (!this.#isAway) this.#log.warn("redis-away", { redis: this.#where, reason: reason.message });
    this.#isAway = true;
  }

  connected({ server, role, evictionPolicy, keepsLog }: Facts): void {
    this.#log.info("redis-connected", { redis: this.#where, server, role, evictionPolicy, keepsLog });
    this.#isAway = false;
  }
}

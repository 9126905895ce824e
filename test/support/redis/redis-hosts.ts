// Hosts on one Redis, each with a backend of its own, for tests of what becomes of their sessions between them.

import type { DaemonOptions } from "../../../daemon/config.ts";
import { ENGINES } from "../../../daemon/engines.ts";
import { WRITE } from "../../../daemon/redis/calls/scripts.ts";
import { BackendHouse } from "../daemon/backend-house.ts";

/** Every change of a session is a call of one script. */
export function isWrite(request: Buffer): boolean {
  return request.includes(WRITE.digest) || request.includes("'PXAT'");
}

export class RedisHosts {
  #houses: readonly BackendHouse[] = [];

  /** @param redis the URL of its way to Redis. */
  async open(redis: string, options: DaemonOptions = {}): Promise<BackendHouse> {
    const house = await BackendHouse.open(await ENGINES.redis(), { type: "redis", redis, ...options });
    this.#houses = [...this.#houses, house];
    return house;
  }

  /** Ends all that are open. */
  async close(): Promise<void> {
    const houses = this.#houses;
    this.#houses = [];
    await Promise.all(houses.map((house) => house.close()));
  }
}

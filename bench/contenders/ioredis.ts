// connect-redis with ioredis over a Unix socket. 8.1 is the last connect-redis that speaks with it.

import { RedisStore } from "connect-redis-ioredis";
import { Redis } from "ioredis";
import type { Entry, Held, Places, Subject } from "./contender.ts";
import { StoreSubject, siteOn } from "./express-store.ts";
import { INCREMENT_SCRIPT, withIncrement } from "./redis-increment.ts";

const PREFIX = "sess:";

function storeOn(client: Redis): RedisStore {
  return new RedisStore({ client, prefix: PREFIX });
}

async function connected(places: Places): Promise<Redis> {
  const client = new Redis({ path: places.socket, lazyConnect: true });
  await client.connect();
  return client;
}

/** Optimistic: WATCH, read, MULTI, and again when somebody was faster. WATCH belongs to a connection, so each caller has its own. */
class Watched implements Held {
  readonly #client: Redis;
  readonly #key: string;

  constructor(client: Redis, key: string) {
    this.#client = client;
    this.#key = key;
  }

  async increment(): Promise<void> {
    for (;;) {
      await this.#client.watch(this.#key);
      const session = JSON.parse((await this.#client.get(this.#key)) ?? "{}");
      session.n += 1;
      const done = await this.#client.multi().set(this.#key, JSON.stringify(session), "EX", 86_400).exec();
      if (done !== null) return;
    }
  }

  change(): never {
    throw new Error("only increments are measured with WATCH");
  }
}

async function openWatched(places: Places): Promise<Subject> {
  const client = await connected(places);
  const own: Redis[] = [];
  const subject = new StoreSubject(storeOn(client), () => {
    for (const connection of [client, ...own]) connection.disconnect();
  });
  return withIncrement(subject, async (id) => {
    const connection = await connected(places);
    own.push(connection);
    return new Watched(connection, PREFIX + id);
  });
}

async function openScripted(places: Places): Promise<Subject> {
  const client = await connected(places);
  const sha = String(await client.script("LOAD", INCREMENT_SCRIPT));
  const subject = new StoreSubject(storeOn(client), () => client.disconnect());
  return withIncrement(subject, async (id) => ({
    change: () => undefined,
    increment: async () => {
      await client.evalsha(sha, 1, PREFIX + id);
    },
  }));
}

export const plain: Entry = {
  async open(places) {
    const client = await connected(places);
    return new StoreSubject(storeOn(client), () => client.disconnect());
  },
  openSite: async (places) => siteOn(storeOn(await connected(places))),
};

/** Increments by WATCH and MULTI. */
export const watched: Entry = { open: openWatched };

/** Increments by a script in the server. */
export const scripted: Entry = { open: openScripted };

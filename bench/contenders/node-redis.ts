// connect-redis with node-redis over a Unix socket.

import { RedisStore } from "connect-redis";
import { createClient } from "redis";
import type { Entry, Held, Places, Subject } from "./contender.ts";
import { StoreSubject, siteOn } from "./express-store.ts";
import { INCREMENT_SCRIPT, withIncrement } from "./redis-increment.ts";

const PREFIX = "sess:";
type Redis = ReturnType<typeof makeClient>;

function makeClient(path: string) {
  return createClient({ socket: { path, tls: false } });
}

function storeOn(client: Redis): RedisStore {
  return new RedisStore({ client, prefix: PREFIX });
}

async function connected(places: Places): Promise<Redis> {
  const client = makeClient(places.socket);
  client.on("error", (error: unknown) => {
    throw error;
  });
  await client.connect();
  return client;
}

/** As with ioredis: each caller watches on a connection of its own. */
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
      const transaction = this.#client.multi().set(this.#key, JSON.stringify(session), { EX: 86_400 });
      if (await transaction.exec().then(() => true, isConflict)) return;
    }
  }

  change(): never {
    throw new Error("only increments are measured with WATCH");
  }
}

/** False for "somebody was faster"; every other failure goes on. */
function isConflict(error: unknown): false {
  if (error instanceof Error && error.constructor.name === "WatchError") return false;
  throw error;
}

async function openWatched(places: Places): Promise<Subject> {
  const client = await connected(places);
  const own: Redis[] = [];
  const subject = new StoreSubject(storeOn(client), () => {
    for (const connection of [client, ...own]) connection.destroy();
  });
  return withIncrement(subject, async (id) => {
    const connection = await connected(places);
    own.push(connection);
    return new Watched(connection, PREFIX + id);
  });
}

async function openScripted(places: Places): Promise<Subject> {
  const client = await connected(places);
  const sha = await client.scriptLoad(INCREMENT_SCRIPT);
  const subject = new StoreSubject(storeOn(client), () => client.destroy());
  return withIncrement(subject, async (id) => ({
    change: () => undefined,
    increment: async () => {
      await client.evalSha(sha, { keys: [PREFIX + id] });
    },
  }));
}

export const plain: Entry = {
  async open(places) {
    const client = await connected(places);
    return new StoreSubject(storeOn(client), () => client.destroy());
  },
  openSite: async (places) => siteOn(storeOn(await connected(places))),
};

/** Increments by WATCH and MULTI. */
export const watched: Entry = { open: openWatched };

/** Increments by a script in the server. */
export const scripted: Entry = { open: openScripted };

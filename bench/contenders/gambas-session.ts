// gambas-session as an application uses it: a client for the store's own cases, session() and Session for HTTP. Only a touch is no call of the
// public client: the middleware makes it.

import { type ConnectOptions, type Handle, Session, session } from "../../client/index.ts";
import { Client } from "../../client/link/client.ts";
import { changedValues, type Values } from "../session-values.ts";
import {
  type Entry,
  type Held,
  MAX_STALE_MS,
  type OpenOptions,
  type Places,
  type Site,
  type Subject,
} from "./contender.ts";

class GambasSubject implements Subject {
  readonly #client: Client;
  readonly #setsEveryKey: boolean;

  constructor(client: Client, setsEveryKey: boolean) {
    this.#client = client;
    this.#setsEveryKey = setsEveryKey;
  }

  async create(values: Values): Promise<string> {
    const handle = this.#client.create({ prefix: "bench" });
    setAll(handle, values);
    await this.#client.commit(handle);
    return String(handle.id);
  }

  async get(id: string): Promise<number> {
    const handle = await this.#open(id);
    let count = 0;
    for (const key of handle.keys) if (handle.get(key) !== undefined) count += 1;
    return count;
  }

  async hold(id: string): Promise<Held> {
    return new HeldHandle(this.#client, await this.#open(id), this.#setsEveryKey);
  }

  async counter(id: string): Promise<number> {
    const handle = await this.#open(id);
    await handle.load();
    return Number(handle.get("n"));
  }

  close(): void {
    this.#client.close();
  }

  async #open(id: string): Promise<Handle> {
    const handle = await this.#client.open(id);
    if (handle === undefined) throw new Error(`session ${id} is not there`);
    return handle;
  }
}

class HeldHandle implements Held {
  readonly #client: Client;
  readonly #handle: Handle;
  readonly #id: string;
  /** What is set with every change besides the two values, where a contender sends everything. */
  readonly #rest: Values;

  constructor(client: Client, handle: Handle, setsEveryKey: boolean) {
    this.#client = client;
    this.#handle = handle;
    this.#id = String(handle.id);
    this.#rest = setsEveryKey ? Object.fromEntries(handle.keys.map((key) => [key, handle.get(key)])) : {};
  }

  change(visit: number, isLong?: boolean): Promise<void> {
    setAll(this.#handle, this.#rest);
    setAll(this.#handle, changedValues(visit, isLong));
    return this.#client.commit(this.#handle);
  }

  /** What the middleware does once a second for a session that is only read, here every time. */
  async touch(): Promise<void> {
    const contents = this.#client.current(this.#id) ?? (await this.#client.load(this.#id));
    if (contents === undefined) throw new Error(`session ${this.#id} is not there`);
    await this.#client.renew(this.#id, contents);
  }

  increment(): Promise<void> {
    return this.#client.transaction(this.#handle, (own) => own.set("n", Number(own.get("n")) + 1));
  }
}

function setAll(handle: Handle, values: Values): void {
  for (const key in values) handle.set(key, values[key]);
}

/** Where the sessions are, and how old what is read may be. */
type Kind = Pick<ConnectOptions, "type" | "coherence">;
const FILES: Kind = {};

async function connected(places: Places, options: OpenOptions, kind = FILES): Promise<Client> {
  const { socket, directory } = places;
  const client = new Client({
    root: directory,
    socket,
    spawn: false,
    ...kind,
    ...(options.keepsCopies ? {} : { cacheBytes: 0 }),
  });
  await client.ready();
  return client;
}

async function openSite({ directory, socket }: Places, kind = FILES): Promise<Site> {
  const middleware = session({ root: directory, socket, spawn: false, prefix: "bench", ...kind });
  return {
    middleware: middleware as Site["middleware"],
    valuesOf: () => ({ get: (key) => Session.get(key), set: (key, value) => Session.set(key, value) }),
  };
}

function entryOf(kind: Kind): Entry {
  return {
    open: async (places, options) => new GambasSubject(await connected(places, options, kind), false),
    openSite: (places) => openSite(places, kind),
  };
}

export const gambasSession: Entry = entryOf(FILES);
export const onMemory: Entry = entryOf({ type: "memory" });
export const onSqlite: Entry = entryOf({ type: "sqlite" });
export const onRedis: Entry = entryOf({ type: "redis" });
export const onRedisStale: Entry = entryOf({ type: "redis", coherence: { maxStaleMs: MAX_STALE_MS } });

/** Sends every value with every change, as the stores of express-session must. */
export const gambasSessionEveryKey: Entry = {
  open: async (places, options) => new GambasSubject(await connected(places, options), true),
};

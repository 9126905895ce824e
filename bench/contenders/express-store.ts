// What all stores of express-session have in common: their sessions are plain objects with a cookie, always stored whole.

import { randomBytes } from "node:crypto";
import type { IncomingMessage } from "node:http";
import type { SessionData, Store } from "express-session";
import { changedValues, type Values } from "../session-values.ts";
import type { Held, Site, Subject } from "./contender.ts";

const DAY_MS = 86_400_000;
/** Not values of the application. */
const OF_THE_STORE: ReadonlySet<string> = new Set(["cookie", "__lastAccess"]);

export type StoredSession = SessionData & Record<string, unknown>;

export class StoreSubject implements Subject {
  readonly #store: Store;
  readonly #close: () => Promise<void> | void;

  constructor(store: Store, close: () => Promise<void> | void) {
    this.#store = store;
    this.#close = close;
  }

  async create(values: Values): Promise<string> {
    const id = randomBytes(24).toString("base64url");
    await setIn(this.#store, id, withCookie(values));
    return id;
  }

  async get(id: string): Promise<number> {
    const session = await getFrom(this.#store, id);
    let count = 0;
    for (const key in session) if (session[key] !== undefined && !OF_THE_STORE.has(key)) count += 1;
    return count;
  }

  async hold(id: string): Promise<Held> {
    return new HeldSession(this.#store, id, await getFrom(this.#store, id));
  }

  async counter(id: string): Promise<number> {
    return Number((await getFrom(this.#store, id)).n);
  }

  close(): Promise<void> | void {
    return this.#close();
  }
}

class HeldSession implements Held {
  readonly #store: Store;
  readonly #id: string;
  readonly #session: StoredSession;

  constructor(store: Store, id: string, session: StoredSession) {
    this.#store = store;
    this.#id = id;
    this.#session = withCookie(session);
  }

  change(visit: number, isLong?: boolean): Promise<void> {
    Object.assign(this.#session, changedValues(visit, isLong));
    return setIn(this.#store, this.#id, this.#session);
  }

  touch(): Promise<void> {
    return touchIn(this.#store, this.#id, this.#session);
  }

  /** All that a store of express-session offers: read, add, write. Loses updates, and that is counted. */
  async increment(): Promise<void> {
    const session = await getFrom(this.#store, this.#id);
    session.n = Number(session.n) + 1;
    await setIn(this.#store, this.#id, session);
  }
}

/** express-session as its documentation sets it up, on this store. */
export async function siteOn(store: Store | undefined): Promise<Site> {
  const { default: session } = await import("express-session");
  const options = { secret: "a secret of the benchmark", resave: false, saveUninitialized: false };
  const middleware = session(store === undefined ? options : { ...options, store });
  return {
    middleware: middleware as unknown as Site["middleware"],
    valuesOf(req) {
      const { session: values } = req as IncomingMessage & { session: Record<string, unknown> };
      return {
        get: (key) => values[key],
        set: (key, value) => {
          values[key] = value;
        },
      };
    },
  };
}

/** The same cookie express-session would put there. */
export function withCookie(values: Values): StoredSession {
  const cookie = { originalMaxAge: DAY_MS, expires: new Date(Date.now() + DAY_MS), httpOnly: true, path: "/" };
  return { ...values, cookie };
}

function getFrom(store: Store, id: string): Promise<StoredSession> {
  return new Promise((resolve, reject) => {
    store.get(id, (error, session) => {
      if (error) reject(error);
      else if (session === null || session === undefined) reject(new Error(`session ${id} is not there`));
      else resolve(session as StoredSession);
    });
  });
}

function setIn(store: Store, id: string, session: StoredSession): Promise<void> {
  return new Promise((resolve, reject) => store.set(id, session, settle(resolve, reject)));
}

function touchIn(store: Store, id: string, session: StoredSession): Promise<void> {
  return new Promise((resolve, reject) => {
    if (store.touch === undefined) resolve();
    else
      (store.touch as (id: string, session: SessionData, done: (error?: unknown) => void) => void)(
        id,
        session,
        settle(resolve, reject),
      );
  });
}

function settle(resolve: () => void, reject: (error: unknown) => void): (error?: unknown) => void {
  return (error) => {
    if (error) reject(error);
    else resolve();
  };
}

// One application under three kinds of sessions: our drop-in for express-session, express-session with our store, and express-session with the
// store it brings, which shows that a case asks for what express-session does.

import { writeFileSync } from "node:fs";
import type { IncomingMessage, ServerResponse } from "node:http";
import expressSession from "express-session";
import { vi } from "vitest";
import type { Cookie } from "../../../client/adapters/express-session.ts";
import { session as dropIn } from "../../../client/adapters/express-session.ts";
import { GambasStore } from "../../../client/adapters/store.ts";
import { StoreSids } from "../../../client/express/store/sids.ts";
import { type Ask, HttpHouse, type Reply } from "../../support/http/http-house.ts";
import type { SessionHouse } from "../../support/session-house.ts";

export type KindName = "drop-in" | "store" | "control";

/** `req.session`, as code that has no types uses it. */
export interface LooseSession {
  [key: string]: unknown;
  readonly id: string;
  cookie: Cookie;
  save(callback?: (error?: Error) => void): unknown;
  reload(callback: (error?: Error) => void): unknown;
  destroy(callback?: (error?: Error) => void): unknown;
  regenerate(callback: (error?: Error) => void): unknown;
  touch(): unknown;
}

export type Request = Omit<IncomingMessage, "url"> & {
  url: string;
  session: LooseSession;
  sessionID: string;
  sessionStore: { emit(name: string): boolean };
} & Record<string, unknown>;
export type Handler = (req: Request, res: ServerResponse) => unknown;

export interface Application {
  readonly options?: Readonly<Record<string, unknown>>;
  /** Runs before the session is there. */
  readonly setup?: Handler;
  readonly respond?: Handler;
}

/** Any of the three, as a function of requests. */
type Middleware = (req: unknown, res: ServerResponse, next: (error?: unknown) => unknown) => unknown;

interface Sessions {
  readonly middleware: Middleware;
  count(): Promise<number>;
  values(sid: string): Promise<Record<string, unknown> | undefined>;
  clear(): Promise<void>;
  damage(sid: string): Promise<void>;
  /** How often a session was written. */
  writes(): Promise<number>;
  close(): void;
}

/** A server with sessions of one kind. */
export class Place {
  readonly kind: KindName;
  readonly sessions: Sessions;
  readonly #http: HttpHouse;
  /** Errors that reached `next` when the response had begun. */
  readonly late: Error[] = [];

  private constructor(kind: KindName, sessions: Sessions, http: HttpHouse) {
    this.kind = kind;
    this.sessions = sessions;
    this.#http = http;
  }

  static async open(kind: KindName, house: SessionHouse, application: Application): Promise<Place> {
    const sessions = sessionsOf(kind, house, application.options ?? {});
    const place: Place = new Place(
      kind,
      sessions,
      await HttpHouse.open((req, res) => place.#serve(req, res, application)),
    );
    return place;
  }

  #serve(req: IncomingMessage, res: ServerResponse, { setup, respond = (_req, res) => res.end() }: Application): void {
    setup?.(req as unknown as Request, res);
    this.sessions.middleware(req, res, (error) => {
      if (error instanceof Error && res.headersSent) this.late.push(error);
      else if (error instanceof Error) {
        res.statusCode = 500;
        res.end(error.message);
      } else {
        try {
          respond(req as unknown as Request, res);
        } catch (thrown) {
          res.end(String(thrown));
        }
      }
    });
  }

  ask(path = "/", ask: Ask = {}): Promise<Reply> {
    return this.#http.ask(path, ask);
  }

  /** As if so much time had passed, here and in the daemon. */
  passTime(ms: number): void {
    vi.setSystemTime(Date.now() + ms);
  }

  /** Makes a session one that cannot be read. */
  async damage(sid: string): Promise<void> {
    await this.sessions.damage(sid);
  }

  async close(): Promise<void> {
    await this.#http.close();
    this.sessions.close();
  }
}

let places = 0;

export function sessionsOf(kind: KindName, house: SessionHouse, given: Readonly<Record<string, unknown>>): Sessions {
  const options = { secret: "a secret", resave: true, saveUninitialized: true, cookie: { maxAge: 60_000 }, ...given };
  places += 1;
  const prefix = `place-${places}`;
  if (kind === "drop-in") return dropInSessions(house, options, prefix);
  const store = kind === "store" ? new GambasStore({ ...house.options, prefix }) : new expressSession.MemoryStore();
  let writes = 0;
  const { set } = store;
  store.set = (...args: unknown[]) => {
    writes += 1;
    return Reflect.apply(set, store, args);
  };
  return {
    middleware: expressSession({ ...options, store }) as unknown as Middleware,
    count: () => called<number>((done) => store.length(done as never)),
    values: async (sid) =>
      (await called<Record<string, unknown>>((done) => store.get(sid, done as never))) ?? undefined,
    clear: () => called<void>((done) => store.clear(done as never)),
    damage: async (sid) => {
      if (store instanceof GambasStore) damageFile(house, new StoreSids(prefix).idOf(sid));
      else store.get = (_sid: string, done: (error: Error) => void) => setImmediate(done, new Error("cannot be read"));
    },
    writes: async () => writes,
    close: () => {
      if (store instanceof GambasStore) store.close();
    },
  };
}

function dropInSessions(house: SessionHouse, options: object, prefix: string): Sessions {
  const client = house.worker();
  const list = async (): Promise<string[]> => {
    const ids: string[] = [];
    for await (const { id } of client.list()) if (id.startsWith(`${prefix}:`)) ids.push(id);
    return ids;
  };
  return {
    middleware: dropIn({ ...house.options, prefix, ...options }) as unknown as Middleware,
    count: async () => (await list()).length,
    values: async (sid) => {
      const handle = await client.open(sid);
      if (handle === undefined) return undefined;
      const values = Object.fromEntries(handle.keys.map((key) => [key, handle.get(key)]));
      return { ...values, cookie: { expires: handle.expires } };
    },
    clear: async () => {
      for (const id of await list()) await client.abandon(id);
    },
    damage: async (sid) => damageFile(house, sid),
    writes: async () => (await client.status()).commits,
    close: () => client.close(),
  };
}

function damageFile(house: SessionHouse, id: string): void {
  writeFileSync(house.pathOf(id), house.fileOf(id).subarray(0, -3));
}

function called<T>(call: (done: (error: unknown, value?: T) => void) => unknown): Promise<T> {
  return new Promise((resolve, reject) => {
    call((error, value) => (error ? reject(error) : resolve(value as T)));
  });
}

/** The id that a response has given to the browser. */
export function sidOf({ setCookies: [line = ""] }: Reply): string {
  const [, value = ""] = /^[^=]+=([^;]*)/.exec(line) ?? [];
  const [, signed] = /^s:(.*)\.[^.]*$/.exec(decodeURIComponent(value)) ?? [];
  return signed ?? value;
}

/** The attributes of the first cookie of a response, by their names in lower case. */
export function attributesOf({ setCookies: [line = ""] }: Reply): Record<string, string> {
  const [pair = "", ...parts] = line.split("; ");
  const [name = ""] = pair.split("=", 1);
  const named = parts.map((part): [string, string] => {
    const at = part.indexOf("=");
    return at < 0 ? [part.toLowerCase(), ""] : [part.slice(0, at).toLowerCase(), part.slice(at + 1)];
  });
  return { name, ...Object.fromEntries(named) };
}

export const count: Handler = (req, res) => {
  const { session } = req;
  session.count = Number(session.count ?? 0) + 1;
  res.end(String(session.count));
};

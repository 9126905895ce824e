// gambas-session/store: sessions of express-session itself. It saves whole objects; here only the keys are written that are not as they were
// when the object was loaded, so that requests that change different keys do not undo each other's.

import { EventEmitter } from "node:events";
import { isCode } from "../../../protocol/errors.ts";
import type { Client, Handle, ListedSession } from "../../api.ts";
import { runOutside } from "../../scope.ts";
import { type Base, baseOf, COOKIE_KEY, type Values, valuesOf, write } from "./base.ts";
import { type CookieData, type CookieRecord, cookieOfRecord, recordOf, secondsOf } from "./cookie.ts";
import type { Sids } from "./sids.ts";
import { type Done, type StoreRequest, StoreSession } from "./store-session.ts";

/** How many sessions are worked on at once, where all are. */
const AT_ONCE = 32;
/** How long after a failure the daemon is asked again. */
const ASK_AGAIN_MS = 500;
/** Cookies of sessions that were not written by express-session. */
const NO_RECORD: CookieRecord = { originalMaxAge: null, expires: null, httpOnly: true, path: "/" };

type Callback<T> = (error: unknown, value?: T) => void;
/** A session as a store gives it: its keys, and `cookie`. */
export interface SessionValues {
  cookie: CookieData;
}

/** What a store stands on. */
export interface Ground {
  readonly client: Client;
  readonly sids: Sids;
  /** Life time of sessions whose cookie has none, in seconds. */
  readonly seconds: number | undefined;
}

export class SessionStore extends EventEmitter {
  /** Makes the session of a request; express-session puts its own function here. */
  generate: (request: StoreRequest) => void = () => undefined;
  readonly #ground: Ground;
  /** What session objects of applications were when they were loaded or saved. */
  readonly #bases = new WeakMap<object, Base>();
  #isConnected = false;

  constructor(ground: Ground) {
    super();
    this.#ground = ground;
    this.#connect();
  }

  /** The values of a session, or null. */
  get(sid: string, callback: Callback<SessionValues | null>): void {
    this.#answer(callback, async () => {
      const handle = await this.#open(sid);
      return handle === undefined ? null : this.#valuesIn(handle);
    });
  }

  /** Writes the keys that differ from what `get` or `createSession` gave; of any other object all keys. A session that has ended stays ended. */
  set(sid: string, session: object, callback?: Done): void {
    this.#answer(callback, () => this.#set(sid, session));
  }

  destroy(sid: string, callback?: Done): void {
    this.#answer(callback, () => this.#destroy(sid));
  }

  /** Renews the time of the last use, and keeps the cookie if that was changed. */
  touch(sid: string, session: { readonly cookie?: unknown }, callback?: Done): void {
    this.#answer(callback, async () => {
      const handle = await this.#open(sid);
      if (handle === undefined) return;
      const values = new Map([[COOKIE_KEY, recordOf(session.cookie)]]);
      write(handle, values, baseOf(new Map([[COOKIE_KEY, handle.get(COOKIE_KEY) ?? null]])));
      await this.#save(handle, values);
    });
  }

  /** All sessions of this store, each with its `id`. */
  all(callback: Callback<(SessionValues & { id: string })[]>): void {
    this.#answer(callback, async () => {
      const all: (SessionValues & { id: string })[] = [];
      await this.#each(async (sid, { id }) => {
        const handle = await this.#ground.client.open(id);
        if (handle !== undefined) all.push(Object.assign(this.#valuesIn(handle), { id: sid }));
      });
      return all;
    });
  }

  length(callback: Callback<number>): void {
    this.#answer(callback, async () => {
      let count = 0;
      await this.#each(() => {
        count += 1;
      });
      return count;
    });
  }

  /** Ends all sessions of this store. */
  clear(callback?: Done): void {
    this.#answer(callback, () => this.#each((_sid, { id }) => this.#ground.client.abandon(id)));
  }

  // -- what express-session has in its Store

  /** Ends the session of a request, and makes a new one. */
  regenerate(request: StoreRequest, callback: Done): void {
    const goOn = (error?: unknown): void => {
      this.generate(request);
      callback(error);
    };
    if (request.sessionID === undefined) setImmediate(goOn);
    else this.destroy(request.sessionID, goOn);
  }

  load(sid: string, callback: (error: unknown, session?: StoreSession) => void): void {
    this.get(sid, (error, values) => {
      if (error || !values) callback(error || null);
      else callback(null, this.createSession({ sessionID: sid, sessionStore: this }, values));
    });
  }

  createSession<T extends object>(request: StoreRequest, values: T): StoreSession & T {
    const session = new StoreSession(this, request, values) as StoreSession & T;
    const base = this.#bases.get(values);
    if (base !== undefined) this.#bases.set(session, base);
    request.session = session;
    return session;
  }

  /** Closes the connection; the daemon and the sessions stay. */
  close(): void {
    this.#ground.client.close();
  }

  // -- below: how

  /** There is no session of a sid that none can have. */
  async #open(sid: string): Promise<Handle | undefined> {
    const { client, sids } = this.#ground;
    try {
      return await client.open(await sids.idOf(sid));
    } catch (error) {
      if (isCode(error, "ERR_BAD_ID")) return undefined;
      throw error;
    }
  }

  #valuesIn(handle: Handle): SessionValues {
    const values: { cookie: CookieRecord } = { cookie: NO_RECORD };
    for (const key of handle.keys) {
      const value = handle.get(key);
      Object.defineProperty(values, key, { value, writable: true, enumerable: true, configurable: true });
    }
    const base = baseOf(new Map(Object.entries(values)));
    const shown: SessionValues = Object.assign(values, { cookie: cookieOfRecord(values.cookie, handle.lastUsed) });
    this.#bases.set(shown, base);
    return shown;
  }

  async #destroy(sid: string): Promise<void> {
    const { client, sids } = this.#ground;
    await client.abandon(await sids.idOf(sid));
  }

  async #set(sid: string, session: object): Promise<void> {
    const base = this.#bases.get(session);
    const values = valuesOf(session);
    const handle = await this.#open(sid);
    // What was loaded and is gone has ended meanwhile: nothing brings it back.
    if (handle === undefined && base !== undefined) return;
    if (handle === undefined) await this.#create(sid, values);
    else {
      write(handle, values, base);
      await this.#save(handle, values);
    }
    this.#bases.set(session, baseOf(values));
  }

  async #create(sid: string, values: Values): Promise<void> {
    const { client, sids } = this.#ground;
    const handle = client.create({ id: await sids.idOf(sid) });
    write(handle, values, undefined);
    try {
      await this.#save(handle, values);
    } catch (error) {
      // Another request of this sid was first. Of a session that has ended there is none to open.
      const other = isCode(error, "ERR_ID_TAKEN") ? await this.#open(sid) : undefined;
      if (other === undefined) throw error;
      write(other, values, undefined);
      await this.#save(other, values);
    }
  }

  async #save(handle: Handle, values: Values): Promise<void> {
    const seconds = secondsOf((values.get(COOKIE_KEY) ?? NO_RECORD) as CookieRecord) ?? this.#ground.seconds;
    if (seconds !== undefined && handle.timeout !== seconds) handle.timeout = seconds;
    try {
      await (handle.isModified ? handle.save() : handle.touch());
    } catch (error) {
      if (!isCode(error, "ERR_SESSION_GONE")) throw error;
    }
  }

  async #each(action: (sid: string, session: ListedSession) => unknown): Promise<void> {
    const { client, sids } = this.#ground;
    let under: unknown[] = [];
    for await (const session of client.list()) {
      const sid = sids.sidOf(session.id);
      if (sid === undefined) continue;
      const work = Promise.resolve(action(sid, session));
      // Its failure is told below, unless that of the next page comes first.
      work.catch(() => undefined);
      under.push(work);
      if (under.length < AT_ONCE) continue;
      await Promise.all(under);
      under = [];
    }
    await Promise.all(under);
  }

  // -- callbacks and events

  /** A callback always runs later, outside of any promise: what it throws is nobody's rejection. */
  #answer<T>(callback: ((error: unknown, value?: T) => void) | undefined, work: () => Promise<T>): void {
    work().then(
      (value) => {
        if (callback !== undefined) setImmediate(callback, null, value);
      },
      (error: Error) => {
        if (isCode(error, "ERR_DAEMON_UNAVAILABLE")) this.#disconnect();
        if (callback === undefined) process.emitWarning(error);
        else setImmediate(callback, error);
      },
    );
  }

  #disconnect(): void {
    if (!this.#isConnected) return;
    this.#isConnected = false;
    // The affair of the store, and not of the request that has met it.
    runOutside(() => {
      setImmediate(() => this.emit("disconnect"));
      this.#connect();
    });
  }

  /** Asks for the daemon until it is there, or the connection is closed. */
  #connect(): void {
    const { client } = this.#ground;
    client.ready().then(
      () => {
        this.#isConnected = true;
        setImmediate(() => this.emit("connect"));
      },
      () => {
        if (!client.isClosed) setTimeout(() => this.#connect(), ASK_AGAIN_MS).unref();
      },
    );
  }
}

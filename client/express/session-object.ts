// `req.session` of the drop-in: an object whose own enumerable properties are the keys of the session, and `cookie`. As long as it is attached it
// reads and writes the handle of its request, as the static Session does; an object that the request has left, by `regenerate` or `destroy`,
// holds what the session held then. Knows nothing of requests and responses.

import { inspect, isDeepStrictEqual } from "node:util";
import { isCode } from "../../protocol/errors.ts";
import type { Handle } from "../api.ts";
import type { Cookie } from "./store/store.ts";
import { COOKIE_KEY, storable, storeAsJson } from "./store/store.ts";

export type Done = (error?: unknown) => void;

/** What the methods of a session do, which is its request's affair. */
export interface Conduct {
  readonly req: object;
  readonly sid: string;
  save(): Promise<void>;
  reload(): Promise<void>;
  destroy(): Promise<void>;
  regenerate(): Promise<void>;
}

/** A session as the code of an application has it in `req.session`. */
export interface ExpressSession {
  readonly id: string;
  cookie: Cookie;
  /** Writes what was changed so far, and begins a session where there is none. */
  save(callback?: Done): this;
  /** Reads the session anew, and drops what was not saved. */
  reload(callback: Done): this;
  /** Ends the session. `req.session` is gone; this object keeps its values. */
  destroy(callback?: Done): this;
  /** Ends the session and puts an empty one with a new id into `req.session`; this object keeps its values. */
  regenerate(callback: Done): this;
  touch(): this;
  resetMaxAge(): this;
}

export class SessionObject implements ProxyHandler<ExpressSession> {
  readonly proxy: ExpressSession;
  readonly #target: ExpressSession;
  /** Undefined: left. The target holds the values. */
  #handle: Handle | undefined;
  /** Objects that the handle holds in another form, as the application has set them. */
  readonly #raw = new Map<string, object>();
  /** Keys whose objects the application has. */
  readonly #out = new Set<string>();

  constructor(handle: Handle, conduct: Conduct, cookie: Cookie) {
    this.#handle = handle;
    this.#target = targetOf(conduct, cookie, () => this.#snapshot());
    this.proxy = new Proxy(this.#target, this);
  }

  get cookie(): Cookie {
    return this.#target.cookie;
  }

  set cookie(cookie: Cookie) {
    this.#target.cookie = cookie;
  }

  /** The request goes on without this object, which keeps what it holds now. */
  leave(): void {
    if (this.#handle === undefined) return;
    const id = this.#target.id;
    Object.defineProperty(this.#target, "id", { value: id, configurable: true });
    for (const [key, value] of Object.entries(this.#snapshot())) define(this.#target, key, value);
    this.#handle = undefined;
  }

  /** The session was read anew. */
  forget(): void {
    this.#raw.clear();
    this.#out.clear();
  }

  /** Whether something is to be saved. Objects that were changed in place to what no session can hold are converted first. */
  isModified(): boolean {
    const handle = this.#handle;
    if (handle === undefined) return false;
    for (const [key, value] of this.#raw) {
      const next = storable(value);
      if (!isDeepStrictEqual(next, storable(handle.get(key)))) storeAsJson((one) => handle.set(key, one), next);
    }
    for (const key of this.#out) if (!canBeStored(handle, key)) this.#put(handle, key, handle.get(key));
    return handle.isModified;
  }

  #put(handle: Handle, key: string, value: unknown): void {
    const isObject = typeof value === "object" && value !== null;
    // What is there already is no change: the cookie of a session that was changed is sent again.
    if (!isObject && handle.has(key) && Object.is(this.#get(handle, key), value)) return;
    this.#raw.delete(key);
    storeAsJson((one) => handle.set(key, one), value);
    if (!isObject) return;
    this.#out.add(key);
    if (handle.get(key) !== value) this.#raw.set(key, value);
  }

  #get(handle: Handle, key: string): unknown {
    const value = this.#raw.get(key) ?? handle.get(key);
    if (typeof value === "object" && value !== null) this.#out.add(key);
    return value;
  }

  #keys(): string[] {
    return this.#handle?.keys.filter((key) => !(key in this.#target)) ?? [];
  }

  #snapshot(): object {
    const handle = this.#handle;
    const values = {};
    if (handle === undefined) return this.#target;
    define(values, COOKIE_KEY, this.#target.cookie);
    for (const key of this.#keys()) define(values, key, this.#shown(handle, key));
    return values;
  }

  /** One value that cannot be shown does not hide the others. */
  #shown(handle: Handle, key: string): unknown {
    try {
      return this.#get(handle, key);
    } catch (error) {
      if (isCode(error, "ERR_UNREADABLE")) return undefined;
      throw error;
    }
  }

  // -- traps

  get(target: ExpressSession, name: string | symbol): unknown {
    if (typeof name === "symbol" || name in target || this.#handle === undefined) return Reflect.get(target, name);
    return this.#get(this.#handle, name);
  }

  set(target: ExpressSession, name: string | symbol, value: unknown): boolean {
    if (name === "id" || name === "req") return false;
    if (typeof name === "symbol" || this.#handle === undefined || name === COOKIE_KEY) {
      return Reflect.set(target, name, value);
    }
    // A method that an application replaces is no value of the session.
    if (name in target) define(target, name, value, false);
    else this.#put(this.#handle, name, value);
    return true;
  }

  has(target: ExpressSession, name: string | symbol): boolean {
    return name in target || (typeof name === "string" && this.#handle?.has(name) === true);
  }

  deleteProperty(target: ExpressSession, name: string | symbol): boolean {
    if (typeof name === "symbol" || this.#handle === undefined || name in target) {
      return Reflect.deleteProperty(target, name);
    }
    this.#raw.delete(name);
    this.#handle.delete(name);
    return true;
  }

  ownKeys(target: ExpressSession): (string | symbol)[] {
    return [...Reflect.ownKeys(target), ...this.#keys()];
  }

  getOwnPropertyDescriptor(target: ExpressSession, name: string | symbol): PropertyDescriptor | undefined {
    const handle = this.#handle;
    if (typeof name === "symbol" || handle === undefined || name in target) {
      return Reflect.getOwnPropertyDescriptor(target, name);
    }
    if (!handle.has(name)) return undefined;
    const value = this.#shown(handle, name);
    return { value, writable: true, enumerable: true, configurable: true };
  }

  defineProperty(target: ExpressSession, name: string | symbol, descriptor: PropertyDescriptor): boolean {
    const isKey = typeof name === "string" && !(name in target) && descriptor.enumerable === true;
    if (!isKey || this.#handle === undefined) return Reflect.defineProperty(target, name, descriptor);
    this.#put(this.#handle, name, descriptor.get === undefined ? descriptor.value : descriptor.get());
    return true;
  }

  preventExtensions(): boolean {
    return false;
  }

  setPrototypeOf(): boolean {
    return false;
  }
}

/** Whether the value of a key is still one that a session can hold: its type as of now tells. */
function canBeStored(handle: Handle, key: string): boolean {
  try {
    handle.typeOf(key);
    return true;
  } catch (error) {
    if (isCode(error, "ERR_BAD_VALUE")) return false;
    throw error;
  }
}

function define(object: object, key: string, value: unknown, enumerable = true): void {
  Object.defineProperty(object, key, { value, enumerable, writable: true, configurable: true });
}

/** What is there besides the keys. Only `cookie` is listed. */
function targetOf(conduct: Conduct, cookie: Cookie, snapshot: () => object): ExpressSession {
  const target = Object.create(methodsOf(conduct, snapshot)) as ExpressSession;
  target.cookie = cookie;
  Object.defineProperty(target, "req", { value: conduct.req, configurable: true });
  Object.defineProperty(target, "id", { get: () => conduct.sid, configurable: true });
  return target;
}

function methodsOf(conduct: Conduct, snapshot: () => object): object {
  const methods = Object.create(Object.prototype);
  const after = (name: "save" | "reload" | "destroy" | "regenerate") =>
    function (this: object, callback?: Done): object {
      conduct[name]().then(
        () => callback && setImmediate(callback),
        // Without a callback the response tells of it, which saves what is left unsaved.
        (error: unknown) => callback && setImmediate(callback, error),
      );
      return this;
    };
  function resetMaxAge(this: ExpressSession): ExpressSession {
    this.cookie.maxAge = this.cookie.originalMaxAge;
    return this;
  }
  const all = {
    touch: resetMaxAge,
    resetMaxAge,
    save: after("save"),
    reload: after("reload"),
    destroy: after("destroy"),
    regenerate: after("regenerate"),
    [inspect.custom]: snapshot,
  };
  for (const name of Reflect.ownKeys(all)) {
    Object.defineProperty(methods, name, { value: Reflect.get(all, name), writable: true, configurable: true });
  }
  return methods;
}

// The session that express-session puts into `req.session` when it was loaded from a GambasStore. It makes the new ones itself.

import { Cookie, type CookieOptions } from "./cookie.ts";

export type Done = (error?: unknown) => void;

/** A request, as far as sessions need it. */
export interface StoreRequest {
  session?: unknown;
  sessionID?: string | undefined;
  sessionStore?: unknown;
}

/** What a session asks of its store. */
interface Keeper {
  get(sid: string, callback: (error: unknown, session?: object | null) => void): void;
  set(sid: string, session: object, callback?: Done): void;
  destroy(sid: string, callback?: Done): void;
  regenerate(request: StoreRequest, callback: Done): void;
  createSession(request: StoreRequest, session: object): object;
}

export class StoreSession {
  declare readonly id: string;
  declare readonly req: StoreRequest;
  declare cookie: Cookie;

  constructor(keeper: Keeper, request: StoreRequest, values: object) {
    const hidden = { req: request, id: request.sessionID, keeper };
    for (const [name, value] of Object.entries(hidden)) Object.defineProperty(this, name, { value });
    for (const [key, value] of Object.entries(values)) {
      // What a key would hide is no key of theirs.
      if (!(key in this))
        Object.defineProperty(this, key, { value, writable: true, enumerable: true, configurable: true });
    }
    this.cookie = new Cookie("cookie" in values ? (values.cookie as CookieOptions) : {});
  }

  touch(): this {
    return this.resetMaxAge();
  }

  resetMaxAge(): this {
    this.cookie.maxAge = this.cookie.originalMaxAge;
    return this;
  }

  save(callback?: Done): this {
    keeperOf(this).set(this.id, this, callback);
    return this;
  }

  reload(callback: Done): this {
    const keeper = keeperOf(this);
    keeper.get(this.id, (error, session) => {
      if (error) callback(error);
      else if (!session) callback(new Error(`failed to load session: there is none of the id ${this.id} any more.`));
      else {
        keeper.createSession(this.req, session);
        callback();
      }
    });
    return this;
  }

  destroy(callback?: Done): this {
    delete this.req.session;
    keeperOf(this).destroy(this.id, callback);
    return this;
  }

  regenerate(callback: Done): this {
    keeperOf(this).regenerate(this.req, callback);
    return this;
  }
}

function keeperOf(session: object): Keeper {
  return (session as { readonly keeper: Keeper }).keeper;
}

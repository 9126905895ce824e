// Which session a request came with: the ids in its cookies, tried from the last to the first until one names a session that exists.

import { isSessionId } from "../../protocol/session-id.ts";
import type { Client, Opened } from "../link/client.ts";
import { CookieValues } from "./cookies.ts";

/** What real Gambas programs send; honoured where no cookie of our name has a session. */
const GAMBAS_COOKIE = "GBSESSIONID";
/** So many ids of one request are looked up. A browser has one cookie for each path that the application ever used. */
const MAX_LOOKED_UP = 8;
const NONE: readonly string[] = [];

export class Visit {
  /** null: none that exists. */
  id: string | null = null;
  /** The name of its cookie, or else the one that a new session gets. */
  cookieName: string;
  /** Asked for at once: a connection that has ended tells it no more. */
  address: string | undefined = undefined;
  contents: Opened["contents"] | undefined = undefined;
  problem: Error | undefined = undefined;
  readonly #header: string | undefined;
  readonly #ownName: string;
  #values: CookieValues;
  #tried: readonly string[] = NONE;
  #isGambas = false;
  /** A cookie of our name is there, whatever it holds. */
  #hasOwn = false;

  constructor(header: string | undefined, cookieName: string) {
    this.cookieName = cookieName;
    this.#ownName = cookieName;
    this.#header = header;
    this.#values = new CookieValues(header, cookieName);
  }

  /** A promise only where this worker's copies do not tell. Never rejects: what failed is in `problem`. */
  find(client: Client): Promise<void> | undefined {
    if (!this.#next()) return undefined;
    this.contents = client.current(this.id ?? "");
    return this.contents === undefined ? this.#ask(client) : undefined;
  }

  /** A session that cannot be read exists, and who cannot be asked may have one: neither makes way for another cookie. */
  async #ask(client: Client): Promise<void> {
    let opened = await client.ask(this.id ?? "");
    while (opened.contents === undefined && opened.problem === undefined && this.#next()) {
      opened = await client.find(this.id ?? "");
    }
    this.contents = opened.contents;
    this.problem = opened.problem;
  }

  /** Goes on to the next id that is worth a look. */
  #next(): boolean {
    const tried = this.#tried;
    for (let value = this.#value(); value !== undefined; value = this.#value()) {
      if (!isSessionId(value) || tried.includes(value)) continue;
      if (tried.length === MAX_LOOKED_UP) break;
      this.#tried = tried === NONE ? [value] : [...tried, value];
      this.id = value;
      if (this.#isGambas) this.cookieName = GAMBAS_COOKIE;
      return true;
    }
    this.id = null;
    if (this.#hasOwn) this.cookieName = this.#ownName;
    return false;
  }

  #value(): string | undefined {
    const value = this.#values.next();
    if (this.#isGambas) return value;
    if (value !== undefined) {
      this.#hasOwn = true;
      return value;
    }
    this.#isGambas = true;
    this.#values = new CookieValues(this.#header, GAMBAS_COOKIE);
    return this.#values.next();
  }
}

// Which session a request came with: the ids in its cookies, tried from the last to the first until one names a session that exists.

import { isSessionId } from "../../protocol/session-id.ts";
import type { Client, Opened } from "../link/client.ts";
import type { Adoption, Claim } from "./adoption.ts";
import { CookieValues } from "./cookies.ts";

/** The cookie of real Gambas programs; honoured where no cookie of our name has a session. */
const GAMBAS_COOKIE = "GBSESSIONID";
/** Ids of one request that are looked up at most. A browser has one cookie for each path that the application ever used. */
const MAX_LOOKED_UP = 8;
const NONE: readonly string[] = [];

export class Visit {
  /** null: no cookie names a session that exists. */
  id: string | null = null;
  /** The cookie that has the id; without an id, the cookie that a new session gets. */
  cookieName: string;
  contents: Opened["contents"] | undefined = undefined;
  /** Why the session of the id could not be read. */
  problem: Error | undefined = undefined;
  /** The browser does not know its id yet. */
  isNews = false;
  /** Why a session of another package was not taken over. */
  refusal: Error | undefined = undefined;
  readonly #header: string | undefined;
  readonly #adoption: Adoption | undefined;
  readonly #ownName: string;
  #values: CookieValues | undefined;
  #tried: readonly string[] = NONE;
  #isGambas = false;
  /** A cookie of our name is there, whatever its value. */
  #hasOwn = false;

  constructor(header: string | undefined, cookieName: string, adoption?: Adoption) {
    this.#adoption = adoption;
    this.cookieName = cookieName;
    this.#ownName = cookieName;
    this.#header = header;
  }

  /** A promise only where the copies of this worker do not tell. Never rejects: a failure is in `problem`. */
  find(client: Client): Promise<void> | undefined {
    if (this.#header === undefined) return undefined;
    if (!this.#next()) return this.#adopt(this.#header, client);
    this.contents = client.current(this.id ?? "");
    return this.contents === undefined ? this.#ask(client) : undefined;
  }

  /**
   * Asks the daemon for one id after the other. A session that cannot be read does exist, and while the daemon cannot be asked any id may
   * name one: neither makes way for the next cookie.
   */
  async #ask(client: Client): Promise<void> {
    let opened = await client.ask(this.id ?? "");
    while (opened.contents === undefined && opened.problem === undefined && this.#next()) {
      opened = await client.find(this.id ?? "");
    }
    this.contents = opened.contents;
    this.problem = opened.problem;
    if (this.id === null) await this.#adopt(this.#header ?? "", client);
  }

  /** Undefined where no cookie of another package names a session by right. */
  #adopt(header: string, client: Client): Promise<void> | undefined {
    const claims = this.#adoption?.claimsIn(header) ?? [];
    return claims.length === 0 ? undefined : this.#take(claims, client);
  }

  /** One that cannot be adopted now is there all the same: the visitor must not lose it for another one. */
  async #take(claims: readonly Claim[], client: Client): Promise<void> {
    for (const claim of claims) {
      const { contents, problem, refusal } = (await this.#adoption?.take(claim, client)) ?? {};
      this.refusal ??= refusal;
      if (contents === undefined && problem === undefined) continue;
      this.id = claim.id;
      this.contents = contents;
      this.problem = problem;
      this.isNews = contents !== undefined;
      return;
    }
  }

  /** Goes on to the next value that can be the id of a session, if there is one. */
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

  /** The values of our cookies, then those of Gambas'. */
  #value(): string | undefined {
    this.#values ??= new CookieValues(this.#header, this.#ownName);
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

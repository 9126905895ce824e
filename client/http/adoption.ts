// Sessions of connect-redis that are taken over at their first use: the signed cookie of express-session names one, its JSON becomes a session here,
// under an id that follows from the cookie. So two requests at once, on two hosts, make the same session, and one that has ended stays ended
// however often its old cookie comes. Secrets are known here alone: the daemon is asked for a key of Redis.
//
//   1. The old session is read.                          a kill leaves nothing
//   2. Ours is made; somebody who was faster has made    a kill leaves both, and no browser that knows ours
//      the same one.
//   3. The daemon keeps in mind that it was adopted,     after our session has ended and its tombstone is forgotten, too
//      or removes the old one.
//
// Whoever comes with the old cookie does the third step, whether ours was there or not, before ours is handed out: so a browser that knows ours
// cannot sign off from one whose adoption stopped after the second.

import { createHmac, timingSafeEqual } from "node:crypto";
import { type ErrorCode, isCode, SessionError } from "../../protocol/errors.ts";
import { ID_RANDOM_BYTES, makeSessionId } from "../../protocol/session-id.ts";
import type { TypeName } from "../../protocol/types.ts";
import { isRecord } from "../checks.ts";
import type { Client, Opened } from "../link/client.ts";
import { type AdoptOptions, checkAdopts } from "../options.ts";
import { CookieValues } from "./cookies.ts";

/** The same wherever the visitor comes from: else an ended session would have another id there. */
const ID_PREFIX = "adopted";
/** Before what ids are derived from: no cookie is signed with the same. */
const PURPOSE = "gambas-session id\n";
const SIGNED = "s:";
/** Cookies of one request that are looked at. */
const MAX_COOKIES = 8;

/** What will be no other way however often the visitor comes: he has no session then, and that is told. */
const FOR_EVER: readonly ErrorCode[] = ["ERR_UNREADABLE", "ERR_TOO_LARGE", "ERR_BAD_KEY", "ERR_BAD_VALUE"];

/** Our session of a claim. */
export interface Taken extends Opened {
  /** Why there is none, and never will be. */
  readonly refusal?: Error;
}

/** An old session that a visitor may have. */
export interface Claim {
  /** The id of the session here. */
  readonly id: string;
  /** Where the old one is. */
  readonly key: string;
}

export class Adoption {
  readonly #secrets: readonly string[];
  readonly #prefix: string;
  readonly #cookieName: string;
  readonly #removes: boolean;
  readonly #keepsCookie: boolean;

  constructor({
    secret,
    prefix = "sess:",
    cookieName = "connect.sid",
    remove = false,
    keepCookie = false,
  }: AdoptOptions) {
    this.#secrets = typeof secret === "string" ? [secret] : secret;
    this.#prefix = prefix;
    this.#cookieName = cookieName;
    this.#removes = remove;
    this.#keepsCookie = keepCookie;
  }

  /** @throws SessionError ERR_BAD_OPTION for a type in whose place no other package keeps sessions. */
  static of(options: AdoptOptions, type: TypeName): Adoption {
    checkAdopts(type);
    return new Adoption(options);
  }

  /** What the cookies of a request claim with a signature of one of the secrets. */
  claimsIn(header: string): readonly Claim[] {
    const values = new CookieValues(header, this.#cookieName);
    const claims: Claim[] = [];
    for (let count = 0, value = values.next(); value !== undefined && count < MAX_COOKIES; value = values.next()) {
      count += 1;
      const claim = this.#claimOf(value);
      if (claim !== undefined && !claims.some(({ id }) => id === claim.id)) claims.push(claim);
    }
    return claims;
  }

  /** Our session of a claim, made from the old one where there is none yet. Never rejects: a failure is in `problem`. */
  async take({ id, key }: Claim, client: Client): Promise<Taken> {
    const { contents, problem } = await client.find(id);
    if (problem !== undefined) return { problem };
    try {
      if (contents === undefined) {
        const json = await client.adoptable(id, key);
        const old = json === undefined ? undefined : oldSessionIn(json, this.#keepsCookie);
        if (old === undefined) return {};
        await create(id, old, client);
      }
      await client.noteAdopted(id, key, this.#removes);
      return await client.find(id);
    } catch (error) {
      if (error instanceof SessionError && FOR_EVER.includes(error.code)) return { refusal: error };
      return { problem: error as Error };
    }
  }

  #claimOf(cookie: string): Claim | undefined {
    const value = decoded(cookie);
    const dot = value.lastIndexOf(".");
    if (!value.startsWith(SIGNED) || dot <= SIGNED.length) return undefined;
    const [sid, signature] = [value.slice(SIGNED.length, dot), value.slice(dot + 1)];
    // Of the one that has signed: whichever are added later, the id stays.
    const secret = this.#secrets.find((one) => isSame(signature, signatureOf(sid, one)));
    return secret === undefined ? undefined : { id: idOf(sid, secret), key: this.#prefix + sid };
  }
}

interface OldSession {
  readonly values: ReadonlyMap<string, unknown>;
  /** How long it lives after each use; undefined: its cookie does not say. */
  readonly seconds: number | undefined;
  /** What was known of the cookie is among the values: who shows that sends the cookie as well. */
  readonly hasCookie: boolean;
}

/** @throws SessionError ERR_UNREADABLE for what express-session has not written. */
function oldSessionIn(json: Buffer, keepsCookie: boolean): OldSession | undefined {
  let session: unknown;
  try {
    session = JSON.parse(json.toString());
  } catch {
    // It is no JSON, however JSON.parse says so: its words would hold values.
    throw unreadable();
  }
  if (!isRecord(session) || !("cookie" in session) || !isRecord(session.cookie)) throw unreadable();
  // Its `expires` is of the last change: a use moves the end of its key alone.
  const { originalMaxAge } = session.cookie as { readonly originalMaxAge?: unknown };
  const values = new Map(Object.entries(session).filter(([key, value]) => key !== "cookie" && value !== null));
  if (values.size === 0) return undefined;
  const seconds = typeof originalMaxAge === "number" ? Math.max(1, Math.ceil(originalMaxAge / 1000)) : undefined;
  if (keepsCookie) values.set("cookie", session.cookie);
  return { values, seconds, hasCookie: keepsCookie };
}

/** Nothing where there is or was one of this id. @throws SessionError ERR_BAD_KEY, ERR_BAD_VALUE, ERR_STORE … */
async function create(id: string, { values, seconds, hasCookie }: OldSession, client: Client): Promise<void> {
  const handle = client.create({ id, ...(seconds === undefined ? {} : { timeoutSeconds: seconds }) });
  for (const [key, value] of values) handle.set(key, value);
  // Browsers have kept the old cookie so long after each use.
  if (seconds !== undefined && !hasCookie) handle.cookieMaxAge = "timeout";
  try {
    await handle.save();
  } catch (error) {
    if (!isCode(error, "ERR_ID_TAKEN")) throw error;
  }
}

function unreadable(): SessionError {
  const what =
    "A session that was to be adopted cannot be read: what is there is no JSON object with a cookie, as express-session writes it.";
  return new SessionError("ERR_UNREADABLE", what);
}

function decoded(cookie: string): string {
  try {
    return decodeURIComponent(cookie);
  } catch (error) {
    if (error instanceof URIError) return "";
    throw error;
  }
}

/** As cookie-signature makes it. */
function signatureOf(sid: string, secret: string): string {
  return createHmac("sha256", secret).update(sid).digest("base64").replace(/=+$/, "");
}

function isSame(given: string, expected: string): boolean {
  const [one, other] = [Buffer.from(given), Buffer.from(expected)];
  return one.length === other.length && timingSafeEqual(one, other);
}

function idOf(sid: string, secret: string): string {
  const digest = createHmac("sha256", secret).update(PURPOSE).update(sid).digest();
  return makeSessionId(ID_PREFIX, digest.subarray(0, ID_RANDOM_BYTES));
}

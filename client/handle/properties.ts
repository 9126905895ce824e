// What a request has chosen for its session besides keys, and not saved yet: life time, path and life time of the cookie, uniqueness, and to be
// saved at all. Nothing here ever changes: a choice makes other choices of those before. And what others say of it: the place where a session
// begins, and the cookie.

import { COOKIE_PATH_KEY, MAX_AGE_KEY } from "../../protocol/image/image.ts";
import { TOUCH_AFTER_MS } from "../../protocol/places.ts";
import { decodeValue, encodeValue } from "../../protocol/value/value.ts";
import type { CookieMaxAge, HandleOptions } from "../api.ts";
import type { Contents } from "../copies/cache.ts";

/** NOTHING_CHOSEN as soon as it holds nothing. */
export interface Chosen {
  readonly timeoutSeconds: number | undefined;
  readonly cookiePath: string | undefined;
  /** null: the cookie is to end with the browser. */
  readonly cookieMaxAge: CookieMaxAge | null | undefined;
  /** The next save ends the other sessions of the prefix. */
  readonly isUnique: boolean;
  /** The next save writes, changed or not. */
  readonly isForced: boolean;
}

/** The properties that a commit carries. */
export interface Properties {
  readonly timeoutSeconds?: number;
  readonly cookiePath?: string;
  /** Is an entry of the session, and is named here for `chosenSince`. */
  readonly cookieMaxAge?: CookieMaxAge | null;
}

export const NOTHING_CHOSEN: Chosen = {
  timeoutSeconds: undefined,
  cookiePath: undefined,
  cookieMaxAge: undefined,
  isUnique: false,
  isForced: false,
};
const NO_PROPERTIES: Properties = {};

export function choose(before: Chosen, choice: Partial<Chosen>): Chosen {
  const chosen = { ...before, ...choice };
  const { timeoutSeconds, cookiePath, cookieMaxAge, isUnique, isForced } = chosen;
  const isSaid = timeoutSeconds !== undefined || cookiePath !== undefined || cookieMaxAge !== undefined;
  return isSaid || isUnique || isForced ? chosen : NOTHING_CHOSEN;
}

/** What is still to be saved after a commit of these properties, with or without an end of the other sessions. */
export function chosenSince(
  chosen: Chosen,
  saved: { readonly properties: Properties; readonly isUnique: boolean },
): Chosen {
  if (chosen === NOTHING_CHOSEN) return chosen;
  const { timeoutSeconds, cookiePath, cookieMaxAge } = saved.properties;
  return choose(chosen, {
    ...(chosen.timeoutSeconds === timeoutSeconds && { timeoutSeconds: undefined }),
    ...(chosen.cookiePath === cookiePath && { cookiePath: undefined }),
    ...(chosen.cookieMaxAge === cookieMaxAge && { cookieMaxAge: undefined }),
    ...(saved.isUnique && { isUnique: false }),
    isForced: false,
  });
}

/** What a new session begins with, unless something else was chosen. */
interface Beginning {
  readonly seconds: number;
  /** "": the session itself names none. */
  readonly path: string;
}

/** The choices of a transaction on top of those before it. That something was to be saved in it is settled. */
export function chosenAfter(before: Chosen, inner: Chosen): Chosen {
  if (inner === NOTHING_CHOSEN) return before;
  return choose(before, {
    timeoutSeconds: inner.timeoutSeconds ?? before.timeoutSeconds,
    cookiePath: inner.cookiePath ?? before.cookiePath,
    cookieMaxAge: inner.cookieMaxAge === undefined ? before.cookieMaxAge : inner.cookieMaxAge,
    isUnique: before.isUnique || inner.isUnique,
  });
}

/** What a commit must carry. */
export function propertiesOf(
  { timeoutSeconds, cookiePath, cookieMaxAge }: Chosen,
  beginning: Beginning | undefined,
): Properties {
  const seconds = timeoutSeconds ?? beginning?.seconds;
  const path = cookiePath ?? (beginning?.path || undefined);
  if (seconds === undefined && path === undefined && cookieMaxAge === undefined) return NO_PROPERTIES;
  return {
    ...(seconds === undefined ? {} : { timeoutSeconds: seconds }),
    ...(path === undefined ? {} : { cookiePath: path }),
    ...(cookieMaxAge === undefined ? {} : { cookieMaxAge }),
  };
}

/** The members of the static Session that were set and are not saved. */
export function chosenNames({ timeoutSeconds, cookiePath, cookieMaxAge, isUnique, isForced }: Chosen): string[] {
  const names: string[] = [];
  if (timeoutSeconds !== undefined) names.push("Timeout");
  if (cookiePath !== undefined) names.push("CookiePath");
  if (cookieMaxAge !== undefined) names.push("CookieMaxAge");
  if (isUnique) names.push("Unique");
  if (isForced) names.push("Modified");
  return names;
}

/** Stored for a cookie that is to end with the browser, although the application's cookies as a rule do not. */
const WITH_BROWSER = 0;

type Entries = ReadonlyMap<string, Buffer | undefined>;

/** What a save sends, with the life time of the cookie: an entry like any other, and Gambas programs keep it like any other. */
export function withMaxAge(
  edited: Entries,
  maxAge: CookieMaxAge | null | undefined,
  byDefault: CookieMaxAge | null,
  contents: Contents | undefined,
): Entries {
  if (maxAge === undefined) return edited;
  const value = maxAge === null && byDefault !== null ? WITH_BROWSER : maxAge;
  if (value === null && contents?.hasMaxAge !== true) return edited;
  return new Map(edited).set(MAX_AGE_KEY, value === null ? undefined : encodeValue(value, MAX_AGE_KEY).bytes);
}

/** What the session says of the life time of its cookie; undefined: nothing. Any program can write it. */
export function storedMaxAge(contents: Contents | undefined): CookieMaxAge | null | undefined {
  if (contents?.hasMaxAge !== true) return undefined;
  const stored = contents.value(MAX_AGE_KEY);
  if (stored === "timeout") return stored;
  if (stored === WITH_BROWSER) return null;
  return typeof stored === "number" && Number.isSafeInteger(stored) && stored > 0 ? stored : undefined;
}

/** A session whose life time is no number of seconds above 0 has none that its cookie could have. */
export function secondsOf(maxAge: CookieMaxAge | null, timeoutSeconds: number): number | undefined {
  const seconds = maxAge === "timeout" ? Math.ceil(timeoutSeconds) : maxAge;
  return seconds === null || seconds <= 0 ? undefined : seconds;
}

/** The path that the session was begun under; "": it does not say. */
export function storedCookiePath(contents: Contents | undefined): string {
  const stored = contents?.stored(COOKIE_PATH_KEY);
  const path = stored === undefined ? "" : decodeValue(stored, 0);
  return typeof path === "string" ? path : "";
}

/** Whether the next use of a session renews its time stamp. */
export function isTouchDue({ startupMs }: Contents): boolean {
  return Date.now() - startupMs > TOUCH_AFTER_MS;
}

/** How the session of an id was found. Neither contents nor a problem: there is no such session. */
export interface Opened {
  readonly id: string | null;
  readonly contents?: Contents | undefined;
  /** Why it could not be read. */
  readonly problem?: Error | undefined;
}

/** Where a session begins, if it does: a request, a Run, a transaction. */
export interface Birthplace extends HandleOptions {
  /** Id of the session that begins there next. Default, and where a session of this id has ended there: a new one. */
  readonly id?: string | undefined;
  /** How long browsers keep cookies of this place; null: until they end. */
  readonly cookieMaxAge?: CookieMaxAge | null | undefined;
  /** The request, for who reads it. */
  readonly request?: string | undefined;
  /** Called before a session is created; throws when it may not be. */
  mayCreate?(): void;
}

/** The session around a transaction. */
interface Surrounding {
  readonly givenId: string | undefined;
  readonly prefix: string;
  readonly timeout: number;
  readonly cookiePath: string;
  readonly cookieMaxAge: CookieMaxAge | null;
  readonly isUnique: boolean;
}

/** What a session that a transaction begins takes over from the session around it, asked for only when one is begun. */
export class Inherited implements Birthplace {
  readonly #draft: Surrounding;
  readonly #birthplace: Birthplace;

  constructor(draft: Surrounding, birthplace: Birthplace) {
    this.#draft = draft;
    this.#birthplace = birthplace;
  }

  get id(): string | undefined {
    return this.#draft.givenId;
  }

  get prefix(): string {
    return this.#draft.prefix;
  }

  get timeoutSeconds(): number {
    return this.#draft.timeout;
  }

  get cookiePath(): string {
    return this.#draft.cookiePath;
  }

  get cookieMaxAge(): CookieMaxAge | null {
    return this.#draft.cookieMaxAge;
  }

  get isUnique(): boolean {
    return this.#draft.isUnique;
  }

  get request(): string | undefined {
    return this.#birthplace.request;
  }

  mayCreate(): void {
    this.#birthplace.mayCreate?.();
  }
}

/** A session that has ended: for the cookie that must be removed. */
export interface Ended {
  readonly id: string;
  readonly cookiePath: string;
}

/** What the browser is to be told of a session. */
export interface CookieState {
  readonly id: string | null;
  /** The browser must be told of a new id, path or life time. */
  readonly needsCookie: boolean;
  /** The path that the browser has the cookie under, if it is no longer the right one. */
  readonly cookieMovedFrom: string | undefined;
  /** The sessions that have ended while the handle had them. */
  readonly ended: readonly Ended[];
  /** The path that the cookie of this session belongs to. */
  readonly effectiveCookiePath: string;
  /** The browser forgets the cookie after a time. */
  readonly hasMaxAge: boolean;
  /** That time, in seconds; undefined: when it ends. */
  readonly maxAgeSeconds: number | undefined;
  readonly contents: Contents | undefined;
}

/** What a part of a transaction can be taken back to. */
export interface Remembered<RememberedEdits> {
  readonly id: string | null;
  readonly wasCreated: boolean;
  readonly chosen: Chosen;
  readonly prefix: string | undefined;
  readonly isUnique: boolean | undefined;
  readonly successor: string | undefined;
  readonly edits: RememberedEdits;
}

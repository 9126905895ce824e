// The options of Session.Run, and what must be checked before anything is begun.

import { SessionError } from "../../protocol/errors.ts";
import { addressPrefix } from "../http/sender.ts";

/** A request of node:http or node:http2, or whatever has its headers, as a handshake of socket.io. */
export interface CookieBearer {
  readonly headers: { readonly cookie?: string | undefined };
}

export interface RunOptions {
  /** The session to use. One that does not exist gives a context without a session. */
  readonly id?: string | null;
  /** Prefix of a session that is created, as the client's address is in HTTP. */
  readonly remoteAddress?: string;
  /**
   * Whose session to use: that of its cookie, as `session()` finds it. None can be created, since nothing could carry its cookie; but
   * while `session()` still answers this very request, its context is the one that is used.
   */
  readonly request?: CookieBearer;
  /** Name of the cookie of a request that no `session()` has seen. Default "SESSION". */
  readonly cookieName?: string;
}

const isText = (value: unknown): boolean => typeof value === "string";

/** What each option must be, and how that is said. */
const CHECKS: Readonly<Record<keyof RunOptions, readonly [isGood: (value: unknown) => boolean, words: string]>> = {
  id: [(value) => value === null || isText(value), "the id of a session, or null"],
  remoteAddress: [(value) => isText(value) && (value === "" || addressPrefix(String(value)) !== ""), "an IP address"],
  request: [isCookieBearer, "a request with its headers, as node:http has them"],
  cookieName: [(value) => isText(value) && value !== "", "the name of a cookie"],
};

/** @throws SessionError ERR_BAD_OPTION. */
export function checkRun(options: RunOptions | undefined, fn: unknown): void {
  if (typeof fn !== "function") throw bad(`The second argument of Session.Run must be a function, not ${said(fn)}.`);
  if (options === undefined || options === null) return;
  if (typeof options !== "object" || Array.isArray(options)) {
    throw bad(`The options of Session.Run must be an object, not ${said(options)}; for an id it is { id }.`);
  }
  for (const [name, value] of Object.entries(options)) {
    const check = Object.hasOwn(CHECKS, name) ? CHECKS[name as keyof RunOptions] : undefined;
    if (check === undefined) {
      throw bad(`Session.Run has no option ${said(name)}; there are ${Object.keys(CHECKS).join(", ")}.`);
    }
    const [isGood, words] = check;
    if (value !== undefined && !isGood(value)) {
      throw bad(`The option ${name} of Session.Run must be ${words}, not ${said(value)}.`);
    }
  }
  if (options.request !== undefined && typeof options.id === "string") {
    throw bad("Session.Run takes the id of a session or a request, not both.");
  }
}

/** The Request of fetch keeps its headers behind methods: its cookie would be overlooked. */
function isCookieBearer(value: unknown): boolean {
  if (typeof value !== "object" || value === null || !("headers" in value)) return false;
  const { headers } = value;
  if (typeof headers !== "object" || headers === null || ("get" in headers && typeof headers.get === "function")) {
    return false;
  }
  return !("cookie" in headers) || headers.cookie === undefined || isText(headers.cookie);
}

function said(value: unknown): string {
  if (typeof value === "object" && value !== null) return Array.isArray(value) ? "an array" : "an object";
  return typeof value === "string"
    ? JSON.stringify(value.slice(0, 100))
    : typeof value === "function"
      ? "a function"
      : String(value);
}

function bad(what: string): SessionError {
  return new SessionError("ERR_BAD_OPTION", what);
}

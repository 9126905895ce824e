// The options of Session.Run, and what each of them must be before anything is begun.

import { SessionError } from "../../protocol/errors.ts";
import { type Checks, checkOptions, isText, said } from "../checks.ts";
import { addressPrefix } from "../http/exchange.ts";

/** A request of node:http or node:http2, or an object that has its headers, as the handshake of socket.io. */
export interface CookieBearer {
  readonly headers: { readonly cookie?: string | undefined };
}

export interface RunOptions {
  /** The session to use. One that does not exist gives a context without a session. */
  readonly id?: string | null | undefined;
  /** Prefix of a session that is created, as the client's address is in HTTP. */
  readonly remoteAddress?: string | undefined;
  /**
   * The request whose session to use: that of its cookie, as `session()` finds it. No session can be created, since no response would carry
   * its cookie; but while `session()` still answers this very request, the context of that request is used.
   */
  readonly request?: CookieBearer | undefined;
  /** Name of the cookie of a request that no `session()` has seen. Default "SESSION". */
  readonly cookieName?: string | undefined;
}

const CHECKS: Checks<RunOptions> = {
  id: [(value) => value === null || isText(value), "the id of a session, or null"],
  remoteAddress: [(value) => isText(value) && (value === "" || addressPrefix(value) !== ""), "an IP address"],
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
  checkOptions(options, CHECKS, { owner: "Session.Run" });
  if (options.request !== undefined && typeof options.id === "string") {
    throw bad("Session.Run takes the id of a session or a request, not both.");
  }
}

/** A Request of fetch keeps its headers behind methods, and its cookie would be overlooked. */
function isCookieBearer(value: unknown): boolean {
  if (typeof value !== "object" || value === null || !("headers" in value)) return false;
  const { headers } = value;
  if (typeof headers !== "object" || headers === null || ("get" in headers && typeof headers.get === "function")) {
    return false;
  }
  return !("cookie" in headers) || headers.cookie === undefined || isText(headers.cookie);
}

function bad(what: string): SessionError {
  return new SessionError("ERR_BAD_OPTION", what);
}

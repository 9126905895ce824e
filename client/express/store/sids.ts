// The ids that express-session knows ("sid": whatever its genid makes) and the ids of sessions, one to one. The sid stands readable in the
// prefix, so that a list of sessions names it again. Pure but for chance.

import { createHash, randomBytes } from "node:crypto";
import { SessionError } from "../../../protocol/errors.ts";
import { ID_RANDOM_BYTES, isSessionId, makeSessionId, prefixOf } from "../../../protocol/session-id.ts";
import type { Client } from "../../api.ts";

export interface Sids {
  /** @throws SessionError ERR_BAD_ID for a sid that no session can have. */
  idOf(sid: string): string | Promise<string>;
  /** Undefined for a session that is none of these. */
  sidOf(id: string): string | undefined;
}

/**
 * `sess.<sid>:<24 digits of its SHA-256>`. The digits say nothing that the sid does not: who knows a sid has its session, as express-session
 * has it, whose cookie is signed for that.
 */
export class StoreSids implements Sids {
  readonly #prefix: string;

  constructor(prefix: string) {
    this.#prefix = `${prefix}.`;
  }

  idOf(sid: string): string {
    if (!isText(sid)) throw badSid(sid);
    const id = `${this.#prefix}${encodeURIComponent(sid)}:${digitsOf(sid)}`;
    if (isSessionId(id)) return id;
    throw badSid(sid);
  }

  sidOf(id: string): string | undefined {
    const sid = sidIn(id, this.#prefix);
    return sid !== undefined && id.endsWith(digitsOf(sid)) ? sid : undefined;
  }
}

const GENERATED = "sid.";

/** An id for a sid that an application has made. Its own digits are drawn: such a sid may be easy to guess. */
export function idForSid(sid: string): string {
  if (!isText(sid)) throw badSid(sid);
  const id = makeSessionId(GENERATED + encodeURIComponent(sid), randomBytes(ID_RANDOM_BYTES));
  if (isSessionId(id)) return id;
  throw badSid(sid);
}

/** What an application sees of an id: the sid that it has made, or else the id. */
export function shownSid(id: string): string {
  return sidIn(id, GENERATED) ?? id;
}

/** The sessions of the drop-in: of a sid that an application has made its id must be looked for. */
export class ShownSids implements Sids {
  readonly #client: Pick<Client, "list">;

  constructor(client: Pick<Client, "list">) {
    this.#client = client;
  }

  async idOf(sid: string): Promise<string> {
    if (isSessionId(sid)) return sid;
    if (!isText(sid)) throw badSid(sid);
    for await (const { id } of this.#client.list({ prefix: GENERATED + encodeURIComponent(sid) })) return id;
    throw badSid(sid);
  }

  sidOf(id: string): string {
    return shownSid(id);
  }
}

function sidIn(id: string, prefix: string): string | undefined {
  if (!id.startsWith(prefix)) return undefined;
  const text = prefixOf(id).slice(prefix.length);
  try {
    const sid = decodeURIComponent(text);
    return sid !== "" && encodeURIComponent(sid) === text ? sid : undefined;
  } catch (error) {
    if (error instanceof URIError) return undefined;
    throw error;
  }
}

/** An application may give anything. */
function isText(sid: unknown): boolean {
  return typeof sid === "string" && sid !== "" && sid.isWellFormed();
}

function digitsOf(sid: string): string {
  return createHash("sha256")
    .update(sid)
    .digest("hex")
    .slice(0, 2 * ID_RANDOM_BYTES)
    .toUpperCase();
}

function badSid(sid: unknown): SessionError {
  const text = typeof sid === "string" ? JSON.stringify(sid.slice(0, 40)) : typeof sid;
  const what = `A session id of express-session is text of at most about 150 characters, not ${text}.`;
  return new SessionError("ERR_BAD_ID", what);
}

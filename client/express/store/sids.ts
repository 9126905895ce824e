// The ids that express-session knows ("sid": whatever its genid makes) and the ids of sessions, one to one. The sid stands readable in the
// prefix, so that a list of sessions names it again: in letters and digits, which every type of sessions keeps (names of databases keep no others). Pure
// but for chance.

import { createHash, randomBytes } from "node:crypto";
import { SessionError } from "../../../protocol/errors.ts";
import { ID_RANDOM_BYTES, isSessionId, makeSessionId, prefixOf } from "../../../protocol/session-id.ts";
import type { Client } from "../../api.ts";

/** Never part of what is encoded. */
const SEPARATOR = "__";

export interface Sids {
  /** @throws SessionError ERR_BAD_ID for a sid that no session can have. */
  idOf(sid: string): string | Promise<string>;
  /** Undefined for a session that is none of these. */
  sidOf(id: string): string | undefined;
}

/**
 * `sess__<sid>:<24 digits of its SHA-256>`. The digits say nothing that the sid does not: who knows a sid has its session, as express-session
 * has it, whose cookie is signed for that.
 */
export class StoreSids implements Sids {
  readonly #prefix: string;

  constructor(prefix: string) {
    this.#prefix = encoded(prefix) + SEPARATOR;
  }

  idOf(sid: string): string {
    if (!isText(sid)) throw badSid(sid);
    const id = `${this.#prefix}${encoded(sid)}:${digitsOf(sid)}`;
    if (isSessionId(id)) return id;
    throw badSid(sid);
  }

  sidOf(id: string): string | undefined {
    const sid = sidIn(id, this.#prefix);
    return sid !== undefined && id.endsWith(digitsOf(sid)) ? sid : undefined;
  }
}

const GENERATED = `sid${SEPARATOR}`;

/** An id for a sid that an application has made. Its own digits are drawn: such a sid may be easy to guess. */
export function idForSid(sid: string): string {
  if (!isText(sid)) throw badSid(sid);
  const id = makeSessionId(GENERATED + encoded(sid), randomBytes(ID_RANDOM_BYTES));
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
    for await (const { id } of this.#client.list({ prefix: GENERATED + encoded(sid) })) return id;
    throw badSid(sid);
  }

  sidOf(id: string): string {
    return shownSid(id);
  }
}

function sidIn(id: string, prefix: string): string | undefined {
  if (!id.startsWith(prefix)) return undefined;
  const text = prefixOf(id).slice(prefix.length);
  const sid = decoded(text);
  return sid !== "" && encoded(sid) === text ? sid : undefined;
}

function encoded(text: string): string {
  return Buffer.from(text)
    .toString("latin1")
    .replace(/[^A-Za-z0-9]/g, (byte) => `_${byte.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0")}`);
}

function decoded(text: string): string {
  const bytes = text.replace(/_([0-9A-F]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  return Buffer.from(bytes, "latin1").toString();
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

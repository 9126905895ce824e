// gambas-session/store: the options of a store for express-session, and its ids.

import { SessionError } from "../../../protocol/errors.ts";
import type { Client } from "../../api.ts";
import { type Checks, checkOptions, isRecord, isText, LIFE_TIME } from "../../checks.ts";
import { Client as LinkedClient } from "../../link/client.ts";
import { CONNECT_CHECKS, type ConnectOptions, DEFAULTS } from "../../options.ts";
import { SessionStore } from "./session-store.ts";
import { StoreSids } from "./sids.ts";

export interface GambasStoreOptions extends ConnectOptions {
  /** A client that `connect()` gave, in place of the options of one. */
  readonly client?: Client | undefined;
  /** The id of a session is `<prefix>__<sid>:<24 digits>`; what is no letter or digit of ASCII is `_` and two hex digits for each byte. Default "sess". */
  readonly prefix?: string | undefined;
  /** Life time of sessions whose cookie has no `maxAge`, in seconds since their last use. Default 86 400. */
  readonly ttl?: number | undefined;
}

const CHECKS: Checks<Omit<GambasStoreOptions, keyof ConnectOptions>> = {
  client: [isClient, "what connect() resolves to"],
  prefix: [(value) => isText(value) && /^[\w-]{1,32}$/.test(value), "1 to 32 letters, digits, - or _"],
  ttl: LIFE_TIME,
};
const FOREIGN: Readonly<Record<string, string>> = {
  url: "sessions are where Gambas keeps them, below root.",
  disableTouch: "each use renews a session; a second use within a second costs nothing.",
};

/** By what it can do: another copy of the package may have made it. */
function isClient(value: unknown): boolean {
  return isRecord(value) && "open" in value && typeof value.open === "function";
}

/** @throws SessionError ERR_BAD_OPTION for an option of `connect()` beside a client, where it would mean nothing. */
function checkOneClient({ client, prefix: _, ttl: __, ...connect }: GambasStoreOptions): void {
  const [extra] = Object.entries(connect).flatMap(([name, value]) => (value === undefined ? [] : [name]));
  if (client === undefined || extra === undefined) return;
  const what = `The option ${extra} of a store means nothing beside client, which was connected by options of its own; leave one of them out.`;
  throw new SessionError("ERR_BAD_OPTION", what);
}

/** Sessions of express-session in the files of this package: `session({ store: new GambasStore(), secret, … })`. */
export class GambasStore extends SessionStore {
  /** @throws SessionError ERR_BAD_OPTION, ERR_SOCKET_PATH for options that cannot work. */
  constructor(options: GambasStoreOptions = {}) {
    checkOptions(options, { ...CONNECT_CHECKS, ...CHECKS }, { owner: "a store", foreign: FOREIGN });
    checkOneClient(options);
    const { client, prefix = "sess", ttl = DEFAULTS.timeout, ...connect } = options;
    super({ client: client ?? new LinkedClient(connect), sids: new StoreSids(prefix), seconds: ttl });
  }
}

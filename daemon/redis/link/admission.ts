// A connection that sessions may be entrusted to, or the reason why there is none: what will not change by itself is a SessionError with what
// to do, whatever may pass is a ServerError.

import { SessionError } from "../../../protocol/errors.ts";
import { describeAddress } from "../../../protocol/redis-url.ts";
import { Connection, type ConnectionOptions } from "./connection.ts";
import type { Endpoint } from "./endpoint.ts";
import { type Accepted, type Facts, factsIn, faultOf, isMaster } from "./facts.ts";
import { missingRights, neededRights } from "./rights.ts";
import { isLater, ServerError } from "./server-error.ts";

export interface Wanted extends Accepted {
  /** The beginnings of all keys. */
  readonly keyPrefixes: readonly string[];
  readonly isCluster: boolean;
  /** Whether another server may become the master: then a replica is the wrong one today, and no mistake. */
  readonly mayMove: boolean;
  /** What stands behind the beginnings of keys that are tried: in a cluster "{tag}" of a slot that this server has. */
  readonly tag: string;
}

/** @throws SessionError | ServerError */
export async function admit(endpoint: Endpoint, options: ConnectionOptions, wanted: Wanted): Promise<Admitted> {
  const where = describeAddress(endpoint.address);
  const refuse = (why: string, cause?: unknown): SessionError =>
    new SessionError("ERR_BAD_REDIS", `Redis at ${where} ${why}`, { cause });
  const rights = neededRights(wanted.keyPrefixes, wanted.isCluster, endpoint.database !== 0);
  let connection: Connection;
  try {
    connection = await Connection.open(endpoint, options);
  } catch (error) {
    throw error instanceof ServerError ? (lastingFault(error, rights, refuse) ?? error) : error;
  }
  try {
    const facts = factsIn(String(await connection.call(["INFO"])));
    if (wanted.mayMove && !isMaster(facts))
      throw new ServerError("refused", "ROLE", `Redis at ${where} is no master now.`);
    const fault = faultOf(facts, wanted);
    if (fault !== undefined) throw refuse(fault);
    const keys = wanted.keyPrefixes.map((prefix) => `${prefix}${wanted.tag}`);
    const missing = await missingRights(connection, keys);
    if (missing.length > 0)
      throw refuse(`does not give its user the right to ${missing.join(" ")}; all that it needs: ${rights}.`);
    return { connection, facts };
  } catch (error) {
    connection.close();
    throw error instanceof ServerError ? (lastingFault(error, rights, refuse) ?? error) : error;
  }
}

export interface Admitted {
  readonly connection: Connection;
  readonly facts: Facts;
}

/** What of the errors of a first exchange will be the same the next time. */
function lastingFault(
  error: ServerError,
  rights: string,
  refuse: (why: string, cause: unknown) => SessionError,
): SessionError | undefined {
  const { code, message } = error;
  if (["CUT", "STALLED", "CLOSED"].includes(code)) return tlsFault(error, refuse);
  if (isLater(error) || ["READONLY", "MISCONF", "NOREPLICAS", "OOM", "CROSSSLOT", "MOVED", "ASK"].includes(code))
    return undefined;
  if (["WRONGPASS", "NOAUTH"].includes(code) || /\bAUTH\b.*password|invalid password/.test(message)) {
    return refuse(
      `refuses the user or the password (${code}): give the right ones in the URL or in passwordFile.`,
      error,
    );
  }
  if (code === "NOPERM") {
    const right = /'([\w|]+)'/.exec(message)?.[1] ?? "a command";
    return refuse(`does not give its user the right to +${right}; all that it needs: ${rights}.`, error);
  }
  if (code === "NOPROTO" || /hello/i.test(message)) {
    return refuse(
      "does not speak RESP3 (HELLO 3): it is too old, or a proxy stands before it that must be passed by.",
      error,
    );
  }
  if (/tracking/i.test(message)) {
    return refuse(
      "does not tell what changes (CLIENT TRACKING): a proxy before it must be passed by, a setting may forbid it.",
      error,
    );
  }
  if (/SELECT/.test(message)) {
    return refuse("is a node of a cluster, which has no databases: name two nodes or more without any.", error);
  }
  return refuse(`says: ${message}.`, error);
}

function tlsFault(
  { message, cause }: ServerError,
  refuse: (why: string, cause: unknown) => SessionError,
): SessionError | undefined {
  const { code = "" } = (cause ?? {}) as NodeJS.ErrnoException;
  if (!/CERT|SELF_SIGNED|^ERR_(?:TLS|SSL|OSSL)|^EPROTO$|UNABLE_TO/.test(code)) return undefined;
  return refuse(
    `cannot be trusted, or does not trust this client (TLS): ${message} Look at ca, cert, key and servername.`,
    cause,
  );
}

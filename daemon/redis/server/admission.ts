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
  /** What stands behind the beginnings of keys that are tried: in a cluster "{tag}" of a slot that this server has, if it has any. */
  readonly tag: string | undefined;
}

export interface Admitted {
  readonly connection: Connection;
  readonly facts: Facts;
}

/** @throws SessionError | ServerError */
export async function admit(endpoint: Endpoint, options: ConnectionOptions, wanted: Wanted): Promise<Admitted> {
  return visit(endpoint, options, wanted, async (connection) => {
    const where = describeAddress(endpoint.address);
    const facts = factsIn(String(await connection.call(["INFO"])));
    if (wanted.mayMove && !isMaster(facts))
      throw new ServerError("refused", "ROLE", `Redis at ${where} is no master now.`);
    const fault = faultOf(facts, wanted);
    if (fault !== undefined) throw refusal(endpoint, fault);
    const keys = wanted.tag === undefined ? [] : wanted.keyPrefixes.map((prefix) => `${prefix}${wanted.tag}`);
    const missing = await missingRights(connection, keys, wanted.isCluster);
    if (missing.length > 0) throw refusal(endpoint, rightsFault(missing, endpoint, wanted));
    return { connection, facts };
  });
}

/** Opens a connection and closes it again when the visit fails, with the reason as `admit` gives it. @throws SessionError | ServerError */
export async function visit<T>(
  endpoint: Endpoint,
  options: ConnectionOptions,
  wanted: Wanted,
  step: (connection: Connection) => Promise<T>,
): Promise<T> {
  let connection: Connection | undefined;
  try {
    connection = await Connection.open(endpoint, options);
    return await step(connection);
  } catch (error) {
    connection?.close();
    if (!(error instanceof ServerError)) throw error;
    const fault = lastingFault(error, endpoint, wanted);
    throw fault === undefined ? error : refusal(endpoint, fault, error);
  }
}

function refusal({ address }: Endpoint, why: string, cause?: unknown): SessionError {
  return new SessionError("ERR_BAD_REDIS", `Redis at ${describeAddress(address)} ${why}`, { cause });
}

function rightsFault(missing: readonly string[], { database }: Endpoint, { keyPrefixes, isCluster }: Wanted): string {
  const all = neededRights(keyPrefixes, isCluster, database !== 0);
  return `does not give its user the right to ${missing.join(" ")}; all that it needs: ${all}.`;
}

/** What of the errors of a first exchange will be the same the next time; undefined: nothing. */
function lastingFault(error: ServerError, endpoint: Endpoint, wanted: Wanted): string | undefined {
  const { code, message } = error;
  if (["CUT", "STALLED", "CLOSED", "ROLE"].includes(code)) return tlsFault(error);
  if (isLater(error) || PASSING.includes(code)) return undefined;
  if (["WRONGPASS", "NOAUTH"].includes(code) || /\bAUTH\b.*password|invalid password/.test(message)) {
    return `refuses the user or the password (${code}): give the right ones in the URL or in passwordFile.`;
  }
  if (code === "NOPERM") return rightsFault([`+${/'([\w|]+)'/.exec(message)?.[1] ?? "a command"}`], endpoint, wanted);
  if (code === "NOPROTO" || /hello/i.test(message)) {
    return "does not speak RESP3 (HELLO 3): it is too old, or a proxy stands before it that must be passed by.";
  }
  if (/tracking/i.test(message)) {
    return "does not tell what changes (CLIENT TRACKING): pass by the proxy before it, or allow it in the settings of the service.";
  }
  if (/SELECT/.test(message))
    return "is a node of a cluster, which has no databases: name two nodes or more without any.";
  if (/cluster support disabled/.test(message))
    return "is no node of a cluster, though several URLs are named: name one.";
  return `says: ${message}.`;
}

/** Of a server that writes nothing now, or of a cluster whose slots have just moved. */
const PASSING = ["READONLY", "MISCONF", "NOREPLICAS", "OOM", "CROSSSLOT", "MOVED", "ASK", "CLUSTERDOWN"];

function tlsFault({ message, cause }: ServerError): string | undefined {
  const { code = "" } = (cause ?? {}) as NodeJS.ErrnoException;
  if (!/CERT|SELF_SIGNED|^ERR_(?:TLS|SSL|OSSL)|^EPROTO$|UNABLE_TO/.test(code)) return undefined;
  return `cannot be trusted, or does not trust this client (TLS). ${message} Look at ca, cert, key and servername.`;
}

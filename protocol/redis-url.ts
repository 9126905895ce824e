// The option that says where Redis is: one URL, or several for a cluster. Owns its grammar, and what of it may be shown: user and password
// may not, so no message quotes a part that could be one of them. Opens no file and no connection.

import { SessionError } from "./errors.ts";

export type RedisAddress = { readonly host: string; readonly port: number } | { readonly path: string };

interface Credentials {
  readonly username: string | undefined;
  readonly password: string | undefined;
  /** The password is the contents of this file, without the end of its last line. */
  readonly passwordFile: string | undefined;
}

/** Paths of PEM files; undefined: those of the system, and none. */
export interface RedisTls {
  readonly ca: string | undefined;
  readonly cert: string | undefined;
  readonly key: string | undefined;
  /** The name that the certificate must be for; undefined: the host. */
  readonly servername: string | undefined;
}

export interface RedisTarget {
  /** A server, the Sentinels that know where it is, or some nodes of a cluster. */
  readonly kind: "server" | "sentinel" | "cluster";
  readonly addresses: readonly RedisAddress[];
  /** What Sentinels call the server; "" for the other kinds. */
  readonly service: string;
  readonly database: number;
  readonly credentials: Credentials;
  /** Those of the Sentinels, which never are the server's. */
  readonly sentinelCredentials: Credentials;
  /** Undefined: no TLS. */
  readonly tls: RedisTls | undefined;
}

const EXAMPLES =
  "redis://host:6379/0, rediss://host, unix:///run/redis.sock, redis+sentinel://host:26379,host2/name, or several of the first two for a cluster";
const NO_CREDENTIALS: Credentials = { username: undefined, password: undefined, passwordFile: undefined };
const TLS_NAMES = ["ca", "cert", "key", "servername"];
const SENTINEL_NAMES = ["sentinelUsername", "sentinelPassword", "sentinelPasswordFile"];

function refuse(why: string): SessionError {
  return new SessionError("ERR_BAD_OPTION", `The option redis ${why}. It is a URL: ${EXAMPLES}.`);
}

/**
 * Takes a URL apart, or several with commas between them.
 *
 * The query may name `ca`, `cert`, `key` (PEM files) and `servername` for TLS, `passwordFile`, `db` for a Unix socket, and for Sentinels
 * `sentinelUsername`, `sentinelPassword`, `sentinelPasswordFile`.
 *
 * @throws SessionError ERR_BAD_OPTION, which shows nothing of a user or a password.
 */
export function parseRedisUrl(text: string): RedisTarget {
  const [first, ...others] = text
    .trim()
    .split(/[,\s]\s*(?=\w[\w+]*:\/\/)/)
    .map(parseOne);
  if (first === undefined || others.length === 0) return first ?? parseOne(text);
  const nodes = [first, ...others];
  if (nodes.some(({ kind, addresses: [address] }) => kind !== "server" || address === undefined || "path" in address)) {
    throw refuse("names several servers, so they are nodes of a cluster, and each must be redis:// or rediss://");
  }
  if (nodes.some(({ database }) => database !== 0)) throw refuse("names a database, and a cluster has only 0");
  const aside = ({ addresses: _, ...rest }: RedisTarget): string => JSON.stringify(rest);
  if (others.some((node) => aside(node) !== aside(first))) {
    throw refuse(
      "names nodes of a cluster with different users, passwords, files or schemes; all of them have the same",
    );
  }
  return { ...first, kind: "cluster", addresses: nodes.flatMap(({ addresses }) => addresses) };
}

function parseOne(text: string): RedisTarget {
  const [, scheme = "", rest = ""] = /^([a-z+]+):\/\/(.*)$/is.exec(text.trim()) ?? [];
  const [beforeQuery = "", ...queries] = rest.split("?");
  const at = beforeQuery.lastIndexOf("@");
  const [, authority = "", path = ""] = /^([^/]*)(.*)$/s.exec(beforeQuery.slice(at + 1)) ?? [];
  const parts: Parts = {
    authority,
    path: decode(path),
    query: new Map(new URLSearchParams(queries.join("?"))),
    credentials: at < 0 ? NO_CREDENTIALS : credentialsIn(beforeQuery.slice(0, at)),
  };
  switch (scheme.toLowerCase()) {
    case "redis":
    case "rediss":
      return serverOf(parts, scheme.toLowerCase() === "rediss");
    case "redis+sentinel":
    case "rediss+sentinel":
      return behindSentinels(parts, scheme.toLowerCase() === "rediss+sentinel");
    case "unix":
      return onSocket(parts);
    default:
      throw refuse("begins with no scheme that is known");
  }
}

interface Parts {
  readonly authority: string;
  readonly path: string;
  readonly query: ReadonlyMap<string, string>;
  readonly credentials: Credentials;
}

function serverOf(parts: Parts, isTls: boolean): RedisTarget {
  checkQuery(parts, ["passwordFile", ...(isTls ? TLS_NAMES : [])]);
  return {
    kind: "server",
    addresses: [addressIn(parts.authority, 6379)],
    service: "",
    database: databaseIn(parts.path.replace(/^\//, "")),
    credentials: withFile(parts.credentials, parts.query.get("passwordFile")),
    sentinelCredentials: NO_CREDENTIALS,
    tls: isTls ? tlsIn(parts.query) : undefined,
  };
}

function behindSentinels(parts: Parts, isTls: boolean): RedisTarget {
  checkQuery(parts, ["passwordFile", ...SENTINEL_NAMES, ...(isTls ? TLS_NAMES : [])]);
  const [, service = "", database = "", ...more] = parts.path.split("/");
  if (service === "" || more.length > 0) {
    throw refuse(
      "names Sentinels, and needs the name of what they watch, and perhaps a database, behind them: /name/0",
    );
  }
  const { query } = parts;
  const sentinels = {
    ...NO_CREDENTIALS,
    username: query.get("sentinelUsername"),
    password: query.get("sentinelPassword"),
  };
  return {
    kind: "sentinel",
    addresses: parts.authority.split(",").map((one) => addressIn(one, 26379)),
    service,
    database: databaseIn(database),
    credentials: withFile(parts.credentials, query.get("passwordFile")),
    sentinelCredentials: withFile(sentinels, query.get("sentinelPasswordFile")),
    tls: isTls ? tlsIn(query) : undefined,
  };
}

function onSocket(parts: Parts): RedisTarget {
  checkQuery(parts, ["passwordFile", "db"]);
  if (parts.authority !== "" || parts.path.length < 2) {
    throw refuse("names a Unix socket, whose path must be absolute, with three slashes: unix:///path");
  }
  return {
    kind: "server",
    addresses: [{ path: parts.path }],
    service: "",
    database: databaseIn(parts.query.get("db") ?? ""),
    credentials: withFile(parts.credentials, parts.query.get("passwordFile")),
    sentinelCredentials: NO_CREDENTIALS,
    tls: undefined,
  };
}

function checkQuery({ query }: Parts, known: readonly string[]): void {
  // The name itself may be the end of a password with a question mark in it.
  if ([...query.keys()].some((name) => !known.includes(name))) {
    throw refuse(`has something in its query that this kind of URL does not know; it knows ${known.join(", ")}`);
  }
  const empty = [...query].find(([, value]) => value === "");
  if (empty !== undefined) throw refuse(`has an empty ${empty[0]} in its query`);
}

function tlsIn(query: ReadonlyMap<string, string>): RedisTls {
  const tls = {
    ca: query.get("ca"),
    cert: query.get("cert"),
    key: query.get("key"),
    servername: query.get("servername"),
  };
  if ((tls.cert === undefined) === (tls.key === undefined)) return tls;
  throw refuse(
    "names a client certificate without its key, or a key without its certificate: cert and key belong together",
  );
}

function credentialsIn(text: string): Credentials {
  const colon = text.indexOf(":");
  const [username, password] = colon < 0 ? [text, ""] : [text.slice(0, colon), text.slice(colon + 1)];
  return { username: decode(username) || undefined, password: decode(password) || undefined, passwordFile: undefined };
}

function withFile(credentials: Credentials, passwordFile: string | undefined): Credentials {
  if (credentials.password !== undefined && passwordFile !== undefined) {
    throw refuse("has a password and names a file with one; only one of them can be meant");
  }
  if (credentials.username !== undefined && (credentials.password ?? passwordFile) === undefined) {
    throw refuse("has a user and no password: user:password@host, or passwordFile");
  }
  return { ...credentials, passwordFile };
}

function addressIn(text: string, defaultPort: number): RedisAddress {
  const [, bracketed, name, portText] = /^(?:\[([0-9a-f:.%]+)\]|([\w.-]+))(?::(\d{1,5}))?$/i.exec(text) ?? [];
  const host = bracketed ?? name;
  const port = portText === undefined ? defaultPort : Number(portText);
  if (host !== undefined && port > 0 && port < 65536) return { host, port };
  throw refuse(
    "has no host and port that can be read; in a user or a password the signs : / ? # [ ] @ , and % are written as %3A %2F %3F %23 %5B %5D %40 %2C %25",
  );
}

function databaseIn(text: string): number {
  if (/^\d{0,6}$/.test(text)) return Number(text);
  throw refuse("names a database that is not a number");
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw refuse("has a % that two hexadecimal digits do not follow; the sign itself is %25");
  }
}

/** For people, and as a URL of the same place: where it is, without user, password and files. */
export function describeRedis({ kind, addresses, service, database, tls }: RedisTarget): string {
  const [first] = addresses;
  if (first !== undefined && "path" in first) {
    const path = first.path.replace(/[%?]/g, encodeURIComponent);
    return `unix://${path}${database === 0 ? "" : `?db=${database}`}`;
  }
  const hosts = addresses.map(describeAddress);
  const scheme = tls === undefined ? "redis" : "rediss";
  if (kind === "cluster") return hosts.map((host) => `${scheme}://${host}`).join(",");
  const tail = database === 0 ? "" : `/${database}`;
  if (kind === "sentinel") return `${scheme}+sentinel://${hosts.join(",")}/${service}${tail}`;
  return `${scheme}://${hosts.join(",")}${tail}`;
}

export function describeAddress(address: RedisAddress): string {
  if ("path" in address) return address.path;
  return `${address.host.includes(":") ? `[${address.host}]` : address.host}:${address.port}`;
}

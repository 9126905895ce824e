// Where to connect and as whom, of the option: reads the files that it names, again for each connection, so that what is in them may change.

import { readFile } from "node:fs/promises";
import { SessionError } from "../../../protocol/errors.ts";
import type { RedisAddress, RedisTarget, RedisTls } from "../../../protocol/redis-url.ts";

/** PEM, as far as files are named. */
interface TlsFiles {
  readonly ca: Buffer | undefined;
  readonly cert: Buffer | undefined;
  readonly key: Buffer | undefined;
  readonly servername: string | undefined;
}

export interface Endpoint {
  readonly address: RedisAddress;
  /** Undefined: no TLS. */
  readonly tls: TlsFiles | undefined;
  readonly username: string | undefined;
  readonly password: string | undefined;
  readonly database: number;
}

/** @throws SessionError ERR_BAD_OPTION for a file that cannot be read. */
export async function serverAt(address: RedisAddress, target: RedisTarget): Promise<Endpoint> {
  return endpoint(address, target, target.credentials, target.database);
}

/** @throws SessionError ERR_BAD_OPTION for a file that cannot be read. */
export async function sentinelAt(address: RedisAddress, target: RedisTarget): Promise<Endpoint> {
  return endpoint(address, target, target.sentinelCredentials, 0);
}

async function endpoint(
  address: RedisAddress,
  { tls }: RedisTarget,
  { username, password, passwordFile }: RedisTarget["credentials"],
  database: number,
): Promise<Endpoint> {
  return {
    address,
    tls: tls && (await filesOf(tls)),
    username,
    password: passwordFile === undefined ? password : String(await contentsOf(passwordFile)).replace(/\r?\n$/, ""),
    database,
  };
}

async function filesOf({ ca, cert, key, servername }: RedisTls): Promise<TlsFiles> {
  const [caBytes, certBytes, keyBytes] = await Promise.all([ca, cert, key].map((path) => path && contentsOf(path)));
  return { ca: caBytes || undefined, cert: certBytes || undefined, key: keyBytes || undefined, servername };
}

async function contentsOf(path: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (error) {
    const what = `The option redis names the file ${path}, which cannot be read: ${(error as Error).message}.`;
    throw new SessionError("ERR_BAD_OPTION", what, { cause: error });
  }
}

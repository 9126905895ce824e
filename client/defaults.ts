// What a process has one of: the defaults of its new sessions, the client that Session.Run uses, and those that handlers share.

import type { SessionType, TypeName } from "../protocol/types.ts";
import { Client, chooseType, typeIsDecided, typeOfProcess } from "./link/client.ts";
import { type ConnectOptions, connectOptionsOf, DEFAULTS, resolvePlaces } from "./options.ts";
import { onePerProcess } from "./process-wide.ts";

export interface ProcessDefaults {
  prefix: string | undefined;
  timeoutSeconds: number;
  cookiePath: string | undefined;
  isUnique: boolean | undefined;
}

/** What a new session gets where neither its request nor the options say otherwise. */
export const processDefaults: ProcessDefaults = onePerProcess("defaults", () => ({
  prefix: undefined,
  timeoutSeconds: DEFAULTS.timeout,
  cookiePath: undefined,
  isUnique: undefined,
}));

const shared = onePerProcess<{ client: Client | undefined }>("client", () => ({ client: undefined }));

/** The client of `Session.Run`: that of the middleware or of the first `connect()`, or one with all defaults. */
export function clientOfProcess(): Client {
  if (shared.client === undefined || shared.client.isClosed) shared.client = new Client({});
  return shared.client;
}

/** The type of `Session` outside of every request. */
export function defaultType(): TypeName {
  return shared.client === undefined || shared.client.isClosed ? typeOfProcess() : shared.client.type;
}

/** @throws SessionError ERR_BAD_OPTION once sessions of another one are in use, or the options of the process' client name another one. */
export function setDefaultType(type: SessionType): void {
  const { client } = shared;
  const hasOwn = client !== undefined && !client.isClosed && client.hasOwnType;
  if (hasOwn && client.type !== type) throw typeIsDecided(type, client.type);
  if (!hasOwn) chooseType(type);
}

export function offerAsDefault(client: Client): void {
  if (shared.client === undefined || shared.client.isClosed) shared.client = client;
}

const clients = onePerProcess("clients", () => new Map<string, Client>());

/** One client for all that want the same. Handlers are many, each in a file of its own, and frameworks load such a file once more for every change. */
export function sharedClient(options: ConnectOptions): Client {
  const wanted = JSON.stringify([resolvePlaces(options), connectOptionsOf(options)]);
  const known = clients.get(wanted);
  if (known !== undefined && !known.isClosed) return known;
  const client = new Client(options);
  clients.set(wanted, client);
  return client;
}

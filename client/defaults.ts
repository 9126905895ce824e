// What a process has one of: the defaults of its new sessions, and the client that Session.Run uses.

import { Client } from "./link/client.ts";
import { DEFAULTS } from "./options.ts";

/** What a new session gets where neither its request nor the options say otherwise. */
export const processDefaults: ProcessDefaults = {
  prefix: undefined,
  timeoutSeconds: DEFAULTS.timeout,
  cookiePath: undefined,
  isUnique: undefined,
};

export interface ProcessDefaults {
  prefix: string | undefined;
  timeoutSeconds: number;
  cookiePath: string | undefined;
  isUnique: boolean | undefined;
}

let defaultClient: Client | undefined;

/** The client of `Session.Run`: that of the middleware or of the first `connect()`, or one with all defaults. */
export function clientOfProcess(): Client {
  if (defaultClient === undefined || defaultClient.isClosed) defaultClient = new Client({});
  return defaultClient;
}

export function offerAsDefault(client: Client): void {
  if (defaultClient === undefined || defaultClient.isClosed) defaultClient = client;
}

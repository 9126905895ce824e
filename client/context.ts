// Which session belongs to the code that runs now: one AsyncLocalStorage for the whole process.

import { AsyncLocalStorage } from "node:async_hooks";
import { SessionError } from "../protocol/errors.ts";
import { Client } from "./client.ts";
import type { Handle } from "./handle.ts";
import { type ConnectOptions, DEFAULTS } from "./options.ts";

export interface Context {
  readonly handle: Handle;
  /** The handle a transaction that runs now was begun on; its own is `handle`. */
  readonly transactionOf?: Handle;
}

const storage = new AsyncLocalStorage<Context>();

export function runInContext<T>(context: Context, fn: () => T): T {
  return storage.run(context, fn);
}

export function currentContext(): Context | undefined {
  return storage.getStore();
}

/** @throws SessionError ERR_NO_SESSION_CONTEXT. */
export function requireContext(): Context {
  const context = storage.getStore();
  if (context === undefined) throw new SessionError("ERR_NO_SESSION_CONTEXT");
  return context;
}

/** What new sessions of this process get when nothing nearer says otherwise. */
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
export function clientOfProcess(options: ConnectOptions = {}): Client {
  if (defaultClient === undefined || defaultClient.isClosed) defaultClient = new Client(options);
  return defaultClient;
}

export function offerAsDefault(client: Client): void {
  if (defaultClient === undefined || defaultClient.isClosed) defaultClient = client;
}

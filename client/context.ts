// Which session belongs to the code that runs now: one AsyncLocalStorage for the whole process.

import { AsyncLocalStorage } from "node:async_hooks";
import type { EventEmitter } from "node:events";
import { SessionError } from "../protocol/errors.ts";
import { Client } from "./client.ts";
import type { Handle } from "./handle.ts";
import { type ConnectOptions, DEFAULTS } from "./options.ts";

export interface Context {
  readonly handle: Handle;
  /** Set while `handle` is that of a transaction. Work that outlives the transaction still has the context. */
  readonly transaction?: { isRunning: boolean };
  /** The context this one was begun in. */
  readonly outer?: Context | undefined;
}

/** The context of a request that session() has seen. */
export interface RequestContext extends Context {
  readonly client: Client;
  /** As it is by now; that of the cookie where the session could not be read. */
  readonly sessionId: string | null;
  /** Its response waits for what is changed. False once it has ended, and where there is none. */
  readonly isAnswering: boolean;
}

const storage = new AsyncLocalStorage<Context>();

export function runInContext<T>(context: Context, fn: () => T): T {
  return storage.run(context, fn);
}

const BOUND = Symbol("the context of its listeners");

interface Bound extends EventEmitter {
  [BOUND]?: RequestContext;
}

/**
 * Listeners of a request or response run where the server emits; this brings them into the context of the request. Of several middlewares
 * the last one counts: it is the one whose session the handler has.
 */
export function bindEvents(emitter: Bound, context: RequestContext): void {
  const isFirst = emitter[BOUND] === undefined;
  emitter[BOUND] = context;
  if (!isFirst) return;
  const { emit } = emitter;
  emitter.emit = (...args: unknown[]): boolean =>
    storage.run(emitter[BOUND] ?? context, Reflect.apply, emit, emitter, args);
}

/** Undefined for what is no request, and for one that no session() has seen. */
export function contextOf(request: unknown): RequestContext | undefined {
  if (typeof request !== "object" || request === null || !("headers" in request)) return undefined;
  return (request as Partial<Bound>)[BOUND];
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

/** The running transaction on this session that the present code is part of, if any. Where there is none the id is not asked for. */
export function contextOfTransaction(session: { readonly sessionId: string | null }): Context | undefined {
  for (let context = storage.getStore(); context !== undefined; context = context.outer) {
    const isRunning = context.transaction?.isRunning === true && context.handle.id !== null;
    if (isRunning && context.handle.id === session.sessionId) return context;
  }
  return undefined;
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

// Which session belongs to the code that runs now, and what a process has one of: the default client and the defaults of new sessions.

import type { EventEmitter } from "node:events";
import { SessionError } from "../../protocol/errors.ts";
import type { Handle } from "../handle/handle.ts";
import { Client } from "../link/client.ts";
import { type ConnectOptions, DEFAULTS } from "../options.ts";
import { runInScope, type Context as Scoped, currentContext as scopedContext } from "../scope.ts";

export { carryOn, isPassing, runInContext } from "../scope.ts";

/** The session that the code inside belongs to. */
export interface Context extends Scoped {
  readonly handle: Handle;
  readonly outer?: Context | undefined;
}

export function currentContext(): Context | undefined {
  // All contexts are begun by the static Session and by session(), with handles of this class.
  return scopedContext() as Context | undefined;
}

/** The context of a request that session() has seen. */
export interface RequestContext extends Context {
  readonly client: Client;
  /** As it is by now; that of the cookie where the session could not be read. */
  readonly sessionId: string | null;
  /** Its response waits for what is changed. False once it has ended, and where there is none. */
  readonly isAnswering: boolean;
}

const BOUND = Symbol("the context of its listeners");

interface Bound extends EventEmitter {
  [BOUND]?: RequestContext & Partial<Ending>;
}

/** Is told of the end of what it is bound to, when the listeners have run. */
export interface Ending {
  noteEvent(name: "finish" | "close", emitter: EventEmitter): void;
}

/**
 * Listeners of a request or response run where the server emits; this brings them into the context of the request. Of several middlewares
 * the last one counts: it is the one whose session the handler has.
 */
export function bindEvents(emitter: Bound, context: RequestContext & Partial<Ending>): void {
  const isFirst = emitter[BOUND] === undefined;
  emitter[BOUND] = context;
  if (!isFirst) return;
  const { emit } = emitter;
  emitter.emit = (...args: unknown[]): boolean => {
    const bound = emitter[BOUND] ?? context;
    const hadListeners = runInScope(bound, Reflect.apply, emit, emitter, args);
    const [name] = args;
    if (name === "finish" || name === "close") bound.noteEvent?.(name, emitter);
    return hadListeners;
  };
}

/** In which context the listeners of this one run. */
export function boundTo(emitter: Bound): RequestContext | undefined {
  return emitter[BOUND];
}

/** Undefined for what is no request, and for one that no session() has seen. */
export function contextOf(request: unknown): RequestContext | undefined {
  if (typeof request !== "object" || request === null || !("headers" in request)) return undefined;
  return (request as Partial<Bound>)[BOUND];
}

/** @throws SessionError ERR_NO_SESSION_CONTEXT. */
export function requireContext(): Context {
  const context = currentContext();
  if (context === undefined) throw new SessionError("ERR_NO_SESSION_CONTEXT");
  return context;
}

/** The running transaction on this session that the present code is part of, if any. Where there is none the id is not asked for. */
export function contextOfTransaction(session: { readonly sessionId: string | null }): Context | undefined {
  for (let context = currentContext(); context !== undefined; context = context.outer) {
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

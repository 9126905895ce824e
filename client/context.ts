// The session that the code which runs now belongs to, and the exchange that a request or response belongs to.

import type { EventEmitter } from "node:events";
import { SessionError } from "../protocol/errors.ts";
import type { Handle } from "./handle/handle.ts";
import type { Client } from "./link/client.ts";
import { missingLine } from "./missing-line.ts";
import { runInScope, type Context as Scoped, currentContext as scopedContext } from "./scope.ts";

export { carryOn, isPassing, runInContext } from "./scope.ts";

/** The session that the code inside belongs to. */
export interface Context extends Scoped {
  readonly handle: Handle;
  readonly outer?: Context | undefined;
}

export function currentContext(): Context | undefined {
  // All contexts are begun by the static Session and by session(), with handles of this class.
  return scopedContext() as Context | undefined;
}

/** The context of a request. */
export interface RequestContext extends Context {
  readonly client: Client;
  /** As it is by now; where the session could not be read, the id of the cookie. */
  readonly sessionId: string | null;
  /** The response waits for changes that are made now. False once it has ended, and where there is none. */
  readonly isAnswering: boolean;
}

/** The server's side of an exchange. */
export interface Carrier {
  readonly exchange: RequestContext;
  /** Is told of the end of a request or response that is bound to it, when the application's listeners have run. */
  noteEvent(name: "finish" | "close", emitter: EventEmitter): void;
}

/** The same in every copy of the package: a request has one carrier. */
const CARRIER: unique symbol = Symbol.for("gambas-session.carrier");

interface Bound extends EventEmitter {
  [CARRIER]?: Carrier;
}

/**
 * The server calls the listeners of a request or response outside every context; this brings them into the context of the request. Of several
 * middlewares the last one counts: its session is the one that the handler has.
 */
export function bindEvents(emitter: Bound, carrier: Carrier): void {
  const isFirst = emitter[CARRIER] === undefined;
  emitter[CARRIER] = carrier;
  if (!isFirst) return;
  const { emit } = emitter;
  emitter.emit = (...args: unknown[]): boolean => {
    const bound = emitter[CARRIER] ?? carrier;
    const hadListeners = runInScope(bound.exchange, Reflect.apply, emit, emitter, args);
    const [name] = args;
    if (name === "finish" || name === "close") bound.noteEvent(name, emitter);
    return hadListeners;
  };
}

/** The carrier that the listeners of a request or response run for. */
export function carrierOf(emitter: Bound): Carrier | undefined {
  return emitter[CARRIER];
}

/** Undefined for an object that is no request, and for a request that no session() has seen. */
export function contextOf(request: unknown): RequestContext | undefined {
  if (typeof request !== "object" || request === null || !("headers" in request)) return undefined;
  return (request as Partial<Bound>)[CARRIER]?.exchange;
}

/** @throws SessionError ERR_NO_SESSION_CONTEXT. */
export function requireContext(): Context {
  const context = currentContext();
  if (context === undefined) throw new SessionError("ERR_NO_SESSION_CONTEXT", missingLine(new Error().stack));
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

// What the code that runs now belongs to: a session's context, and the leases that are held until it is done. One AsyncLocalStorage for both.

import { AsyncLocalStorage } from "node:async_hooks";
import { SessionError } from "../protocol/errors.ts";
import type { Grant } from "./client.ts";
import type { Handle } from "./handle.ts";

export interface Context {
  readonly handle: Handle;
  /** Set while `handle` is that of a transaction. Work that outlives the transaction still has the context. */
  readonly transaction?: { isRunning: boolean };
  /** The context this one was begun in. */
  readonly outer?: Context | undefined;
  readonly held?: Held | undefined;
}

/** A transaction that goes on only when the code inside of it is done. */
export interface Held {
  readonly grant: Grant;
  /** Whose transaction it is. */
  readonly handle: Handle;
  readonly outer: Held | undefined;
}

/** Inside a transaction of a client, and outside every context. */
interface Outside {
  readonly handle?: undefined;
  readonly held: Held;
}

export type Scope = Context | Outside;

const storage = new AsyncLocalStorage<Scope>();

/** With arguments, so that nobody needs a function of his own for each call. */
export function runInScope<A extends unknown[], T>(scope: Scope, fn: (...args: A) => T, ...args: A): T {
  return storage.run(scope, fn, ...args);
}

export function currentScope(): Scope | undefined {
  return storage.getStore();
}

export function currentContext(): Context | undefined {
  const scope = storage.getStore();
  return scope?.handle === undefined ? undefined : scope;
}

/** What is held stays held in the context, unless the context says otherwise. */
export function runInContext<T>(context: Context, fn: () => T): T {
  const held = context.held ?? storage.getStore()?.held;
  return storage.run(held === context.held ? context : { ...context, held }, fn);
}

/** In the scope somebody had, with one more lease held. */
export function runHolding<T>(held: Held, scope: Scope | undefined, fn: () => T): T {
  if (scope?.handle === undefined) return storage.run({ held }, fn);
  const { handle, transaction, outer } = scope;
  return storage.run({ handle, ...(transaction === undefined ? {} : { transaction }), outer, held }, fn);
}

/** The transactions in force that wait for the code that runs now. */
export function transactionsAround(): readonly Held[] {
  let held = storage.getStore()?.held;
  if (held === undefined) return NONE;
  const all: Held[] = [];
  for (; held !== undefined; held = held.outer) if (!held.grant.isOver) all.push(held);
  return all;
}

const NONE: readonly Held[] = [];

/** The error of a call that would wait for the transaction it is made in, by the handle that was begun with. */
export function waitForItself(handle: Handle, id: string | null): SessionError | undefined {
  if (!transactionsAround().some((held) => held.handle === handle)) return undefined;
  const what = `A transaction on session ${id} waits for its own end, by a call of the handle it was begun with; the handle its function is given is the one to use.`;
  return new SessionError("ERR_DEADLOCK", what);
}

// What the code that runs now belongs to: a session's context, and the leases that are held until it is done. One AsyncLocalStorage for both.
//
// Once it is used, every promise of the process costs more. A process with no context at all, whose transactions are synchronous, does not
// begin with it: a variable does for the time in which such a function runs, and what of ours it begins carries on in the storage. (Of the
// first function that gives a promise and is no `async` one, what it does later is not known to be part of its transaction.)

import { AsyncLocalStorage } from "node:async_hooks";
import { SessionError } from "../../protocol/errors.ts";
import type { Grant } from "../link/client.ts";
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
/** Where `storage` was not asked to be: for as long as one function runs. */
let synchronous: Scope | undefined;
/** A function of a transaction was seen to go on after it had returned: the next may, too. */
let mayGoOn = false;

/** With arguments, so that nobody needs a function of his own for each call. */
export function runInScope<A extends unknown[], T>(scope: Scope, fn: (...args: A) => T, ...args: A): T {
  if (synchronous === undefined) return storage.run(scope, fn, ...args);
  return runWith(undefined, () => storage.run(scope, fn, ...args));
}

function runWith<T>(scope: Scope | undefined, fn: () => T): T {
  const before = synchronous;
  synchronous = scope;
  try {
    return fn();
  } finally {
    synchronous = before;
  }
}

/** Whether what is begun now must be carried on. */
export function isPassing(): boolean {
  return synchronous !== undefined;
}

/** Runs `fn`, and whatever follows from it, in the scope of now. */
export function carryOn<T>(fn: () => T): T {
  return synchronous === undefined ? fn() : runInScope(synchronous, fn);
}

export function currentScope(): Scope | undefined {
  return synchronous ?? storage.getStore();
}

export function currentContext(): Context | undefined {
  const scope = currentScope();
  return scope?.handle === undefined ? undefined : scope;
}

/** What is held stays held in the context, unless the context says otherwise. */
export function runInContext<T>(context: Context, fn: () => T): T {
  const held = context.held ?? currentScope()?.held;
  return runInScope(held === context.held ? context : { ...context, held }, fn);
}

/** Calls the function of a transaction in the scope of who asked for it, with one more lease held. */
export function runHolding<T>(held: Held, scope: Scope | undefined, fn: (handle: Handle) => T, handle: Handle): T {
  if (scope?.handle !== undefined) {
    const { transaction, outer } = scope;
    const inner = { handle: scope.handle, ...(transaction === undefined ? {} : { transaction }), outer, held };
    return runInScope(inner, fn, handle);
  }
  // Who drives the transactions of a session may do so in the context of another one that waited for it.
  const isPlain = !mayGoOn && fn.constructor === Function && storage.getStore() === undefined;
  if (!isPlain) return runInScope({ held }, fn, handle);
  const value = runWith({ held }, () => fn(handle));
  mayGoOn = typeof value === "object" && value !== null && "then" in value;
  return value;
}

/** The transactions in force that wait for the code that runs now. */
export function transactionsAround(): readonly Held[] {
  let held = currentScope()?.held;
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

// What the code that runs now belongs to: a session's context, and the leases that are held until that code is done. Knows handles and leases
// only as far as it passes them on. One AsyncLocalStorage for both.
//
// A process that has once used the storage pays for it with every promise. A process with no context at all, whose transactions are
// synchronous, never uses it: a variable says where the code belongs as long as such a function runs, and calls of ours that the function
// begins carry the scope on into the storage. The first function that returns a promise without being `async` is the exception: what it
// does after it has returned is not known to be part of its transaction.

import { AsyncLocalStorage } from "node:async_hooks";
import { SessionError } from "../protocol/errors.ts";
import { onePerProcess } from "./process-wide.ts";

export interface Context {
  /** Whose session it is. */
  readonly handle: object;
  /** Set while `handle` is that of a transaction. Work that outlives the transaction still has the context. */
  readonly transaction?: { isRunning: boolean };
  /** The context this one was begun in. */
  readonly outer?: Context | undefined;
  readonly held?: Held | undefined;
}

/** A lease, as its transaction was granted it. */
export interface HeldLease {
  readonly fence: number;
  /** The number of the connection that granted it. */
  readonly life: number;
  readonly isOver: boolean;
}

/** A transaction that goes on only when the code inside of it is done. */
export interface Held {
  readonly grant: HeldLease;
  /** The handle that the transaction was begun with. */
  readonly handle: object;
  readonly outer: Held | undefined;
  /** Resolves when what the transaction began on is known to be stored; undefined: it is known. @throws SessionError ERR_CONFLICT: it is not, and the transaction runs again. */
  readonly confirm: () => Promise<void> | undefined;
}

/** Inside a transaction of a client, and outside every context. */
interface Outside {
  readonly handle?: undefined;
  readonly held: Held;
}

export type Scope = Context | Outside;

interface Now {
  readonly storage: AsyncLocalStorage<Scope | undefined>;
  /** The scope of a synchronous function that runs now without the storage. */
  synchronous: Scope | undefined;
  /** A function of a transaction was seen to go on after it had returned: the next may, too. */
  mayGoOn: boolean;
}

const now = onePerProcess<Now>("scope", () => ({
  storage: new AsyncLocalStorage<Scope | undefined>(),
  synchronous: undefined,
  mayGoOn: false,
}));
const { storage } = now;

/** Takes arguments, so that no caller makes a closure for each call. */
export function runInScope<A extends unknown[], T>(scope: Scope, fn: (...args: A) => T, ...args: A): T {
  if (now.synchronous === undefined) return storage.run(scope, fn, ...args);
  return runWith(undefined, () => storage.run(scope, fn, ...args));
}

function runWith<T>(scope: Scope | undefined, fn: () => T): T {
  const before = now.synchronous;
  now.synchronous = scope;
  try {
    return fn();
  } finally {
    now.synchronous = before;
  }
}

/**
 * Runs `fn` in no scope: for what outlives the code that happens to begin it, as a connection, or a timer that many requests share. It would keep the
 * request of that code in memory, with all that hangs on it, and whatever it calls would find the session of that request.
 */
export function runOutside<T>(fn: () => T): T {
  return storage.getStore() === undefined ? fn() : storage.run(undefined, fn);
}

/** Whether the scope of now ends with the function that runs: calls that outlive the function need `carryOn`. */
export function isPassing(): boolean {
  return now.synchronous !== undefined;
}

/** Runs `fn`, and whatever follows from it, in the scope of now. */
export function carryOn<T>(fn: () => T): T {
  return now.synchronous === undefined ? fn() : runInScope(now.synchronous, fn);
}

export function currentScope(): Scope | undefined {
  return now.synchronous ?? storage.getStore();
}

export function currentContext(): Context | undefined {
  const scope = currentScope();
  return scope?.handle === undefined ? undefined : scope;
}

/** Leases that are held now stay held in the context, unless the context names its own. */
export function runInContext<T>(context: Context, fn: () => T): T {
  const held = context.held ?? currentScope()?.held;
  return runInScope(held === context.held ? context : { ...context, held }, fn);
}

/** Calls the function of a transaction with its handle, in the scope in which the transaction was asked for, with one more lease held. */
export function runHolding<H, T>(held: Held, scope: Scope | undefined, fn: (handle: H) => T, handle: H): T {
  if (scope?.handle !== undefined) {
    const { transaction, outer } = scope;
    const inner = { handle: scope.handle, ...(transaction === undefined ? {} : { transaction }), outer, held };
    return runInScope(inner, fn, handle);
  }
  // Who drives the transactions of a session may do so in the context of another one that waited for it.
  const isPlain = !now.mayGoOn && fn.constructor === Function && storage.getStore() === undefined;
  if (!isPlain) return runInScope({ held }, fn, handle);
  const value = runWith({ held }, () => fn(handle));
  now.mayGoOn = typeof value === "object" && value !== null && "then" in value;
  return value;
}

const NONE: readonly Held[] = [];

/** The transactions in force that wait for the code that runs now. */
export function transactionsAround(): readonly Held[] {
  let held = currentScope()?.held;
  if (held === undefined) return NONE;
  const all: Held[] = [];
  for (; held !== undefined; held = held.outer) if (!held.grant.isOver) all.push(held);
  return all;
}

/**
 * To be waited for before anything is stored that is no part of the transactions around: it may follow from what they saw, and where that was never there they
 * run again. Undefined where nothing has to be waited for.
 *
 * @throws as `Held.confirm`.
 */
export function confirmAround(): Promise<unknown> | undefined {
  let all: Promise<unknown> | undefined;
  for (let held = currentScope()?.held; held !== undefined; held = held.outer) {
    const confirmed = held.confirm();
    if (confirmed !== undefined) all = all === undefined ? confirmed : Promise.all([all, confirmed]);
  }
  return all;
}

/** The error of a call that would wait for the transaction it is made in; `handle` is the one that the transaction was begun with. */
export function waitForItself(handle: object, id: string | null): SessionError | undefined {
  if (!transactionsAround().some((held) => held.handle === handle)) return undefined;
  const what = `A transaction on session ${id} waits for its own end, by a call of the handle it was begun with; the handle its function is given is the one to use.`;
  return new SessionError("ERR_DEADLOCK", what);
}

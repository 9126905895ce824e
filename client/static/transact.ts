// Session.Transaction, and calls that are part of a transaction which runs already.

import { SessionError } from "../../protocol/errors.ts";
import type { TransactionOptions } from "../api.ts";
import { type Context, contextOfTransaction, requireContext, runInContext } from "../context.ts";
import { leaseMsOf } from "../options.ts";

export async function transact<T>(fn: () => T | Promise<T>, options: TransactionOptions | undefined): Promise<T> {
  const context = requireContext();
  leaseMsOf(fn, options);
  // Already alone on this session: the outer transaction commits, unless this part of it fails.
  if (context.transaction?.isRunning === true) return partOf(context, fn);
  return context.handle.transaction((inner) => runTransaction({ handle: inner, outer: context }, fn), options);
}

async function runTransaction<T>(context: Context, fn: () => T | Promise<T>): Promise<T> {
  const transaction = { isRunning: true };
  try {
    return await runInContext({ ...context, transaction }, fn);
  } finally {
    transaction.isRunning = false;
  }
}

/** Runs `fn` as a part of the transaction, which commits the changes of `fn` with its own: so `fn` must end before the transaction does. */
async function partOf<T>({ handle, transaction }: Context, fn: () => T | Promise<T>): Promise<T> {
  const { id } = handle;
  const result = await handle.attempt(async () => fn());
  if (transaction?.isRunning === true) return result;
  const what = `The transaction on session ${id} was over before this part of it, which was not written.`;
  throw new SessionError("ERR_LEASE_LOST", what);
}

/** Runs `fn` as a part if this code is inside a transaction on the session: with a turn of its own it would wait for itself. */
export function runAsPart<T>(
  session: { readonly sessionId: string | null },
  fn: () => T | Promise<T>,
): Promise<T> | undefined {
  const joined = contextOfTransaction(session);
  return joined && runInContext(joined, () => partOf(joined, fn));
}

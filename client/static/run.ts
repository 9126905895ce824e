// Session.Run: a session's context for code that no response waits for.

import { SessionError } from "../../protocol/errors.ts";
import { carryOn, contextOf, currentContext, isPassing, type RequestContext, runInContext } from "../context.ts";
import { clientOfProcess, processDefaults } from "../defaults.ts";
import type { Birthplace, Handle } from "../handle/handle.ts";
import { addressPrefix, Site } from "../http/exchange.ts";
import type { Client } from "../link/client.ts";
import { type CookieBearer, checkRun, type RunOptions } from "./run-options.ts";
import { runAsPart } from "./transact.ts";

export async function run<T>(options: RunOptions, fn: () => T | Promise<T>): Promise<T> {
  checkRun(options, fn);
  if (isPassing()) return carryOn(() => run(options, fn));
  const request = contextOf(options?.request);
  if (request?.isAnswering === true) return runInRequest(request, fn);
  const part = runAsPart({ sessionId: options?.id ?? null }, fn);
  return part ?? runAlone(options ?? {}, request, fn);
}

/** The response waits for the changes of `fn`, whether `fn` fails or not, as if the context had never been lost. */
async function runInRequest<T>(request: RequestContext, fn: () => T | Promise<T>): Promise<T> {
  const part = runAsPart(request, fn);
  if (part !== undefined) return part;
  const { handle } = request;
  const result = await runInContext({ handle, outer: currentContext() }, async () => fn());
  await handle.settle();
  return result;
}

async function runAlone<T>(
  options: RunOptions,
  request: RequestContext | undefined,
  fn: () => T | Promise<T>,
): Promise<T> {
  const client = request?.client ?? clientOfProcess();
  await client.ready();
  if (options.request !== undefined && request === undefined) return runBeside(options.request, options, client, fn);
  const id = request === undefined ? (options.id ?? null) : request.sessionId;
  const opened = { id, ...(id === null ? {} : await client.find(id)) };
  const part = request && runAsPart({ sessionId: id }, fn);
  return part ?? runToEnd(client.handle(opened, optionsOfRun(options)), fn);
}

/** Runs `fn` on the session of a request that no session() has seen. */
async function runBeside<T>(
  { headers }: CookieBearer,
  { cookieName, remoteAddress }: RunOptions,
  client: Client,
  fn: () => T | Promise<T>,
): Promise<T> {
  const site = new Site(client, cookieName === undefined ? {} : { cookieName });
  const exchange = await site.begin({ cookie: headers.cookie, address: remoteAddress }, NO_RESPONSE);
  return runAsPart({ sessionId: exchange.foundId }, fn) ?? runToEnd(exchange.handle, fn);
}

/** Commits the changes of `fn`, or none of them if it fails. */
async function runToEnd<T>(handle: Handle, fn: () => T | Promise<T>): Promise<T> {
  try {
    const result = await runInContext({ handle, outer: currentContext() }, async () => fn());
    if (handle.wasUsed) await handle.settle();
    handle.end("Session.Run");
    await handle.touch();
    return result;
  } catch (error) {
    handle.endInVain("Session.Run");
    throw error;
  }
}

const NO_RESPONSE = {
  headers: "none",
  isAnswering: false,
  refusal:
    "A session cannot be created in Session.Run({ request }), because no response would bring its cookie to the browser.",
} as const;

function refuseToCreate(): never {
  throw new SessionError("ERR_HEADERS_SENT", NO_RESPONSE.refusal);
}

function optionsOfRun(options: RunOptions): Birthplace {
  const { prefix, timeoutSeconds, cookiePath, isUnique } = processDefaults;
  return {
    prefix: prefix ?? addressPrefix(options.remoteAddress),
    timeoutSeconds,
    ...(options.request === undefined ? {} : { mayCreate: refuseToCreate }),
    ...(cookiePath === undefined ? {} : { cookiePath }),
    ...(isUnique === undefined ? {} : { isUnique }),
  };
}

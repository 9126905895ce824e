// Session.Run: a session's context for code that no response waits for.

import { SessionError } from "../../protocol/errors.ts";
import { carryOn, contextOf, currentContext, isPassing, type RequestContext, runInContext } from "../context.ts";
import { clientOfProcess, processDefaults } from "../defaults.ts";
import { Handle } from "../handle/handle.ts";
import { addressPrefix } from "../http/sender.ts";
import { Visit } from "../http/visit.ts";
import type { Client } from "../link/client.ts";
import { DEFAULTS } from "../options.ts";
import { checkRun, type RunOptions } from "./run-options.ts";
import { runAsPart } from "./transact.ts";

export async function run<T>(options: RunOptions, fn: () => T | Promise<T>): Promise<T> {
  checkRun(options, fn);
  if (isPassing()) return carryOn(() => run(options, fn));
  const request = contextOf(options?.request);
  if (request?.isAnswering === true) return runInRequest(request, fn);
  const part = runAsPart({ sessionId: options?.id ?? null }, fn);
  return part ?? runAlone(options ?? {}, request, fn);
}

/** What was changed is part of what the response waits for, whether `fn` fails or not, as if the context had never been lost. */
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
  const opened = await openForRun(client, options, request);
  const part = options.request && runAsPart({ sessionId: opened.id }, fn);
  if (part !== undefined) return part;
  const inner = new Handle(client, opened, optionsOfRun(options));
  try {
    const result = await runInContext({ handle: inner, outer: currentContext() }, async () => fn());
    if (inner.wasUsed) await inner.settle();
    inner.end("Session.Run");
    await inner.touch();
    return result;
  } catch (error) {
    inner.endInVain("Session.Run");
    throw error;
  }
}

type Found = ConstructorParameters<typeof Handle>[1];

async function openForRun(client: Client, options: RunOptions, request: RequestContext | undefined): Promise<Found> {
  const { request: bearer, cookieName = DEFAULTS.cookieName } = options;
  if (bearer !== undefined && request === undefined) {
    const visit = new Visit(bearer.headers.cookie, cookieName);
    await visit.find(client);
    return visit;
  }
  const id = request === undefined ? (options.id ?? null) : request.sessionId;
  return { id, ...(id === null ? {} : await client.find(id)) };
}

/** A request without a response: nothing could bring the cookie of a new session to the browser. */
function refuseToCreate(): never {
  const what =
    "A session cannot be created in Session.Run({ request }), because no response would bring its cookie to the browser.";
  throw new SessionError("ERR_HEADERS_SENT", what);
}

function optionsOfRun(options: RunOptions): ConstructorParameters<typeof Handle>[2] {
  const { prefix, timeoutSeconds, cookiePath, isUnique } = processDefaults;
  return {
    prefix: prefix ?? addressPrefix(options.remoteAddress),
    timeoutSeconds,
    ...(options.request === undefined ? {} : { mayCreate: refuseToCreate }),
    ...(cookiePath === undefined ? {} : { cookiePath }),
    ...(isUnique === undefined ? {} : { isUnique }),
  };
}

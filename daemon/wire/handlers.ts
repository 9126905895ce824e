// One short function per operation; the compiler demands all of them. Checks what the shapes cannot, and hands the call to the backend.

import { randomBytes } from "node:crypto";
import { backendName, backendToTell } from "../../protocol/backend-name.ts";
import { SessionError } from "../../protocol/errors.ts";
import { parseDelta } from "../../protocol/image/image.ts";
import { isSessionId, prefixOf } from "../../protocol/session-id.ts";
import {
  type CommitOptions,
  type OperationName,
  PROTOCOL_VERSION,
  type RequestOf,
  type State,
} from "../../protocol/wire/wire.ts";
import {
  type Adoptions,
  type Backend,
  type Caller,
  type CommitTurn,
  endLeaseOf,
  type ListPage,
  MAX_COMMITS_IN_FLIGHT,
  type SessionCalls,
  type SweepCount,
} from "../backend/backend.ts";
import type { Config } from "../config.ts";
import type { Metrics } from "../report/report.ts";
import type { Call } from "./call.ts";

export type Handlers = { readonly [N in OperationName]: (request: RequestOf<N>, call: Call<N>) => void };

export interface HandlerParts {
  readonly config: Config;
  readonly backend: SessionCalls & Pick<Backend, "directory" | "versions">;
  readonly metrics: Metrics;
  readonly report: () => Record<string, unknown>;
  /** Makes the daemon leave, after what it has to answer. */
  readonly retire: () => void;
}

/** Sessions that one watch names: more than a terminal has lines. */
const MAX_MOST_USED = 200;
const NO_OPTIONS: CommitOptions = {};
const CLIENT_NAME = /^[\x21-\x7e]{1,64}$/;

export function makeHandlers(parts: HandlerParts): Handlers {
  const { backend, metrics } = parts;
  // Names this life of the daemon.
  const instance = randomBytes(9).toString("base64url");
  return {
    hello: (request, call) => greet(parts, { ...request, instance }, call),
    open({ sid, known }, call) {
      const { arrivedMs } = call.connection;
      const answer = (state: State): void => {
        metrics.noteOpen(performance.now() - arrivedMs);
        call.answer(state);
      };
      backend.read(checkedId(sid), { caller: callerOf(call), known, answer, fail: failing(call) });
    },
    commit: (request, call) => commit(parts, request, call),
    touch({ sid, base, held }, call) {
      backend.enter(checkedId(sid), { type: "touch", caller: callerOf(call), base, held, ...answering(call) });
    },
    abandon({ sid, held }, call) {
      const answer = (): void => call.answer({});
      backend.enter(checkedId(sid), { type: "end", caller: callerOf(call), held, answer, fail: failing(call) });
    },
    lease: (request, call) => lease(parts, request, call),
    adopt: (request, call) => adopt(parts, request, call),
    adopted: (request, call) => adopted(parts, request, call),
    list({ after, prefix, limit }, call) {
      const answer = (page: ListPage): void => call.answer(page);
      backend.list({ caller: callerOf(call), after, prefix, limit, answer, fail: failing(call) });
    },
    sweep({ isDry }, call) {
      const answer = (count: SweepCount): void => call.answer(count);
      backend.sweep({ caller: callerOf(call), does: isDry ? "look" : "end", answer, fail: failing(call) });
    },
    release({ sid, fence }, call) {
      backend.release(checkedId(sid), fence, call.connection);
      call.answer({});
    },
    status: (_request, call) => call.answer({ json: JSON.stringify(parts.report()) }),
    watch: (request, call) => watch(parts, request, call),
    retire(_request, call) {
      call.answer({ pid: process.pid });
      parts.retire();
    },
  };
}

function lease(
  { backend, config, metrics }: HandlerParts,
  { sid, leaseMs, known, held, isOptimistic }: RequestOf<"lease">,
  call: Call<"lease">,
): void {
  const { arrivedMs } = call.connection;
  backend.enter(checkedId(sid), {
    type: "lease",
    caller: callerOf(call),
    held,
    leaseMs: checkedLeaseMs(leaseMs, config),
    known,
    isOptimistic,
    answer: (fence, state, isUnverified) => {
      metrics.noteLease(performance.now() - arrivedMs);
      // Only what comes last is left out.
      call.answer(isUnverified === true ? { fence, ...state, head: null, isUnverified } : { fence, ...state });
    },
    fail: failing(call),
  });
}

function adopt(parts: HandlerParts, { sid, key }: RequestOf<"adopt">, call: Call<"adopt">): void {
  const answer = (found: Buffer | undefined): void => call.answer({ found: found ?? null });
  adoptionsOf(parts).find({ id: checkedId(sid), key, caller: callerOf(call), answer, fail: failing(call) });
}

function adopted(parts: HandlerParts, { sid, key, isRemoved }: RequestOf<"adopted">, call: Call<"adopted">): void {
  const does = isRemoved ? "remove" : "keep";
  const answer = (): void => call.answer({});
  adoptionsOf(parts).note({ id: checkedId(sid), key, does, caller: callerOf(call), answer, fail: failing(call) });
}

function adoptionsOf({ backend, config }: HandlerParts): Adoptions {
  if (backend.adoptions !== undefined) return backend.adoptions;
  throw new SessionError("ERR_BAD_OPTION", `Where sessions of type ${config.type} are none can be adopted.`);
}

interface Greeting extends RequestOf<"hello"> {
  readonly instance: string;
}

function greet({ config, backend }: HandlerParts, request: Greeting, call: Call<"hello">): void {
  if (request.version !== PROTOCOL_VERSION) {
    const what = `The client speaks version ${request.version} of the protocol, this daemon version ${PROTOCOL_VERSION}.`;
    throw new SessionError("ERR_PROTOCOL_VERSION", what);
  }
  if (!CLIENT_NAME.test(request.client)) {
    throw new SessionError("ERR_PROTOCOL", "A client's name has 1 to 64 printable ASCII characters without blanks.");
  }
  call.connection.greet(request.client);
  const { leaseMs, maxLeaseMs, maxSessionBytes } = config;
  const { instance } = request;
  const { directory, versions } = backend;
  const limits = { leaseMs, maxLeaseMs, maxSessionBytes };
  const version = PROTOCOL_VERSION;
  call.answer({
    version,
    pid: process.pid,
    instance,
    directory,
    ...limits,
    backend: backendToTell(backendName(config)),
    versions: versions || undefined,
  });
}

function watch({ metrics, report }: HandlerParts, { limit }: RequestOf<"watch">, call: Call<"watch">): void {
  const window = metrics.watches.take(call.connection, Math.min(limit, MAX_MOST_USED));
  call.answer({ json: JSON.stringify({ ...report(), window }) });
}

/** A commit that is refused before it gets to its session ends its lease all the same. */
function commit(parts: HandlerParts, request: RequestOf<"commit">, call: Call<"commit">): void {
  const id = checkedId(request.sid);
  try {
    enterCommit(parts, request, call);
  } catch (error) {
    endLeaseOf(parts.backend, id, { options: request.options ?? NO_OPTIONS, caller: callerOf(call) });
    throw error;
  }
}

function enterCommit({ backend, config }: HandlerParts, request: RequestOf<"commit">, call: Call<"commit">): void {
  const id = request.sid;
  const { connection } = call;
  const bytes = request.delta.length;
  // A commit that waits alone is bounded by its frame. Refused, it would be refused for ever, whatever the session may have.
  const isOverBytes = connection.waitingCommits > 0 && connection.waitingBytes + bytes > config.maxQueuedBytes;
  if (isOverBytes || connection.waitingCommits >= MAX_COMMITS_IN_FLIGHT) {
    const what = `${connection.waitingCommits} commits of ${connection.waitingBytes} bytes of this connection wait already; at most ${MAX_COMMITS_IN_FLIGHT} of ${config.maxQueuedBytes} may.`;
    throw new SessionError("ERR_OVERLOADED", what);
  }
  if (request.options?.successor !== undefined) checkSuccessor(id, request.options);
  const parsed = parseDelta(request.delta);
  const turn: CommitTurn = {
    type: "commit",
    caller: callerOf(call),
    sequence: request.sequence,
    floor: request.floor,
    base: request.base,
    held: request.options?.held,
    delta: request.delta,
    parsed,
    options: request.options ?? NO_OPTIONS,
    arrivedMs: connection.arrivedMs,
    answer: (state) => {
      connection.removeWaiting(bytes);
      call.answer(state);
    },
    fail: (error) => {
      connection.removeWaiting(bytes);
      call.fail(error);
    },
  };
  if (request.options?.unique === true) backend.commitUnique(id, turn);
  else backend.commit(id, turn);
  connection.addWaiting(bytes);
}

function checkSuccessor(id: string, { successor, create }: CommitOptions): void {
  const isFine = create !== true && successor !== id && prefixOf(checkedId(successor ?? "")) === prefixOf(id);
  if (isFine) return;
  const what = `Session ${id} cannot go on as ${successor}: that must be another id of the same prefix, for a session that is there.`;
  throw new SessionError("ERR_BAD_OPTION", what);
}

function checkedId(sid: string): string {
  if (isSessionId(sid)) return sid;
  throw badId(sid);
}

function badId(id: string): SessionError {
  return new SessionError("ERR_BAD_ID", `${JSON.stringify(id.slice(0, 100))} is not a session id.`);
}

function checkedLeaseMs(leaseMs: number, config: Config): number {
  if (leaseMs === 0) return config.leaseMs;
  if (leaseMs <= config.maxLeaseMs) return leaseMs;
  throw new SessionError(
    "ERR_BAD_OPTION",
    `A lease of ${leaseMs} ms was asked for; at most ${config.maxLeaseMs} ms are given.`,
  );
}

function callerOf(call: Pick<Call, "connection">): Caller {
  return { owner: call.connection, client: call.connection.client ?? "" };
}

function answering(call: Call<"touch">): { answer: (state: State) => void; fail: (error: unknown) => void } {
  return { answer: (state) => call.answer(state), fail: failing(call) };
}

function failing(call: Pick<Call, "fail">): (error: unknown) => void {
  return (error) => call.fail(error);
}

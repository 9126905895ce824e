// One short function per operation; the compiler demands all of them.

import { SessionError } from "../../protocol/errors.ts";
import { parseDelta } from "../../protocol/image/image.ts";
import { isSessionId } from "../../protocol/session-id.ts";
import {
  type CommitOptions,
  type OperationName,
  PROTOCOL_VERSION,
  type RequestOf,
  type State,
} from "../../protocol/wire/operations.ts";
import type { Config } from "../config.ts";
import { MAX_COMMITS_IN_FLIGHT } from "../once/applied-commits.ts";
import type { Metrics } from "../report/metrics.ts";
import { badId, type Caller, type CommitTurn, type Sessions } from "../sessions/sessions.ts";
import type { Call } from "./dispatch.ts";

export type Handlers = { readonly [N in OperationName]: (request: RequestOf<N>, call: Call) => void };

export interface HandlerParts {
  readonly config: Config;
  readonly sessions: Sessions;
  readonly metrics: Metrics;
  /** Names this life of the daemon. */
  readonly instance: string;
  readonly directory: string;
  readonly report: () => Record<string, unknown>;
  /** Makes the daemon leave, after what it has to answer. */
  readonly retire: () => void;
}

const NO_OPTIONS: CommitOptions = {};
const CLIENT_NAME = /^[\x21-\x7e]{1,64}$/;

export function makeHandlers(parts: HandlerParts): Handlers {
  const { sessions, config, metrics } = parts;
  return {
    hello: (request, call) => greet(parts, request, call),
    open({ sid, known }, call) {
      const { arrivedMs } = call.connection;
      const answer = (state: State): void => {
        metrics.noteOpen(performance.now() - arrivedMs);
        call.answerState(state);
      };
      sessions.read(checkedId(sid), { caller: callerOf(call), known, answer, fail: failing(call) });
    },
    commit: (request, call) => commit(parts, request, call),
    touch({ sid, base, held }, call) {
      sessions.enter(checkedId(sid), { type: "touch", caller: callerOf(call), base, held, ...answersState(call) });
    },
    abandon({ sid, held }, call) {
      const answer = (): void => call.answer();
      sessions.enter(checkedId(sid), { type: "end", caller: callerOf(call), held, answer, fail: failing(call) });
    },
    lease({ sid, leaseMs, known, held }, call) {
      const { arrivedMs } = call.connection;
      sessions.enter(checkedId(sid), {
        type: "lease",
        caller: callerOf(call),
        held,
        leaseMs: checkedLeaseMs(leaseMs, config),
        known,
        answer: (fence, state) => {
          metrics.noteLease(performance.now() - arrivedMs);
          const { kind, ino, size, mtimeMs, startupMs, image } = state;
          call.answer(fence, kind, ino, size, mtimeMs, startupMs, image);
        },
        fail: failing(call),
      });
    },
    release({ sid, fence }, call) {
      sessions.release(checkedId(sid), fence, call.connection);
      call.answer();
    },
    status(_request, call) {
      call.answer(JSON.stringify(parts.report()));
    },
    retire(_request, call) {
      call.answer(process.pid);
      parts.retire();
    },
  };
}

function greet(parts: HandlerParts, request: RequestOf<"hello">, call: Call): void {
  if (request.version !== PROTOCOL_VERSION) {
    const what = `The client speaks version ${request.version} of the protocol, this daemon version ${PROTOCOL_VERSION}.`;
    throw new SessionError("ERR_PROTOCOL_VERSION", what);
  }
  if (!CLIENT_NAME.test(request.client)) {
    throw new SessionError("ERR_PROTOCOL", "A client's name has 1 to 64 printable ASCII characters without blanks.");
  }
  call.connection.greet(request.client);
  const { leaseMs, maxLeaseMs, maxSessionBytes } = parts.config;
  call.answer(PROTOCOL_VERSION, process.pid, parts.instance, parts.directory, leaseMs, maxLeaseMs, maxSessionBytes);
}

/** What is refused before it gets to its session ends its lease all the same. */
function commit(parts: HandlerParts, request: RequestOf<"commit">, call: Call): void {
  const id = checkedId(request.sid);
  try {
    enterCommit(parts, request, call);
  } catch (error) {
    parts.sessions.endLeaseOf(id, { options: request.options ?? NO_OPTIONS, caller: callerOf(call) });
    throw error;
  }
}

function enterCommit({ sessions, config }: HandlerParts, request: RequestOf<"commit">, call: Call): void {
  const id = request.sid;
  const { connection } = call;
  const bytes = request.delta.length;
  if (connection.waitingBytes + bytes > config.maxQueuedBytes || connection.waitingCommits >= MAX_COMMITS_IN_FLIGHT) {
    const what = `${connection.waitingCommits} commits of ${connection.waitingBytes} bytes of this connection wait already; at most ${MAX_COMMITS_IN_FLIGHT} of ${config.maxQueuedBytes} may.`;
    throw new SessionError("ERR_OVERLOADED", what);
  }
  const parsed = parseDelta(request.delta);
  const turn: CommitTurn = {
    type: "commit",
    caller: callerOf(call),
    sequence: request.sequence,
    base: request.base,
    held: request.options?.held,
    delta: request.delta,
    parsed,
    options: request.options ?? NO_OPTIONS,
    arrivedMs: connection.arrivedMs,
    answer: (state) => {
      connection.removeWaiting(bytes);
      call.answerState(state);
    },
    fail: (error) => {
      connection.removeWaiting(bytes);
      call.fail(error);
    },
  };
  if (request.options?.unique === true) sessions.commitUnique(id, turn);
  else sessions.commit(id, turn);
  connection.addWaiting(bytes);
}

function checkedId(sid: string): string {
  if (isSessionId(sid)) return sid;
  throw badId(sid);
}

function checkedLeaseMs(leaseMs: number, config: Config): number {
  if (leaseMs === 0) return config.leaseMs;
  if (leaseMs <= config.maxLeaseMs) return leaseMs;
  throw new SessionError(
    "ERR_BAD_OPTION",
    `A lease of ${leaseMs} ms was asked for; at most ${config.maxLeaseMs} ms are given.`,
  );
}

function callerOf(call: Call): Caller {
  return { owner: call.connection, client: call.connection.client ?? "" };
}

function answersState(call: Call): { answer: (state: State) => void; fail: (error: unknown) => void } {
  return { answer: (state) => call.answerState(state), fail: failing(call) };
}

function failing(call: Call): (error: unknown) => void {
  return (error) => call.fail(error);
}

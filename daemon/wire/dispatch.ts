// One frame: finds out which operation it asks for, checks the fields, and calls the handler. Errors on the way there are the call's failure.
// Takes what else becomes of connections to those who must know: the backend of one that is closed, the log of one that is cut off.

import { SessionError } from "../../protocol/errors.ts";
import {
  type CommitOptions,
  type OperationName,
  operationName,
  type RequestOf,
  readMessage,
  readRequest,
} from "../../protocol/wire/wire.ts";
import type { SessionCalls } from "../backend/backend.ts";
import type { Log, Metrics } from "../report/report.ts";
import { Call, type Failures } from "./call.ts";
import type { Connection } from "./connection.ts";
import type { Handlers } from "./handlers.ts";
import type { ServerEvents } from "./server.ts";

/** Of one connection: twice as many as its commits may be. */
const MAX_WAITING_CALLS = 65_536;
/** A call that gives a lease back is never turned away for its number: commits are counted where they are taken, and a release waits for nothing. */
const NOT_COUNTED: ReadonlySet<OperationName> = new Set(["commit", "release"]);

/** What calls have in common, as far as they have it. */
interface Asked {
  readonly sid?: string;
  readonly options?: CommitOptions | null;
}

interface DispatchParts {
  readonly handlers: Handlers;
  readonly failures: Failures;
  readonly backend: Pick<SessionCalls, "forget">;
  readonly log: Log;
  readonly metrics: Metrics;
}

export class Dispatch implements ServerEvents {
  readonly #handlers: Handlers;
  readonly #failures: Failures;
  readonly #backend: Pick<SessionCalls, "forget">;
  readonly #log: Log;
  readonly #metrics: Metrics;
  #isLeaving = false;

  constructor({ handlers, failures, backend, log, metrics }: DispatchParts) {
    this.#handlers = handlers;
    this.#failures = failures;
    this.#backend = backend;
    this.#log = log;
    this.#metrics = metrics;
  }

  /** A frame without a call number cannot be answered: it ends the connection, as does anything before hello. */
  receive(connection: Connection, frame: Buffer): void {
    let number: number | undefined;
    try {
      const fields = readMessage(frame);
      number = callNumber(fields[0]);
      const name = nameOf(fields[1], connection);
      if (!NOT_COUNTED.has(name)) checkIsBounded(connection);
      this.#run(fields, new Call(connection, { number, name }, this.#failures));
    } catch (error) {
      if (number === undefined) connection.cut(error instanceof Error ? error.message : String(error));
      else this.#failures.answer(connection, number, error);
      if (connection.client === undefined) connection.end();
    }
  }

  /** A connection that never said hello has nothing anywhere. */
  noteClosed(connection: Connection): void {
    if (connection.client === undefined) return;
    this.#backend.forget(connection);
    this.#metrics.watches.forget(connection);
  }

  noteCut({ client }: Connection, reason: string): void {
    this.#log.warn("connection-cut", { client, reason });
  }

  noteRefused(error: Error): void {
    this.#log.error("accept-failed", { error: String(error) });
  }

  /**
   * What workers ask of sessions from now on is for the next daemon, which they ask again when their connections are closed: with each answer here the next
   * call would come, and this daemon would not leave as long as there is always one under way.
   */
  noteLeaving(): void {
    this.#isLeaving = true;
  }

  #run<N extends OperationName>(fields: readonly unknown[], call: Call<N>): void {
    const request: Asked & RequestOf<N> = readRequest(call.name, fields);
    if (this.#isLeaving && isForNext(call.name, request)) return;
    this.#handlers[call.name](request, call);
    const { watches } = this.#metrics;
    // The handler has let the id through.
    if (watches.count > 0 && request.sid !== undefined) watches.noteUse(call.name, request.sid);
  }
}

/** Under a lease work goes on: whoever waits for its end has asked before. */
function isForNext(name: OperationName, { sid, options }: Asked): boolean {
  return sid !== undefined && name !== "release" && options?.fence === undefined;
}

/** Also a call that waits for a lock or a lease takes memory. */
function checkIsBounded({ waitingCalls }: Connection): void {
  if (waitingCalls <= MAX_WAITING_CALLS) return;
  throw new SessionError("ERR_OVERLOADED", `${MAX_WAITING_CALLS} calls of this connection wait already.`);
}

function callNumber(field: unknown): number {
  if (typeof field === "number" && Number.isSafeInteger(field) && field >= 0) return field;
  throw new SessionError("ERR_PROTOCOL", "The message has no call number.");
}

function nameOf(number: unknown, connection: Connection): OperationName {
  const name = operationName(number);
  if (name === undefined) throw new SessionError("ERR_PROTOCOL", `There is no operation ${String(number)}.`);
  if (name === "hello" || connection.client !== undefined) return name;
  throw new SessionError("ERR_PROTOCOL", `The operation ${name} came before hello.`);
}

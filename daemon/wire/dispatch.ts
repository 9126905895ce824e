// One frame: check, call the handler, answer. The one place where errors become frames.

import { type ErrorCode, SessionError } from "../../protocol/errors.ts";
import { type Field, readMessage } from "../../protocol/wire/frame.ts";
import {
  OPERATIONS,
  type OperationName,
  operationName,
  PROTOCOL_VERSION,
  type RequestOf,
  type State,
} from "../../protocol/wire/operations.ts";
import { readFields } from "../../protocol/wire/shape.ts";
import type { Log } from "../report/log.ts";
import type { Metrics } from "../report/metrics.ts";
import type { Connection } from "./connection.ts";
import type { Handlers } from "./handlers.ts";

const OK = 0;
const FAILED = 1;
/** Of one connection: twice as many as its commits may be. */
const MAX_WAITING_CALLS = 65_536;
/** What gives a lease back is never turned away for its number: commits are counted where they are taken, and a release waits for nothing. */
const NOT_COUNTED: ReadonlySet<OperationName> = new Set(["commit", "release"]);
/** Failures that somebody must do something about, and what the log calls them. The others are the caller's own affair. */
const TO_LOG: { readonly [C in ErrorCode]?: string } = {
  ERR_STORE: "store-failed",
  ERR_UNREADABLE: "unreadable",
  ERR_SESSION_BUSY: "lock-held",
  ERR_OVERLOADED: "overloaded",
  ERR_PROTOCOL: "bad-call",
  ERR_PROTOCOL_VERSION: "other-version",
};

/** One request and the way back. Exactly one of `answer` and `fail` is called, once. */
export class Call {
  readonly connection: Connection;
  readonly #number: number;
  readonly #problems: { readonly log: Log; readonly metrics: Metrics };

  constructor(connection: Connection, number: number, problems: { readonly log: Log; readonly metrics: Metrics }) {
    this.connection = connection;
    this.#number = number;
    this.#problems = problems;
  }

  /** The fields of the response, in the order of the operation table. */
  answer(...fields: readonly Field[]): void {
    this.connection.send([this.#number, OK, ...fields]);
  }

  /** The same for the many that answer with a state. */
  answerState({ kind, ino, size, mtimeMs, startupMs, image }: State): void {
    this.connection.send([this.#number, OK, kind, ino, size, mtimeMs, startupMs, image]);
  }

  fail(error: unknown): void {
    const problem = error instanceof SessionError ? error : this.#unexpected(error);
    this.#problems.metrics.countError(problem.code);
    const event = TO_LOG[problem.code];
    if (event !== undefined) this.#problems.log.warn(event, { client: this.connection.client, error: problem.what });
    const fields = [this.#number, FAILED, problem.code, problem.message];
    if (problem.code === "ERR_PROTOCOL_VERSION") fields.push(PROTOCOL_VERSION);
    this.connection.send(fields);
  }

  #unexpected(error: unknown): SessionError {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    this.#problems.log.error("unexpected-error", { error: text });
    return new SessionError("ERR_INTERNAL", error instanceof Error ? `${error.message}.` : undefined);
  }
}

export class Dispatch {
  readonly #handlers: Handlers;
  readonly #problems: { readonly log: Log; readonly metrics: Metrics };

  constructor(handlers: Handlers, problems: { readonly log: Log; readonly metrics: Metrics }) {
    this.#handlers = handlers;
    this.#problems = problems;
  }

  /** A frame without a call number cannot be answered: it ends the connection, as does anything before hello. */
  receive(connection: Connection, frame: Buffer): void {
    let call: Call | undefined;
    try {
      const fields = readMessage(frame);
      call = new Call(connection, callNumber(fields[0]), this.#problems);
      const name = this.#operation(fields[1], connection);
      if (!NOT_COUNTED.has(name)) checkIsBounded(connection);
      this.#run(name, fields, call);
    } catch (error) {
      if (call === undefined) connection.cut(error instanceof Error ? error.message : String(error));
      else call.fail(error);
      if (connection.client === undefined) connection.end();
    }
  }

  #operation(number: unknown, connection: Connection): OperationName {
    const name = operationName(number);
    if (name === undefined) throw new SessionError("ERR_PROTOCOL", `There is no operation ${String(number)}.`);
    if (name === "hello" || connection.client !== undefined) return name;
    throw new SessionError("ERR_PROTOCOL", `The operation ${name} came before hello.`);
  }

  #run<N extends OperationName>(name: N, fields: readonly unknown[], call: Call): void {
    const request = readFields(OPERATIONS[name].request, fields, 2) as RequestOf<N>;
    this.#handlers[name](request, call);
  }
}

/** Also what waits for a lock or a lease takes memory. */
function checkIsBounded({ waitingCalls }: Connection): void {
  if (waitingCalls <= MAX_WAITING_CALLS) return;
  throw new SessionError("ERR_OVERLOADED", `${MAX_WAITING_CALLS} calls of this connection wait already.`);
}

function callNumber(field: unknown): number {
  if (typeof field === "number" && Number.isSafeInteger(field) && field >= 0) return field;
  throw new SessionError("ERR_PROTOCOL", "The message has no call number.");
}

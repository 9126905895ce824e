// One call of a worker and the way back to it. What answers a call knows no frame, and what sends the answer knows no operation.

import { type ErrorCode, SessionError } from "../../protocol/errors.ts";
import {
  type AnswerOf,
  type FrameWriter,
  type OperationName,
  writeAnswer,
  writeFailure,
} from "../../protocol/wire/wire.ts";
import type { Log, Metrics } from "../report/report.ts";
import type { Connection, Reply } from "./connection.ts";

/** Failures that somebody must do something about, and what the log calls them. The others are the caller's own affair. */
const TO_LOG: { readonly [C in ErrorCode]?: string } = {
  ERR_STORE: "store-failed",
  ERR_UNREADABLE: "unreadable",
  ERR_SESSION_BUSY: "lock-held",
  ERR_OVERLOADED: "overloaded",
  ERR_PROTOCOL: "bad-call",
  ERR_PROTOCOL_VERSION: "other-version",
};

/** The one place where errors become frames. Counts each, and logs those that an operator must know of. */
export class Failures {
  readonly #log: Log;
  readonly #metrics: Metrics;

  constructor({ log, metrics }: { readonly log: Log; readonly metrics: Metrics }) {
    this.#log = log;
    this.#metrics = metrics;
  }

  answer(connection: Connection, number: number, error: unknown): void {
    const problem = error instanceof SessionError ? error : this.#unexpected(error);
    this.#metrics.countError(problem.code);
    const event = TO_LOG[problem.code];
    if (event !== undefined) this.#log.warn(event, { client: connection.client, error: problem.what });
    connection.send({ writeTo: (writer) => writeFailure(writer, number, problem) });
  }

  #unexpected(error: unknown): SessionError {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    this.#log.error("unexpected-error", { error: text });
    return new SessionError("ERR_INTERNAL", error instanceof Error ? `${error.message}.` : undefined);
  }
}

/** Exactly one of `answer` and `fail` is called, once. A call that is answered is its own reply: no answer takes an object more. */
export class Call<N extends OperationName = OperationName> implements Reply {
  readonly connection: Connection;
  readonly number: number;
  readonly name: N;
  readonly #failures: Failures;
  #response: AnswerOf<N> | undefined;

  constructor(
    connection: Connection,
    { number, name }: { readonly number: number; readonly name: N },
    failures: Failures,
  ) {
    this.connection = connection;
    this.number = number;
    this.name = name;
    this.#failures = failures;
  }

  /** The response is kept until there is room for its bytes, and never copied before. */
  answer(response: AnswerOf<N>): void {
    this.#response = response;
    this.connection.send(this);
  }

  fail(error: unknown): void {
    this.#failures.answer(this.connection, this.number, error);
  }

  writeTo(writer: FrameWriter): void {
    if (this.#response !== undefined) writeAnswer(writer, this, this.#response);
  }
}

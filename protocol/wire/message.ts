// The envelope of every message: a call, its answer or its failure is one frame each. Which fields are inside says the operation table.

import { isErrorCode, SessionError, SucceededError } from "../errors.ts";
import type { FrameWriter } from "./frame.ts";
import {
  type AnswerOf,
  type CallOf,
  OPERATIONS,
  type OperationName,
  PROTOCOL_VERSION,
  type RequestOf,
  type ResponseOf,
} from "./operations.ts";
import { omittable, readFields, text, uint } from "./shape.ts";

const OK = 0;
const FAILED = 1;
/** Number and operation of a call, number and outcome of what comes back: they stand before the fields. */
const ENVELOPE_FIELDS = 2;
/** `detail` is the version of a daemon which refuses another one, and SUCCEEDED where a session that is gone goes on under another id. */
const FAILURE = { code: text, text, detail: omittable(uint) };
const SUCCEEDED = 1;

export interface OutgoingCall<N extends OperationName> {
  /** Different from that of every call that waits for its answer. */
  readonly number: number;
  readonly name: N;
  readonly request: CallOf<N>;
}

export function writeCall<N extends OperationName>(writer: FrameWriter, call: OutgoingCall<N>): void {
  const row = OPERATIONS[call.name];
  writer.pushMessage(call.number, row.number, row.request, call.request);
}

/** @throws SessionError ERR_PROTOCOL, naming the field that is missing or of the wrong shape. */
export function readRequest<N extends OperationName>(name: N, fields: readonly unknown[]): RequestOf<N> {
  return readFields(OPERATIONS[name].request, fields, ENVELOPE_FIELDS) as RequestOf<N>;
}

export function writeAnswer<N extends OperationName>(
  writer: FrameWriter,
  { number, name }: { readonly number: number; readonly name: N },
  response: AnswerOf<N>,
): void {
  writer.pushMessage(number, OK, OPERATIONS[name].response, response);
}

export function writeFailure(writer: FrameWriter, number: number, error: SessionError): void {
  const { code, message } = error;
  writer.pushMessage(number, FAILED, FAILURE, { code, text: message, detail: detailOf(error) });
}

function detailOf(error: SessionError): number | undefined {
  if (error instanceof SucceededError) return SUCCEEDED;
  return error.code === "ERR_PROTOCOL_VERSION" ? PROTOCOL_VERSION : undefined;
}

/** @throws SessionError the failure that came instead; ERR_PROTOCOL for an answer of another form. */
export function readAnswer<N extends OperationName>(name: N, fields: readonly unknown[]): ResponseOf<N> {
  if (isFailure(fields)) throw failureOf(fields);
  return readFields(OPERATIONS[name].response, fields, ENVELOPE_FIELDS) as ResponseOf<N>;
}

export function isFailure(fields: readonly unknown[]): boolean {
  return fields[1] !== OK;
}

/** The text of a failure says what to do already: it is not said twice. */
export function failureOf([, , code, what, detail]: readonly unknown[]): SessionError {
  const hasSuccessor = code === "ERR_SESSION_GONE" && detail === SUCCEEDED;
  const error = hasSuccessor ? new SucceededError("") : new SessionError(isErrorCode(code) ? code : "ERR_INTERNAL");
  if (typeof what === "string") error.message = what;
  return error;
}

/** The version of the daemon that has refused a hello with this failure, if it is older than ours; undefined otherwise. */
export function olderVersion([, , code, , version]: readonly unknown[]): number | undefined {
  const isOlder = code === "ERR_PROTOCOL_VERSION" && typeof version === "number" && version < PROTOCOL_VERSION;
  return isOlder ? version : undefined;
}

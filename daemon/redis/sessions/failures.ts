// What a caller is told when Redis could not be asked, or did not do what it was asked for: whether anything was written, and why not.

import { SessionError } from "../../../protocol/errors.ts";
import { storeError } from "../../turns/turns.ts";
import { ServerError } from "../link/link.ts";
import { unreadable } from "../value/value.ts";

/** Of a read. */
export function unanswered(id: string, error: unknown): SessionError {
  if (!(error instanceof ServerError)) return storeError(id, error);
  if (error.code === "WRONGTYPE") return unreadable(id, "its key holds something that is no string");
  return new SessionError("ERR_STORE", `Session ${id} could not be read: ${sentence(error)}`, { cause: error });
}

/** Of a change. */
export function unstored(id: string, error: unknown): SessionError {
  if (!(error instanceof ServerError) || error.code === "WRONGTYPE") return unanswered(id, error);
  const outcome = error.outcome === "unsure" ? "it may have been written all the same" : "nothing was written";
  const what = `Session ${id} could not be written, and ${outcome}: ${sentence(error)}`;
  return new SessionError("ERR_STORE", what, { cause: error });
}

function sentence({ message }: Error): string {
  return /[.!?]$/.test(message) ? message : `${message}.`;
}

/** For the log, which names no session: its id is a password. */
export function reasonOf(error: unknown): string {
  if (error instanceof SessionError) return error.cause instanceof ServerError ? error.cause.message : error.code;
  return error instanceof Error ? error.message : String(error);
}

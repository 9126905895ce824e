// What went wrong with a call to Redis: whether it may have been done all the same, and why, in words that hold neither keys nor credentials.

import type { ErrorReply } from "@redis/client";

/** "refused": it was not done. "unsure": it may have been done, or may still be. */
export type Outcome = "refused" | "unsure";

/** A call that failed, or, as an element of a script's answer, one of its commands that did. */
export class ServerError extends Error {
  override readonly name = "ServerError";
  readonly outcome: Outcome;
  /** The first word of Redis' error ("OOM", "WRONGTYPE", "NOREPLICAS" …), or ours: "AWAY", "CUT", "STALLED", "CLOSED". */
  readonly code: string;

  constructor(outcome: Outcome, code: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.outcome = outcome;
    this.code = code;
  }
}

/** Codes of a server that may do the same call a moment later, and has done nothing of it. */
const LATER = ["LOADING", "BUSY", "MASTERDOWN", "TRYAGAIN"];
/** Codes of a server that is the wrong one for every call, and perhaps was the right one a moment ago. */
const ELSEWHERE = ["READONLY", "NOAUTH"];

const MAX_MESSAGE_CHARACTERS = 300;

export function isLater(error: unknown): error is ServerError {
  return error instanceof ServerError && LATER.includes(error.code);
}

/** No replica follows the server: perhaps because another one has its place, and it has not been told. */
export function isAlone(error: unknown): error is ServerError {
  return error instanceof ServerError && error.code === "NOREPLICAS";
}

export function isElsewhere(error: unknown): error is ServerError {
  return error instanceof ServerError && ELSEWHERE.includes(error.code);
}

/** Redis names arguments of commands that it does not know, which may be ids, and those are passwords, and the user whom it refuses. */
export function refusalOf({ message }: ErrorReply): ServerError {
  const [, code = "ERR"] = /^([A-Z]+)\b/.exec(message) ?? [];
  const plain = message.replace(/,? with args beginning with:.*/s, "").replace(/\bUser \S+/, "This user");
  return new ServerError("refused", code, plain.slice(0, MAX_MESSAGE_CHARACTERS));
}

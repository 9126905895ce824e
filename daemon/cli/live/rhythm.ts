// Something that is looked at again and again, with a pause in between, and that may be gone for a while.

import { setTimeout as pause } from "node:timers/promises";
import { SessionError } from "../../../protocol/errors.ts";
import { NoDaemon } from "../terminal/refusals.ts";

export interface Rhythm {
  readonly everyMs: number;
  /** Infinity: without end. */
  readonly times: number;
}

/** For what ends with its process, or its reader. */
export const UNTIL_KILLED: AbortSignal = new AbortController().signal;

/** Acts now, and then again after each pause, until it has acted so often, is told to leave, or there is nobody any more to act for. */
export async function repeat(
  { everyMs, times }: Rhythm,
  leaving: AbortSignal,
  act: () => Promise<"goes on" | "over">,
): Promise<void> {
  for (let time = 1; !leaving.aborted; time++) {
    if ((await act()) === "over" || time >= times) return;
    // Its only error is that somebody has left.
    await pause(everyMs, undefined, { signal: leaving }).catch(() => undefined);
  }
}

/** No daemon can be seen. */
export interface Nobody {
  readonly kind: "nobody";
  readonly why: string;
}

/** A look that throws until a daemon has been seen. From then on one that is not there is waited for. */
export function patient<T>(look: () => Promise<T>): () => Promise<T | Nobody> {
  let hasSeen = false;
  return async () => {
    try {
      const seen = await look();
      hasSeen = true;
      return seen;
    } catch (error) {
      const isExpected = error instanceof NoDaemon || error instanceof SessionError;
      if (!hasSeen || !isExpected) throw error;
      return { kind: "nobody", why: error instanceof SessionError ? error.what : error.message };
    }
  };
}

// Goes through the names of all sessions, with an error that callers understand where that cannot be done.

import { SessionError } from "../../protocol/errors.ts";
import type { SessionFiles } from "../store/store.ts";

/** @throws SessionError ERR_STORE, with the system's reason. */
export async function* namesIn(store: Pick<SessionFiles, "ids">): AsyncGenerator<string> {
  try {
    yield* store.ids();
  } catch (error) {
    throw new SessionError("ERR_STORE", `The sessions cannot be named: ${String(error)}.`, { cause: error });
  }
}

// The sessions of a root, one after the other: asks the daemon for a page when the one before is read, and keeps no more than that. A daemon that is
// replaced meanwhile goes on where the one before was.

import { expiryOf } from "../../protocol/image/image.ts";
import { checkPrefix } from "../../protocol/session-id.ts";
import type { CallOf, ResponseOf } from "../../protocol/wire/wire.ts";
import type { ListedSession, ListOptions } from "../api.ts";
import { checkListOptions } from "../options.ts";

/** Sessions of a page: no more are given. */
const PAGE_SESSIONS = 4_096;

type Ask = (request: CallOf<"list">) => Promise<ResponseOf<"list">>;

/** @throws SessionError ERR_BAD_OPTION, before anything is asked for. */
export function listSessions(ask: Ask, options: ListOptions): AsyncIterableIterator<ListedSession> {
  checkListOptions(options);
  return pages(ask, options.prefix === undefined ? null : checkPrefix(options.prefix));
}

async function* pages(ask: Ask, prefix: string | null): AsyncGenerator<ListedSession> {
  for (let after: string | null = ""; after !== null; ) {
    const page: ResponseOf<"list"> = await ask({ after, prefix, limit: PAGE_SESSIONS });
    for (const { id, size, startupMs, timeoutSeconds } of page.sessions) {
      const lastUsed = expiryOf(startupMs, 0) ?? new Date(0);
      yield { id, bytes: size, lastUsed, expires: expiryOf(startupMs, timeoutSeconds) };
    }
    after = page.next;
  }
}

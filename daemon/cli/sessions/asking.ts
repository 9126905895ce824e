// A conversation with the daemon for as long as a command about sessions takes.

import { resolveConfig } from "../../config.ts";
import { Conversation } from "../../peer/peer.ts";
import type { Errand } from "../terminal/errand.ts";
import { noDaemonOn } from "../terminal/refusals.ts";

/** Sessions that one answer names: few enough to be there at once. */
const PAGE = 500;

/** @throws NoDaemon when nobody is there; SessionError what the daemon answers. */
export async function withDaemon<T>({ options }: Errand, act: (daemon: Conversation) => Promise<T>): Promise<T> {
  const config = resolveConfig(options);
  const daemon = await Conversation.begin(config);
  if (daemon === undefined) throw noDaemonOn(config);
  try {
    return await act(daemon);
  } finally {
    daemon.close();
  }
}

/** Every session of a prefix, or all: a page at a time, in the order of their ids. */
export async function* pagesOf(daemon: Conversation, prefix: string | null) {
  for (let after: string | null = ""; after !== null; ) {
    const { sessions, next }: Awaited<ReturnType<typeof pageOf>> = await pageOf(daemon, after, prefix);
    yield sessions;
    after = next;
  }
}

function pageOf(daemon: Conversation, after: string, prefix: string | null) {
  return daemon.call("list", { after, prefix, limit: PAGE });
}

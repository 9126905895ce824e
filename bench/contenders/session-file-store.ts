// session-file-store: one JSON file a session, replaced by temp + rename; the nearest relative on disk.

import session, { type Store } from "express-session";
import bind from "session-file-store";
import type { Entry, Places } from "./contender.ts";
import { StoreSubject, siteOn } from "./express-store.ts";

const DAY_S = 86_400;

function makeStore(places: Places): Store {
  const FileStore = bind(session);
  return new FileStore({ path: places.directory, ttl: DAY_S, reapInterval: -1, logFn: () => undefined });
}

export const sessionFileStore: Entry = {
  open: async (places) => new StoreSubject(makeStore(places), () => undefined),
  openSite: async (places) => siteOn(makeStore(places)),
};

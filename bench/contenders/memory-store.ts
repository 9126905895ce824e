// express-session's own MemoryStore: one process, nothing shared, nothing kept.

import session from "express-session";
import type { Entry } from "./contender.ts";
import { StoreSubject, siteOn } from "./express-store.ts";

export const memoryStore: Entry = {
  open: async () => new StoreSubject(new session.MemoryStore(), () => undefined),
  openSite: () => siteOn(undefined),
};

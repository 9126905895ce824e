// The suite of the seam again, with a single database open at a time, and with every commit flushed.

import { afterAll } from "vitest";
import { openGambasSqlite } from "../../../../daemon/store/gambas-sqlite/opening.ts";
import type { GambasSqliteStore } from "../../../../daemon/store/gambas-sqlite/store.ts";
import { freshRoot, removeRoot } from "../../../support/processes.ts";
import { describeSqlite } from "../../../support/sqlite.ts";
import { describeStore } from "../conformance.ts";

const log = { info: () => undefined, warn: () => undefined };
const roots: string[] = [];

function open(openSessions: number, durability: string): GambasSqliteStore {
  const root = freshRoot();
  roots.push(root);
  return openGambasSqlite({ root, gambas: "3.18", openSessions, durability, log });
}

afterAll(async () => {
  for (const root of roots) await removeRoot(root);
});

describeSqlite("of databases", () => {
  const close = (store: { close(): void }): void => store.close();
  describeStore("gambas-sqlite, with one database open", { open: () => open(1, "file"), close });
  describeStore("gambas-sqlite, flushed", { open: () => open(100, "fsync"), close });
});

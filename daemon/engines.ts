// The engines by the names that the setting `engine` gives them. Nothing else knows an engine by its name.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { maxOpenFiles } from "../protocol/places.ts";
import type { Around, Engine } from "./backend/backend.ts";
import type { Config } from "./config.ts";
import { nativeProblem } from "./files/native.ts";
import { type Opened, onStore } from "./local/local.ts";
import { GambasFileStore } from "./store/gambas-file/store.ts";
import { Watch } from "./store/gambas-file/watch.ts";
import { MemoryStore } from "./store/memory.ts";

/** The session, its twin and its lock. */
const FILES_PER_SESSION = 3;

export const ENGINES: { readonly [N in Config["engine"]]: Engine } = {
  "gambas-file": onStore(openGambasFiles),
  memory: onStore(() => ({ store: new MemoryStore(), journalPath: undefined, watch: undefined, report: () => ({}) })),
};

function openGambasFiles({ config, log }: Around, onLack: (words: string) => void): Opened {
  const { root, gambas } = config;
  const openSessions = Math.min(config.openSessions, affordableSessions());
  const store = new GambasFileStore({ root, gambas, openSessions, log, onLack });
  if (nativeProblem !== undefined) log.warn("no-record-locks", { reason: nativeProblem });
  return {
    store,
    journalPath: join(root, "sessiond.journal"),
    watch: (events) => new Watch(store.directory, events, log),
    report: () => ({
      hasRecordLocks: store.fileSystem.report.recordLocks !== false,
      fileSystem: store.fileSystem.report,
      gambas: store.dialectInWords,
    }),
  };
}

/** Half of the descriptors are for connections and whatever else comes. */
function affordableSessions(): number {
  const files = maxOpenFiles((path) => readFileSync(path, "latin1")) ?? Number.POSITIVE_INFINITY;
  return Math.max(1, Math.floor(files / 2 / FILES_PER_SESSION));
}

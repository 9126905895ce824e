// What keeps the sessions of each type. Nothing else knows an engine by its name. One that needs more than files is loaded by the daemon that uses it
// alone.

import { readFileSync } from "node:fs";
import { maxOpenFiles } from "../protocol/places.ts";
import type { SessionType } from "../protocol/types.ts";
import type { Engine, OpenHoldings } from "./backend/backend.ts";
import type { Config } from "./config.ts";
import { nativeProblem } from "./files/files.ts";
import { holdingsOn } from "./local/holdings/holdings.ts";
import { onStore, type StoreOptions } from "./local/local.ts";
import { GambasFileStore } from "./store/gambas-file/store.ts";
import { MemoryStore } from "./store/memory/store.ts";
import type { Store } from "./store/store.ts";

/** The session, its twin and its lock. */
const FILES_PER_SESSION = 3;
/** The database, its log, what readers share, and that once more for the guard. */
const FILES_PER_DATABASE = 4;

export const ENGINES: { readonly [N in Config["type"]]: () => Promise<Engine> } = {
  file: async () => onStore(openGambasFiles),
  memory: async () => onStore(() => new MemoryStore()),
  sqlite: async () => onStore(await loadGambasSqlite({ leavesMode: false })),
  redis: async () => (await import("./redis/redis.ts")).redisEngine,
};

/** The types that `convert` moves sessions between. */
export const HOLDINGS: { readonly [N in SessionType]: () => Promise<OpenHoldings> } = {
  file: async () => holdingsOn(openGambasFiles),
  sqlite: async () => holdingsOn(await loadGambasSqlite({ leavesMode: true })),
  redis: async () => (await import("./redis/holdings/holdings.ts")).redisHoldings,
};

function openGambasFiles({ config, log, onLack }: StoreOptions): GambasFileStore {
  const { root, gambas } = config;
  if (nativeProblem !== undefined) log.warn("no-record-locks", { reason: nativeProblem });
  const openSessions = Math.min(config.openSessions, affordable(FILES_PER_SESSION));
  const inPlace = config.durability === "file";
  return new GambasFileStore({ root, gambas, inPlace, openSessions, log, onLack });
}

async function loadGambasSqlite(how: { readonly leavesMode: boolean }): Promise<(options: StoreOptions) => Store> {
  const { openGambasSqlite } = await import("./store/gambas-sqlite/opening.ts");
  return ({ config, log }) => {
    const openSessions = Math.min(config.openSessions, affordable(FILES_PER_DATABASE));
    return openGambasSqlite({ ...config, ...how, openSessions, log });
  };
}

/** Half of the descriptors are for connections and whatever else comes. */
function affordable(filesPerSession: number): number {
  const files = maxOpenFiles((path) => readFileSync(path, "latin1")) ?? Number.POSITIVE_INFINITY;
  return Math.max(1, Math.floor(files / 2 / filesPerSession));
}

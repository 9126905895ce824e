// The door of the engine. Puts it together: the library of this process, the guard, and what is said where there is none.

import type { Dialect } from "../../../protocol/image/image.ts";
import type { Log } from "../../report/report.ts";
import { DialectInUse, Presence } from "../gambas-file/programs/programs.ts";
import { findGuard } from "./guard.ts";
import { findLibrary, Missing } from "./library.ts";
import { Revisions } from "./schema.ts";
import { GambasSqliteStore } from "./store.ts";

export { readDatabase } from "./snapshot.ts";
export { lacksOf, type Need, type Outfit, outfit } from "./trial.ts";

export interface OpeningOptions {
  readonly root: string;
  readonly gambas: "auto" | Dialect;
  /** Databases that are kept open; each takes up to four descriptors. */
  readonly openSessions: number;
  readonly durability: string;
  /** As `Surroundings` has it. */
  readonly leavesMode?: boolean;
  readonly log: Pick<Log, "info" | "warn">;
}

/** @throws SessionError ERR_BAD_OPTION where this process has no SQLite, with the command that installs one. */
export function openGambasSqlite(options: OpeningOptions): GambasSqliteStore {
  const { root, gambas, openSessions, durability, leavesMode = false, log } = options;
  const library = findLibrary();
  const found = findGuard();
  const guard = found instanceof Missing ? undefined : found;
  const noGuard = found instanceof Missing ? found.words : undefined;
  log.info("sqlite", { library: library.name, hasGuard: guard !== undefined });
  const presence = new Presence(root);
  const isAlone = (): boolean => !presence.look(() => performance.now()).isAnybodyThere;
  const dialect = new DialectInUse({ setting: gambas, sessions: `${root}/session`, log });
  return new GambasSqliteStore({
    root,
    around: {
      library,
      guard,
      noGuard,
      isAlone,
      revisions: new Revisions(),
      isDurable: durability === "fsync",
      leavesMode,
    },
    lacks: noGuard === undefined ? [] : [lackOf(noGuard)],
    openSessions,
    dialect: () => dialect.current,
    log,
  });
}

function lackOf(reason: string): string {
  return `the guard that keeps saves of Gambas programs whole is missing (${reason}): nothing is written while one runs`;
}

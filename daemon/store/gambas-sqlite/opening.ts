// Puts the engine together: the library of this process, the guard, and what is said where there is none. The door of the folder.

import type { Dialect } from "../../../protocol/image/image.ts";
import type { Log } from "../../report/report.ts";
import { DialectInUse, Presence } from "../gambas-file/programs/programs.ts";
import { findGuard } from "./guard.ts";
import { findLibrary, Missing } from "./library.ts";
import { Revisions } from "./revisions.ts";
import { GambasSqliteStore } from "./store.ts";

export { lacksOf, type Need, type Outfit, outfit } from "./trial.ts";

export interface OpeningOptions {
  readonly root: string;
  readonly gambas: "auto" | Dialect;
  /** Databases that are kept open; each takes up to four descriptors. */
  readonly openSessions: number;
  readonly durability: string;
  readonly log: Pick<Log, "info" | "warn">;
}

/** @throws SessionError ERR_BAD_OPTION where this process has no SQLite, with the command that installs one. */
export function openGambasSqlite({ root, gambas, openSessions, durability, log }: OpeningOptions): GambasSqliteStore {
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
    around: { library, guard, noGuard, isAlone, revisions: new Revisions(), isDurable: durability === "fsync" },
    lacks: noGuard === undefined ? [] : [lackOf(noGuard)],
    openSessions,
    dialect: () => dialect.current,
    log,
  });
}

function lackOf(reason: string): string {
  return `the guard that keeps saves of Gambas programs whole is missing (${reason}): nothing is written while one runs`;
}

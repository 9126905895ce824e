// What a daemon is started with: its settings and its places. Checks options and the root directory; reads no file.

import { chmodSync, lstatSync, mkdirSync, type Stats, statSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { SessionError } from "../protocol/errors.ts";
import { findPlaces, type Places } from "../protocol/places.ts";
import { parseRedisUrl } from "../protocol/redis-url.ts";
import { type GivenSettings, resolveSettings, SETTINGS, type Settings } from "../protocol/settings.ts";
import { checkForType, checkNeeds, type TypeName } from "../protocol/types.ts";

export type { Settings } from "../protocol/settings.ts";
export { settingFlags } from "../protocol/settings.ts";
export { DEFAULT_TYPE, TYPES } from "../protocol/types.ts";

const ROOT_MODE = 0o700;
const FOR_OTHERS = 0o077;
const PLACES = ["root", "socket", "type"] as const;

/** What `startDaemon` takes: any setting, and the places. */
export type DaemonOptions = GivenSettings & {
  /** Path of the root directory, which must be the user's own. Default `/tmp/gambas.<uid>`. */
  readonly root?: string | undefined;
  /** Path of the Unix socket, at most 107 bytes. Default `sessiond.sock` in the root; of other types than "file" `sessiond-<type>.sock`. */
  readonly socket?: string | undefined;
  /** Where sessions are kept. Default "file". "memory" is for tests: those end with the daemon. */
  readonly type?: TypeName | undefined;
};

export interface Config extends Settings, Places {}

/**
 * Merges options over environment over defaults. Whether there is all that a daemon of the type needs says `checkMayStart`. Touches nothing.
 *
 * @throws SessionError ERR_BAD_OPTION, ERR_SOCKET_PATH.
 */
export function resolveConfig(options: DaemonOptions, env: NodeJS.ProcessEnv = process.env): Config {
  const settings = resolveSettings(options, PLACES);
  checkIsNamed(options, "root");
  checkIsNamed(options, "socket");
  const places = findPlaces(options, { env, uid: process.getuid?.(), toAbsolute: resolve });
  checkForType(options, places.type, "setting");
  return { ...settings, redis: redisOf(options, places, env), ...places };
}

/** What a daemon needs beyond what who asks one that runs does. @throws SessionError ERR_BAD_OPTION. */
export function checkMayStart(config: Config): void {
  checkNeeds(config, config.type);
  if (config.redis !== "") parseRedisUrl(config.redis);
}

/** The variable may be there for others of this environment. */
function redisOf({ redis }: DaemonOptions, { type }: Places, env: NodeJS.ProcessEnv): string {
  return redis ?? (type === "redis" ? (env.GAMBAS_SESSION_REDIS ?? "") : "");
}

/** An empty path would be the current directory. */
function checkIsNamed(options: DaemonOptions, name: "root" | "socket"): void {
  const path = options[name];
  if (path === undefined || (typeof path === "string" && path !== "")) return;
  throw new SessionError("ERR_BAD_OPTION", `The option ${name} must be a path, not ${JSON.stringify(path)}.`);
}

function uid(): number {
  return process.getuid?.() ?? 0;
}

/**
 * Makes the root if it is missing (0700) and refuses one that is a symlink, no directory, or another user's (GAMBAS.md 2.1).
 * A wrong mode is repaired, as Gambas does.
 */
export function prepareRoot(root: string): void {
  const stat = ensureRoot(root);
  if (stat.isSymbolicLink()) throw badRoot(root, "is a symbolic link");
  if (!stat.isDirectory()) throw badRoot(root, "is not a directory");
  if (stat.uid !== uid()) throw badRoot(root, `belongs to uid ${stat.uid}, not to ${uid()}`);
  if ((stat.mode & 0o777) !== ROOT_MODE) repairMode(root);
}

/** On a file system without modes everybody may read what is there: only how it is mounted can change that. */
function repairMode(root: string): void {
  try {
    chmodSync(root, ROOT_MODE);
  } catch (error) {
    if ((statSync(root).mode & FOR_OTHERS) === 0) return;
    throw badRoot(root, `is open to other users, and that cannot be changed (${String(error)})`);
  }
  if ((statSync(root).mode & FOR_OTHERS) === 0) return;
  throw badRoot(root, "is on a file system that keeps no modes, and open to other users: mount it with umask=077");
}

/** The stat of whatever is there; a directory is made if nothing is. */
function ensureRoot(root: string): Stats {
  try {
    const stat = lstatSync(root, { throwIfNoEntry: false });
    if (stat !== undefined) return stat;
    makeDirectory(root);
    return lstatSync(root);
  } catch (error) {
    throw badRoot(root, `cannot be made (${error instanceof Error ? error.message : String(error)})`);
  }
}

/** Node's own recursive mkdir never comes back from a symbolic link that leads nowhere. */
function makeDirectory(path: string): void {
  const parent = dirname(path);
  if (statSync(parent, { throwIfNoEntry: false }) === undefined) makeDirectory(parent);
  try {
    mkdirSync(path, ROOT_MODE);
  } catch (error) {
    // Another daemon that starts at the same time may have been faster.
    if (statSync(path, { throwIfNoEntry: false })?.isDirectory() !== true) throw error;
  }
}

function badRoot(root: string, reason: string): SessionError {
  return new SessionError("ERR_BAD_ROOT", `The root ${root} ${reason}.`);
}

/** Every setting as a Markdown table, for OPERATING.md. */
export function describeSettings(): string {
  const rows = Object.entries(SETTINGS).map(
    ([name, row]) => `| \`${name}\` | \`${row.default === "" ? '""' : row.default}\` | ${row.meaning} |`,
  );
  return ["| setting | default | meaning |", "|---|---|---|", ...rows].join("\n");
}

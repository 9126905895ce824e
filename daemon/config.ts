// The daemon's settings, in one table: names, defaults, units, flags. Checks what comes from outside; reads no file.

import { chmodSync, lstatSync, mkdirSync, type Stats, statSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { SessionError } from "../protocol/errors.ts";
import { DEFAULT_TIMEOUT_SECONDS, findPlaces, MAX_TIMER_MS, type Places } from "../protocol/places.ts";
import { isSystemError } from "./files/files.ts";

const ROOT_MODE = 0o700;
const FOR_OTHERS = 0o077;

interface Setting<T> {
  readonly default: T;
  readonly meaning: string;
  readonly isHidden?: boolean;
}

const SETTINGS = {
  durability: {
    default: "file" as "file" | "fsync",
    meaning:
      '"file": in the file before acknowledged, survives the end of any process; "fsync": survives power loss too',
  },
  engine: {
    default: "gambas-file" as "gambas-file" | "memory",
    meaning: "where sessions are kept; memory is for tests and floors and loses everything with the daemon",
  },
  gambas: {
    default: "auto" as "auto" | "3.18" | "3.19",
    meaning:
      "which Gambas reads a session in which an object occurs twice: those up to 3.18, or those from 3.19 on; auto: as this root's files show lately, else as the installed Gambas does, else 3.19",
  },
  timeoutSeconds: { default: DEFAULT_TIMEOUT_SECONDS, meaning: "life time of a session created without one" },
  cacheBytes: { default: 64 * 1024 * 1024, meaning: "memory for sessions that were used lately, in bytes" },
  maxSessionBytes: { default: 32 * 1024 * 1024, meaning: "a session file at most, in bytes" },
  maxQueuedBytes: { default: 64 * 1024 * 1024, meaning: "commits of one connection that wait to be written, in bytes" },
  leaseMs: { default: 5_000, meaning: "a transaction's lease when none is asked for" },
  maxLeaseMs: { default: 60_000, meaning: "the longest lease that may be asked for" },
  lockWaitMs: {
    default: 10_000,
    meaning: "how long another program may hold a session's lock before ERR_SESSION_BUSY",
  },
  openSessions: { default: 1_000, meaning: "hot sessions whose files are kept open" },
  sweepMs: { default: 60_000, meaning: "pause between two sweeps for expired sessions; 0: no sweep" },
  reconcileMs: {
    default: 5_000,
    meaning: "pause between two looks at cached sessions for changes by other programs; 0: none",
  },
  tombstoneSeconds: { default: 86_400, meaning: "how long an ended session is kept from coming back" },
  maxTombstones: { default: 1_000_000, meaning: "ended sessions remembered at most" },
  repairSeconds: {
    default: 300,
    meaning: "how long a replaced value is recognised in a stale save of another program",
  },
  maxReplacedValues: { default: 1_000_000, meaning: "replaced values remembered at most" },
  idleExitMs: { default: 0, meaning: "leave after this long without any client; 0: stay" },
  logLevel: { default: "info" as "debug" | "info" | "warn" | "error" | "silent", meaning: "what is logged" },
  logFile: {
    default: "" as string,
    meaning: "where it is logged; empty: standard error. Begun anew at 1 MiB, one old one is kept",
  },
} as const satisfies Record<string, Setting<string | number>>;

type SettingName = keyof typeof SETTINGS;
type Widen<T> = T extends number ? number : T;
export type Settings = { readonly [K in SettingName]: Widen<(typeof SETTINGS)[K]["default"]> };

/** What `startDaemon` takes: any setting, and the places. */
export type DaemonOptions = Partial<Settings> & Partial<Places>;

export interface Config extends Settings, Places {}

const CHOICES: { readonly [K in SettingName]?: readonly string[] } = {
  durability: ["file", "fsync"],
  engine: ["gambas-file", "memory"],
  gambas: ["auto", "3.18", "3.19"],
  logLevel: ["debug", "info", "warn", "error", "silent"],
};

/** Merges options over environment over defaults. Throws ERR_BAD_OPTION or ERR_SOCKET_PATH; touches nothing. */
export function resolveConfig(options: DaemonOptions, env: NodeJS.ProcessEnv = process.env): Config {
  checkIsNamed(options, "root");
  checkIsNamed(options, "socket");
  const places = findPlaces(options, { env, uid: process.getuid?.(), toAbsolute: resolve });
  const settings: Record<string, string | number> = {};
  for (const name of Object.keys(SETTINGS) as SettingName[]) {
    settings[name] = checkSetting(name, options[name] ?? SETTINGS[name].default);
  }
  for (const name of Object.keys(options)) {
    if (name !== "root" && name !== "socket" && !Object.hasOwn(SETTINGS, name)) throw unknownSetting(name);
  }
  const config = { ...(settings as Settings), ...places };
  if (options.leaseMs === undefined) return { ...config, leaseMs: Math.min(config.leaseMs, config.maxLeaseMs) };
  if (config.leaseMs > 0 && config.leaseMs <= config.maxLeaseMs) return config;
  const what = `The setting leaseMs must be above 0 and at most maxLeaseMs (${config.maxLeaseMs}), not ${config.leaseMs}.`;
  throw new SessionError("ERR_BAD_OPTION", what);
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

function checkSetting(name: SettingName, value: string | number): string | number {
  const choices = CHOICES[name];
  if (choices !== undefined) {
    if (typeof value === "string" && choices.includes(value)) return value;
    throw new SessionError("ERR_BAD_OPTION", `The setting ${name} must be one of ${choices.join(", ")}, not ${value}.`);
  }
  if (typeof SETTINGS[name].default === "string" && typeof value === "string") return value;
  const max = name.endsWith("Ms") ? MAX_TIMER_MS : Number.MAX_VALUE;
  if (typeof value === "number" && value >= 0 && value <= max) return value;
  const range = max === MAX_TIMER_MS ? `a number from 0 to ${max}` : "a number of 0 or more";
  throw new SessionError("ERR_BAD_OPTION", `The setting ${name} must be ${range}, not ${value}.`);
}

function unknownSetting(name: string): SessionError {
  return new SessionError(
    "ERR_BAD_OPTION",
    `There is no setting "${name}"; there are root, socket, ${Object.keys(SETTINGS).join(", ")}.`,
  );
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

/** What is there, be it what it should be or not; made if nothing is. */
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
    if (!isSystemError(error, "EEXIST")) throw error;
    if (statSync(path, { throwIfNoEntry: false })?.isDirectory() !== true) throw error;
  }
}

function badRoot(root: string, reason: string): SessionError {
  return new SessionError("ERR_BAD_ROOT", `The root ${root} ${reason}.`);
}

/** Every setting as a Markdown table, for README. */
export function describeSettings(): string {
  const rows = Object.entries(SETTINGS).map(
    ([name, row]) => `| \`${name}\` | \`${row.default === "" ? '""' : row.default}\` | ${row.meaning} |`,
  );
  return ["| setting | default | meaning |", "|---|---|---|", ...rows].join("\n");
}

/** Reads `--name value` pairs (kebab-case) into options. Throws ERR_BAD_OPTION. */
export function settingFlags(): { readonly name: string; readonly setting: string; readonly isNumber: boolean }[] {
  return Object.entries(SETTINGS).map(([setting, row]) => ({
    name: setting.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`),
    setting,
    isNumber: typeof row.default === "number",
  }));
}

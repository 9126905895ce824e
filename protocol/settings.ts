// The settings of a daemon, in one table: names, defaults, units, what each must be. Both sides need it: a client starts a daemon with them.

import { SessionError } from "./errors.ts";
import { checkNames } from "./names.ts";
import { DEFAULT_TIMEOUT_SECONDS, MAX_TIMER_MS } from "./places.ts";

interface Setting<T> {
  readonly default: T;
  readonly meaning: string;
}

export const SETTINGS = {
  durability: {
    default: "file" as "file" | "fsync" | "replica",
    meaning:
      '"file": in the file before acknowledged, survives the end of any program; "fsync": survives power loss too; with type redis "file": as safe as the server keeps it, or "replica": a replica has it, too',
  },
  redis: {
    default: "" as string,
    meaning:
      "with type redis: the URL of the server, or several with commas between them; a URL with a password is given by GAMBAS_SESSION_REDIS, never as a flag",
  },
  maxStaleMs: {
    default: 0,
    meaning:
      "with type redis: how old what another host wrote may be when it is read; 0: a read sees every write acknowledged before",
  },
  acceptEviction: {
    default: false as boolean,
    meaning: "with type redis: use a server that may drop sessions when its memory is full",
  },
  acceptLoss: {
    default: false as boolean,
    meaning: "with type redis: use a server that keeps no log of its writes (appendonly no), only snapshots or nothing",
  },
  gambas: {
    default: "auto" as "auto" | "3.18" | "3.19",
    meaning:
      "which Gambas reads a session in which an object occurs twice: those up to 3.18, or those from 3.19 on; auto: as this root's files show lately, else as the installed Gambas does, else 3.19",
  },
  timeoutSeconds: {
    default: DEFAULT_TIMEOUT_SECONDS,
    meaning:
      "life time of a session whose client names none; ours always does (option timeout, Session.Timeout), so this is for others",
  },
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
} as const satisfies Record<string, Setting<string | number | boolean>>;

export type SettingName = keyof typeof SETTINGS;
type Widen<T> = T extends number ? number : T extends boolean ? boolean : T;
export type Settings = { readonly [K in SettingName]: Widen<(typeof SETTINGS)[K]["default"]> };

/** Some of them, as they are given; undefined is not given. */
export type GivenSettings = { readonly [K in SettingName]?: Settings[K] | undefined };

const MAX_SHOWN_CHARACTERS = 100;

const CHOICES: { readonly [K in SettingName]?: readonly string[] } = {
  durability: ["file", "fsync", "replica"],
  gambas: ["auto", "3.18", "3.19"],
  logLevel: ["debug", "info", "warn", "error", "silent"],
};

/** Names that settings had once. */
const FORMER: Readonly<Record<string, string>> = {
  engine:
    'that is the type of the sessions, the option type beside root and socket: "file", "sqlite", "redis", or "memory" for tests.',
};

/**
 * All settings: those that are given, over their defaults.
 *
 * @param given settings by name; undefined stands for the default.
 * @param others names that may be there besides, and are left alone.
 * @throws SessionError ERR_BAD_OPTION, by name.
 */
export function resolveSettings(given: GivenSettings, others: readonly string[] = []): Settings {
  if (typeof given !== "object" || given === null || Array.isArray(given))
    throw new SessionError("ERR_BAD_OPTION", `The settings must be an object, not ${shown(given)}.`);
  checkNames(given, { kind: "setting", known: [...others, ...Object.keys(SETTINGS)], foreign: FORMER });
  const settings: Record<string, string | number | boolean> = {};
  for (const name of Object.keys(SETTINGS) as SettingName[]) {
    settings[name] = checkSetting(name, given[name] ?? SETTINGS[name].default);
  }
  const all = settings as Settings;
  if (given.leaseMs === undefined) return { ...all, leaseMs: Math.min(all.leaseMs, all.maxLeaseMs) };
  if (all.leaseMs > 0 && all.leaseMs <= all.maxLeaseMs) return all;
  const what = `The setting leaseMs must be above 0 and at most maxLeaseMs (${all.maxLeaseMs}), not ${all.leaseMs}.`;
  throw new SessionError("ERR_BAD_OPTION", what);
}

function checkSetting(name: SettingName, value: string | number | boolean): string | number | boolean {
  const choices = CHOICES[name];
  if (choices !== undefined) {
    if (typeof value === "string" && choices.includes(value)) return value;
    throw new SessionError(
      "ERR_BAD_OPTION",
      `The setting ${name} must be one of ${choices.join(", ")}, not ${shown(value)}.`,
    );
  }
  const kind = typeof SETTINGS[name].default;
  if (kind !== "number") {
    if (typeof value === kind) return value;
    // What was given instead may be a secret.
    throw new SessionError(
      "ERR_BAD_OPTION",
      `The setting ${name} must be ${kind === "string" ? "text" : "true or false"}.`,
    );
  }
  const max = name.endsWith("Ms") ? MAX_TIMER_MS : Number.MAX_VALUE;
  if (typeof value === "number" && value >= 0 && value <= max) return value;
  const range = max === MAX_TIMER_MS ? `a number from 0 to ${max}` : "a number of 0 or more";
  throw new SessionError("ERR_BAD_OPTION", `The setting ${name} must be ${range}, not ${shown(value)}.`);
}

/** As an error shows it: of text one sees that it is no number. */
function shown(value: unknown): string {
  return typeof value === "string" ? JSON.stringify(value.slice(0, MAX_SHOWN_CHARACTERS)) : String(value);
}

interface Flag {
  /** In kebab-case, without the dashes. */
  readonly name: string;
  readonly setting: string;
  /** What its value is; one of "boolean" has none. */
  readonly kind: "number" | "text" | "boolean";
  /** Undefined: any number or text. */
  readonly choices: readonly string[] | undefined;
}

const KINDS = { number: "number", string: "text", boolean: "boolean" } as const;

/** The flag of every setting. */
export function settingFlags(): Flag[] {
  return Object.entries(SETTINGS).map(([setting, row]) => ({
    name: setting.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`),
    setting,
    kind: KINDS[typeof row.default as keyof typeof KINDS],
    choices: CHOICES[setting as SettingName],
  }));
}

// The types of sessions, in one table: what each needs, and which settings it alone has. A further type is a row here and an engine in
// `daemon/engines.ts`. Knows no engine, and of no setting more than its name.

import { SessionError } from "./errors.ts";
import { databaseName } from "./session-id.ts";

interface TypeRow {
  /** "sessions": what `Session.Type` may be; "tests": an option only. */
  readonly use: "sessions" | "tests";
  /** Each session is a file in `session/` below the root. Whether workers may look at it says the daemon. */
  readonly isInFiles: boolean;
  /** The name of a session's file in `session/`; undefined where sessions have none. */
  readonly fileName: ((id: string) => string) | undefined;
  /** What tells workers whether their copies are current, where the daemon says a directory: a stat, or the log of a database. */
  readonly copiesBy: "stat" | "log" | undefined;
  /** All values of a session are in one dialect; else each is in that of the program that put it there. */
  readonly hasDialect: boolean;
  /** Settings without which no daemon can begin, with what each is for. */
  readonly needs: Readonly<Record<string, string>>;
  /** Settings that mean something to this type and not to every other one. */
  readonly own: readonly string[];
  readonly durabilities: readonly string[];
  /** Other packages keep sessions in the same place, which can become ours. */
  readonly adopts: boolean;
  /** How long a daemon that is started may take until it is ready, or says why not, at least: on a busy machine a start takes seconds. */
  readonly startMs: number;
}

/** Of sessions that Gambas programs lock and write, and of what no server does by itself. */
const OF_LOCAL_STORES = ["gambas", "openSessions", "lockWaitMs", "sweepMs", "maxTombstones"] as const;
/** Of files that others replace as a whole. */
const OF_WHOLE_FILES = [...OF_LOCAL_STORES, "reconcileMs", "repairSeconds", "maxReplacedValues"] as const;

export const TYPES = {
  file: {
    use: "sessions",
    isInFiles: true,
    fileName: (id) => id,
    copiesBy: "stat",
    hasDialect: true,
    needs: {},
    own: OF_WHOLE_FILES,
    durabilities: ["file", "fsync"],
    adopts: false,
    startMs: 10_000,
  },
  sqlite: {
    use: "sessions",
    isInFiles: true,
    fileName: databaseName,
    copiesBy: "log",
    hasDialect: false,
    needs: {},
    own: OF_LOCAL_STORES,
    durabilities: ["file", "fsync"],
    adopts: false,
    startMs: 10_000,
  },
  redis: {
    use: "sessions",
    isInFiles: false,
    fileName: undefined,
    copiesBy: undefined,
    hasDialect: true,
    needs: { redis: "where the server is" },
    own: ["redis", "maxStaleMs", "acceptEviction", "acceptLoss"],
    durabilities: ["file", "replica"],
    adopts: true,
    // For a server that is away it looks for 10 s before it says so.
    startMs: 15_000,
  },
  memory: {
    use: "tests",
    isInFiles: false,
    fileName: undefined,
    copiesBy: undefined,
    hasDialect: true,
    needs: {},
    own: OF_WHOLE_FILES,
    durabilities: ["file", "fsync"],
    adopts: false,
    startMs: 10_000,
  },
} as const satisfies Record<string, TypeRow>;

/** The name of a type that there is. */
export type TypeName = keyof typeof TYPES;
/** What `Session.Type` may be. */
export type SessionType = { [N in TypeName]: (typeof TYPES)[N]["use"] extends "sessions" ? N : never }[TypeName];

export const DEFAULT_TYPE = "file";
/** Gambas' own default, which it also takes "" for. */
const DEFAULT_OF_GAMBAS = "sqlite";

const ALL = Object.keys(TYPES) as TypeName[];
const FOR_SESSIONS = ALL.filter((name): name is SessionType => TYPES[name].use === "sessions");

/**
 * The type that an option, a flag or a variable names, in letters of any case.
 *
 * @throws SessionError ERR_BAD_OPTION for one that is unknown.
 */
export function typeNamed(text: unknown): TypeName {
  return find(text, ALL);
}

/**
 * The type that `Session.Type` is set to, in letters of any case. "" is what it is for Gambas, "sqlite": another one would be a site that has
 * its sessions elsewhere than its Gambas pages have them.
 *
 * @throws SessionError ERR_BAD_OPTION "Unknown session type".
 */
export function sessionTypeNamed(text: unknown): SessionType {
  return find(text === "" ? DEFAULT_OF_GAMBAS : text, FOR_SESSIONS);
}

export function sessionTypes(): readonly SessionType[] {
  return FOR_SESSIONS;
}

function find<N extends TypeName>(text: unknown, names: readonly N[]): N {
  const wanted = typeof text === "string" ? text.toLowerCase() : undefined;
  const found = names.find((name) => name === wanted);
  if (found !== undefined) return found;
  const there = `there are ${FOR_SESSIONS.map((name) => JSON.stringify(name)).join(", ")}.`;
  throw new SessionError("ERR_BAD_OPTION", `Unknown session type ${shown(text)}; ${there}`);
}

function shown(text: unknown): string {
  return typeof text === "string" ? JSON.stringify(text.slice(0, 100)) : String(text);
}

/** Who is told of a setting, and how it is called there. */
export type Kind = "option" | "setting";

/**
 * Refuses what means nothing to the type: that somebody gives it shows that something else was meant.
 *
 * @param given settings by name; undefined is not given.
 * @param said how those are called that have another name there.
 * @throws SessionError ERR_BAD_OPTION, with both names.
 */
export function checkForType(
  given: object,
  type: TypeName,
  kind: Kind,
  said: Readonly<Record<string, string>> = {},
): void {
  for (const [name, value] of Object.entries(given)) {
    if (value === undefined) continue;
    const owners = ALL.filter((one) => isOwn(name, one));
    if (owners.length === 0 || owners.includes(type)) continue;
    const whose = owners.filter((one) => TYPES[one].use === "sessions").join(", ");
    const what = `The ${kind} ${said[name] ?? name} is for sessions of type ${whose}; the type is ${type}.`;
    throw new SessionError("ERR_BAD_OPTION", what);
  }
  const { durability } = given as { readonly durability?: unknown };
  const durabilities: readonly unknown[] = TYPES[type].durabilities;
  if (durability === undefined || durabilities.includes(durability)) return;
  const what = `The ${kind} durability must be one of ${durabilities.join(", ")} for sessions of type ${type}, not ${shown(durability)}.`;
  throw new SessionError("ERR_BAD_OPTION", what);
}

function isOwn(name: string, type: TypeName): boolean {
  const own: readonly string[] = TYPES[type].own;
  return own.includes(name);
}

/** @throws SessionError ERR_BAD_OPTION, with the type and what it lacks. */
export function checkNeeds(settings: object, type: TypeName): void {
  const given = settings as Readonly<Record<string, unknown>>;
  for (const [name, meaning] of Object.entries(TYPES[type].needs)) {
    if (given[name] !== undefined && given[name] !== "") continue;
    const ways = `the option ${name}, --${name} or GAMBAS_SESSION_${name.toUpperCase()}`;
    throw new SessionError("ERR_BAD_OPTION", `Sessions of type ${type} need ${ways}: ${meaning}.`);
  }
}

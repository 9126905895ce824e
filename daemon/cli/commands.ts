// The commands of gambas-sessiond, in one table: names, flags, meanings. The help is printed from it, and a flag that a command does not name
// is refused. A command loads what it needs when it runs: `status` starts no engine.

import { parseRedisUrl } from "../../protocol/redis-url.ts";
import { isSessionId } from "../../protocol/session-id.ts";
import { SETTINGS } from "../../protocol/settings.ts";
import { type SessionType, sessionTypeNamed, sessionTypes } from "../../protocol/types.ts";
import { type DaemonOptions, DEFAULT_TYPE, settingFlags, TYPES } from "../config.ts";
import type { Rhythm } from "./live/rhythm.ts";
import { listenToSignals } from "./signals.ts";
import type { Errand } from "./terminal/errand.ts";
import { openOutput } from "./terminal/output.ts";
import { WrongUsage } from "./terminal/refusals.ts";

/** What was typed behind the name of the command. */
export interface Given {
  readonly flags: ReadonlyMap<string, string | true>;
  readonly operands: readonly string[];
}

export interface Flag {
  /** In kebab-case, without the dashes. */
  readonly name: string;
  /** What its value is; undefined: it has none. */
  readonly value?: string;
  readonly default?: string;
  readonly meaning: string;
}

export interface Command {
  /** A line of the general help. */
  readonly meaning: string;
  /** What else its own help says. */
  readonly more?: string;
  /** How it is typed, without the general flags. */
  readonly forms: readonly string[];
  /** Operands at least and at most. */
  readonly operands: readonly [least: number, most: number];
  readonly flags: readonly Flag[];
  readonly examples: readonly (readonly [typed: string, meaning: string])[];
  /** Resolves to whether all was done that was asked for. Throws WrongUsage, NoDaemon, SessionError. */
  run(given: Given): Promise<boolean>;
}

/** Of every command. */
export const GENERAL_FLAGS: readonly Flag[] = [
  { name: "help", meaning: "this text; behind a command, that of the command" },
  { name: "version", meaning: "which version this is" },
];
const PLACES: readonly Flag[] = [
  {
    name: "root",
    value: "DIR",
    default: "GAMBAS_SESSION_ROOT, else /tmp/gambas.<uid>",
    meaning: "where the sessions are",
  },
  {
    name: "socket",
    value: "PATH",
    default: "GAMBAS_SESSION_SOCKET, else sessiond.sock in the root",
    meaning: "where the daemon answers",
  },
  {
    name: "type",
    value: Object.keys(TYPES).join("|"),
    default: `GAMBAS_SESSION_TYPE, else ${DEFAULT_TYPE}`,
    meaning: "where sessions are kept; each type has a daemon of its own. Those in memory end with it: for tests",
  },
];
const JSON_FLAG: Flag = { name: "json", meaning: "raw figures, for programs" };
const DRY_RUN: Flag = { name: "dry-run", meaning: "only say what would be done" };
const RHYTHM: readonly Flag[] = [
  { name: "interval", value: "S", default: "2", meaning: "seconds from one look to the next" },
  { name: "count", value: "N", meaning: "leave after so many" },
];
const MIN_INTERVAL_S = 0.1;
const MAX_INTERVAL_S = 86_400;
const NO_LIMIT = Number.POSITIVE_INFINITY;
const SETTING_FLAGS = settingFlags();
/** No other setting of a daemon changes what is moved. */
const OF_CONVERSION: readonly string[] = ["durability", "gambas", "redis", "accept-eviction", "accept-loss"];
const SESSION_TYPES = sessionTypes();
const ID = "192.0.2.7:0123456789ABCDEF01234567";

export const COMMANDS: Readonly<Record<string, Command>> = {
  run: {
    meaning: "keeps sessions, in the foreground",
    forms: ["[run] [--SETTING VALUE ...]", "[run] --takeover [...]"],
    operands: [0, 0],
    flags: [
      { name: "takeover", meaning: "takes the place of the daemon that runs" },
      ...PLACES,
      ...SETTING_FLAGS.map(settingFlag),
      {
        name: "ready-fd",
        value: "FD",
        meaning: "say on this descriptor that a daemon serves, as clients want it that start one",
      },
    ],
    examples: [
      ["--root /var/lib/app/sessions", "keep the sessions of an application"],
      ["--takeover", "take over from the one that runs, after an update"],
    ],
    async run(given) {
      const { flags } = given;
      const readyFd = flags.has("ready-fd") ? numberOf(given, "ready-fd") : undefined;
      // A signal may come while the rest is being loaded.
      const leaving = listenToSignals(readyFd === undefined);
      const { run } = await import("./run.ts");
      await run({ options: optionsOf(given), readyFd, takesOver: flags.has("takeover"), leaving });
      return true;
    },
  },
  status: {
    meaning: "tells how the daemon is",
    more: "Once, or with --watch again and again.",
    forms: ["status [--json]", "status --watch [--interval S] [--count N] [--json]"],
    operands: [0, 0],
    flags: [{ name: "watch", meaning: "again and again" }, ...RHYTHM, JSON_FLAG, ...PLACES],
    examples: [
      ["status --json", "every figure, raw"],
      ["status --watch", "every figure, as it changes"],
    ],
    async run(given) {
      if (given.flags.has("watch"))
        return (await import("./live/watch-status.ts")).watchStatus(errandOf(given), rhythmOf(given, "status"));
      for (const { name } of RHYTHM)
        if (given.flags.has(name)) throw new WrongUsage(`The flag --${name} is for --watch.`, { cause: "status" });
      return (await import("./status.ts")).status(errandOf(given));
    },
  },
  top: {
    meaning: "shows what the daemon does, live",
    more: "Rates, latencies, load, and the sessions that are used most, on a terminal as a screen that q leaves, else a line for each look. Reads that workers answer from their own copies never reach the daemon and are not counted. A daemon that goes away is waited for.",
    forms: ["top [--interval S] [--count N] [--json]"],
    operands: [0, 0],
    flags: [...RHYTHM, JSON_FLAG, ...PLACES],
    examples: [
      ["top", "live, in a terminal; q leaves"],
      ["top --json --interval 10 >> top.log", "a line of JSON every ten seconds"],
    ],
    run: async (given) => (await import("./live/top.ts")).top(errandOf(given), rhythmOf(given, "top")),
  },
  list: {
    meaning: "lists sessions: bytes, last use, expiry, id",
    more: "With a prefix it lists those of exactly this one.",
    forms: ["list [PREFIX] [--json]"],
    operands: [0, 1],
    flags: [JSON_FLAG, ...PLACES],
    examples: [["list 192.0.2.7", "those of one address"]],
    run: async (given) => (await import("./sessions/list.ts")).list(errandOf(given)),
  },
  show: {
    meaning: "shows what is in a session, or in a file or a database of one",
    more: "Keys, exact types, values, bytes, last use, expiry. Reads a file of either dialect without a daemon, and a database without anybody noticing; says of a damaged one what is wrong.",
    forms: ["show ID|FILE [--no-values] [--json]"],
    operands: [1, 1],
    flags: [{ name: "no-values", meaning: "keys and types only: values may be secrets" }, JSON_FLAG, ...PLACES],
    examples: [
      [`show ${ID}`, "keys, types, values"],
      ["show backup/session/SOME_FILE", "the same of a file, or of a database, without a daemon"],
    ],
    async run(given) {
      checkPlacesOf(given);
      const { show } = await import("./sessions/show.ts");
      return show(errandOf(given), given.flags.has("no-values") ? "types" : "values");
    },
  },
  end: {
    meaning: "ends sessions for good",
    more: "Says of each what became of it.",
    forms: ["end ID... [--dry-run] [--json]", "end --prefix PREFIX [--dry-run] [--json]"],
    operands: [0, NO_LIMIT],
    flags: [
      { name: "prefix", value: "PREFIX", meaning: "every session of exactly this prefix" },
      DRY_RUN,
      JSON_FLAG,
      ...PLACES,
    ],
    examples: [
      [`end ${ID}`, "end one session"],
      ["end --prefix 192.0.2.7 --dry-run", "say which sessions would end"],
    ],
    async run(given) {
      const { end } = await import("./sessions/end.ts");
      const prefix = given.flags.get("prefix");
      if ((prefix === undefined) === (given.operands.length === 0))
        throw new WrongUsage("The command end needs ids, or --prefix PREFIX.", { cause: "end" });
      return end(errandOf(given), {
        prefix: prefix as string | undefined,
        does: given.flags.has("dry-run") ? "look" : "end",
      });
    },
  },
  sweep: {
    meaning: "ends sessions whose time is over, now",
    more: "The daemon does so every sweepMs by itself. Says how many; damaged ones are left.",
    forms: ["sweep [--dry-run] [--json]"],
    operands: [0, 0],
    flags: [DRY_RUN, JSON_FLAG, ...PLACES],
    examples: [["sweep --dry-run", "say how many would end"]],
    async run(given) {
      const { sweep } = await import("./sessions/sweep.ts");
      return sweep(errandOf(given), given.flags.has("dry-run") ? "look" : "end");
    },
  },
  convert: {
    meaning: "moves all sessions of a root from one type to another",
    more: "Each value with its exact type and what is left of its session's time, tombstones included. Needs the daemon of the old type to be stopped, and says how. Sessions whose ids are in use in the new place are left and counted, and so are databases whose names do not tell the id: those of ids that begin with an address, or with letters and digits, do. One that was interrupted is done again.",
    forms: [
      "convert --from TYPE --to TYPE [--dry-run] [--json]",
      "convert --from sqlite --to TYPE --prefix FORM,... [...]",
    ],
    operands: [0, 0],
    flags: [
      { name: "from", value: SESSION_TYPES.join("|"), meaning: "the type that the sessions are of" },
      { name: "to", value: SESSION_TYPES.join("|"), meaning: "the type that they become" },
      {
        name: "prefix",
        value: "FORM,...",
        meaning:
          "from sqlite: how ids begin whose databases do not tell, with * for letters and digits; user_42_....db is of user-42:... by user-*",
      },
      DRY_RUN,
      JSON_FLAG,
      ...PLACES.filter(({ name }) => name === "root"),
      ...SETTING_FLAGS.filter(({ name }) => OF_CONVERSION.includes(name))
        .map(settingFlag)
        .map(ofConversion),
    ],
    examples: [
      ["convert --from file --to redis --dry-run", "say how many would move to the Redis of GAMBAS_SESSION_REDIS"],
      ["convert --from redis --to file", "the way back"],
      [
        "convert --from sqlite --to file --prefix 'user-*'",
        "with the ids that the program has made with Session.Prefix",
      ],
    ],
    async run(given) {
      const [from, to] = ["from", "to"].map((name) => typeOf(given, name)) as [SessionType, SessionType];
      if (from === to) throw new WrongUsage(`Sessions of type ${from} are of that type.`, { cause: "convert" });
      const { convert } = await import("./convert.ts");
      const does = given.flags.has("dry-run") ? "look" : "move";
      const prefixes = given.flags.get("prefix") as string | undefined;
      return convert({ ...errandOf(given), from, to, does, prefixes, tell: (line) => process.stderr.write(line) });
    },
  },
  doctor: {
    meaning: "looks for what is wrong, says what to do, and changes nothing",
    more: "Looks at everything a root needs: owner, mode, file system, space, cleaners of /tmp, socket, election, versions, locks, limits, clock, Gambas, unreadable sessions, other applications; with --type redis at the daemon's server and at one that is named, with --type sqlite at SQLite and the guard, too. Needs no daemon, and ends with 1 where there is a problem.",
    forms: ["doctor [--json]"],
    operands: [0, 0],
    flags: [JSON_FLAG, ...PLACES, ...SETTING_FLAGS.filter(({ setting }) => setting === "redis").map(settingFlag)],
    examples: [["doctor --root /var/lib/app/sessions", "look at the root of an application"]],
    run: async (given) => (await import("./doctor.ts")).doctor(errandOf(given), process),
  },
  stop: {
    meaning: "asks the daemon to leave, and waits until it has",
    forms: ["stop [--json]"],
    operands: [0, 0],
    flags: [JSON_FLAG, ...PLACES],
    examples: [["stop", "nothing that was acknowledged is lost"]],
    run: async (given) => (await import("./stop.ts")).stop(errandOf(given)),
  },
  completion: {
    meaning: "prints what a shell needs to complete commands and flags",
    forms: ["completion bash|zsh|fish"],
    operands: [1, 1],
    flags: [],
    examples: [
      ["completion bash >> ~/.bash_completion", "for every bash from now on"],
      ["completion fish | source", "for this fish"],
    ],
    async run({ operands }) {
      const table = { commands: COMMANDS, generalFlags: GENERAL_FLAGS, defaultCommand: DEFAULT_COMMAND };
      const { completion } = await import("./completion/completion.ts");
      return completion({ operands, say: openOutput(process.stdout) }, table);
    },
  },
};

export const DEFAULT_COMMAND = "run";

function settingFlag({ name, setting, kind, choices }: (typeof SETTING_FLAGS)[number]): Flag {
  const { meaning, default: fallback } = SETTINGS[setting as keyof typeof SETTINGS];
  if (kind === "boolean") return { name, meaning };
  const text = setting.endsWith("File") ? "PATH" : setting === "redis" ? "URL" : "TEXT";
  return { name, value: choices?.join("|") ?? (kind === "number" ? "N" : text), default: String(fallback), meaning };
}

/** What is moved is on the disk before it is removed elsewhere. */
function ofConversion(flag: Flag): Flag {
  return flag.name === "durability" ? { ...flag, default: "fsync; with type redis file" } : flag;
}

function errandOf(given: Given): Errand {
  const form = given.flags.has("json") ? "json" : "text";
  return { options: optionsOf(given), operands: given.operands, form, say: openOutput(process.stdout) };
}

function typeOf({ flags }: Given, name: string): SessionType {
  const text = flags.get(name);
  if (text === undefined) throw new WrongUsage(`The command convert needs --${name} TYPE.`, { cause: "convert" });
  return sessionTypeNamed(text);
}

/** What names a daemon would be without effect where a file is shown. */
function checkPlacesOf({ flags, operands: [shown = ""] }: Given): void {
  const flag = PLACES.find(({ name }) => flags.has(name));
  if (flag === undefined || isSessionId(shown)) return;
  const what = `The flag --${flag.name} is for an id, and ${JSON.stringify(shown)} is the name of a file.`;
  throw new WrongUsage(what, { cause: "show" });
}

function rhythmOf(given: Given, command: string): Rhythm {
  const [interval, count] = RHYTHM.map(({ name, default: fallback }) => given.flags.get(name) ?? fallback);
  const seconds = Number(interval || Number.NaN);
  const times = count === undefined ? NO_LIMIT : Number(count || Number.NaN);
  const isWhole = count === undefined || (Number.isInteger(times) && times > 0);
  if (seconds >= MIN_INTERVAL_S && seconds <= MAX_INTERVAL_S && isWhole) return { everyMs: seconds * 1000, times };
  const what = isWhole
    ? `--interval takes seconds from ${MIN_INTERVAL_S} to ${MAX_INTERVAL_S}, not ${JSON.stringify(interval)}.`
    : `--count takes a whole number above 0, not ${JSON.stringify(count)}.`;
  throw new WrongUsage(`The flag ${what}`, { cause: command });
}

function optionsOf(given: Given): DaemonOptions {
  const options: Record<string, string | number | boolean> = {};
  for (const { name, setting, kind } of [...PLACES.map(placeFlag), ...SETTING_FLAGS]) {
    const value = given.flags.get(name);
    if (value === undefined) continue;
    options[setting] = kind === "number" ? numberOf(given, name) : kind === "boolean" ? true : String(value);
  }
  if (typeof options.redis === "string") checkIsPublic(options.redis);
  return options as DaemonOptions;
}

function placeFlag({ name }: Flag): Pick<(typeof SETTING_FLAGS)[number], "name" | "setting" | "kind"> {
  return { name, setting: name, kind: "text" };
}

/** Everybody on the machine can read the flags of a process. */
function checkIsPublic(redis: string): void {
  const { credentials, sentinelCredentials } = parseRedisUrl(redis);
  if (credentials.password === undefined && sentinelCredentials.password === undefined) return;
  const what =
    "The flag --redis shows its password to everybody who lists the processes. Give the URL by GAMBAS_SESSION_REDIS, or leave the password in a file: redis://USER@HOST?passwordFile=PATH.";
  throw new WrongUsage(what, { cause: DEFAULT_COMMAND });
}

/** An empty text is no number, whatever JavaScript says. */
function numberOf({ flags }: Given, name: string): number {
  const text = String(flags.get(name));
  const number = text.trim() === "" ? Number.NaN : Number(text);
  if (!Number.isNaN(number)) return number;
  throw new WrongUsage(`The flag --${name} takes a number, not ${JSON.stringify(text)}.`, { cause: DEFAULT_COMMAND });
}

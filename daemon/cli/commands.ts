// The commands of gambas-sessiond, in one table: names, flags, meanings. The help is printed from it, and a flag that a command does not name
// is refused. A command loads what it needs when it runs: `status` starts no engine.

import { SETTINGS } from "../../protocol/settings.ts";
import { type DaemonOptions, settingFlags } from "../config.ts";
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
  readonly meaning: string;
  /** How it is typed, without the general flags. */
  readonly forms: readonly string[];
  /** Operands at least and at most. */
  readonly operands: readonly [least: number, most: number];
  readonly flags: readonly Flag[];
  readonly examples: readonly (readonly [typed: string, meaning: string])[];
  /** Resolves to whether all was done that was asked for. Throws WrongUsage, NoDaemon, SessionError. */
  run(given: Given): Promise<boolean>;
}

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
];
const JSON_FLAG: Flag = { name: "json", meaning: "raw figures, for programs" };
const DRY_RUN: Flag = { name: "dry-run", meaning: "only say what would be done" };
const NO_LIMIT = Number.POSITIVE_INFINITY;
const SETTING_FLAGS = settingFlags();
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
    forms: ["status [--json]"],
    operands: [0, 0],
    flags: [JSON_FLAG, ...PLACES],
    examples: [["status --json", "every figure, raw"]],
    run: async (given) => (await import("./status.ts")).status(errandOf(given)),
  },
  list: {
    meaning: "lists sessions: bytes, last use, expiry, id",
    forms: ["list [PREFIX] [--json]"],
    operands: [0, 1],
    flags: [JSON_FLAG, ...PLACES],
    examples: [["list 192.0.2.7", "those of one address"]],
    run: async (given) => (await import("./sessions/list.ts")).list(errandOf(given)),
  },
  show: {
    meaning: "shows what is in a session, or in a file of one",
    forms: ["show ID|FILE [--no-values] [--json]"],
    operands: [1, 1],
    flags: [{ name: "no-values", meaning: "keys and types only: values may be secrets" }, JSON_FLAG, ...PLACES],
    examples: [
      [`show ${ID}`, "keys, types, values"],
      ["show backup/session/SOME_FILE", "the same of a file, without a daemon"],
    ],
    async run(given) {
      const { show } = await import("./sessions/show.ts");
      return show(errandOf(given), given.flags.has("no-values") ? "types" : "values");
    },
  },
  end: {
    meaning: "ends sessions for good",
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
    forms: ["sweep [--dry-run] [--json]"],
    operands: [0, 0],
    flags: [DRY_RUN, JSON_FLAG, ...PLACES],
    examples: [["sweep --dry-run", "say how many would end"]],
    async run(given) {
      const { sweep } = await import("./sessions/sweep.ts");
      return sweep(errandOf(given), given.flags.has("dry-run") ? "look" : "end");
    },
  },
  doctor: {
    meaning: "looks for what is wrong, says what to do, and changes nothing",
    forms: ["doctor [--json]"],
    operands: [0, 0],
    flags: [JSON_FLAG, ...PLACES],
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
};

export const DEFAULT_COMMAND = "run";

function settingFlag({ name, setting, isNumber }: (typeof SETTING_FLAGS)[number]): Flag {
  const row = SETTINGS[setting as keyof typeof SETTINGS];
  return { name, value: isNumber ? "N" : "TEXT", default: String(row.default), meaning: row.meaning };
}

function errandOf(given: Given): Errand {
  const form = given.flags.has("json") ? "json" : "text";
  return { options: optionsOf(given), operands: given.operands, form, say: openOutput(process.stdout) };
}

function optionsOf(given: Given): DaemonOptions {
  const options: Record<string, string | number> = {};
  for (const { name, setting, isNumber } of [...PLACES.map(placeFlag), ...SETTING_FLAGS]) {
    const value = given.flags.get(name);
    if (value !== undefined) options[setting] = isNumber ? numberOf(given, name) : String(value);
  }
  return options as DaemonOptions;
}

function placeFlag({ name }: Flag): { name: string; setting: string; isNumber: boolean } {
  return { name, setting: name, isNumber: false };
}

/** An empty text is no number, whatever JavaScript says. */
function numberOf({ flags }: Given, name: string): number {
  const text = String(flags.get(name));
  return text.trim() === "" ? Number.NaN : Number(text);
}

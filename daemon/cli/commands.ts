// The commands of gambas-sessiond, in one table: names, flags, meanings. The usage is printed from it, and a flag that a command does not name
// is refused. A command loads what it needs when it runs: `status` starts no engine.

import { type DaemonOptions, describeSettings, settingFlags } from "../config.ts";
import { listenToSignals } from "./signals.ts";

/** The flags as they were given, by name. */
export type Given = ReadonlyMap<string, string | true>;

interface Command {
  /** Forms of the command and what each is for. */
  readonly forms: readonly (readonly [synopsis: string, meaning: string])[];
  /** Flags with a value. */
  readonly texts: readonly string[];
  /** Flags without. */
  readonly switches: readonly string[];
  run(given: Given): Promise<void>;
}

const PLACES = ["root", "socket"];
const SETTINGS = settingFlags();

export const COMMANDS: Readonly<Record<string, Command>> = {
  run: {
    forms: [
      ["[run] [--root DIR] [--socket PATH] [--SETTING VALUE ...]", "keeps sessions, in the foreground"],
      ["--takeover [...]", "takes the place of the one that runs"],
    ],
    // `ready-fd` is for clients that start a daemon.
    texts: [...PLACES, "ready-fd", ...SETTINGS.map(({ name }) => name)],
    switches: ["takeover"],
    async run(given) {
      const readyFd = given.has("ready-fd") ? numberOf(given, "ready-fd") : undefined;
      // A signal may come while the rest is being loaded.
      const leaving = listenToSignals(readyFd === undefined);
      const { run } = await import("./run.ts");
      await run({ options: optionsOf(given), readyFd, takesOver: given.has("takeover"), leaving });
    },
  },
  status: {
    forms: [["status [--json] [--root DIR] [--socket PATH]", "asks a running one how it is"]],
    texts: PLACES,
    switches: ["json"],
    async run(given) {
      const { status } = await import("./status.ts");
      process.stdout.write(`${await status(optionsOf(given), given.has("json"))}\n`);
    },
  },
};

export const DEFAULT_COMMAND = "run";

export function usage(): string {
  const forms = Object.values(COMMANDS).flatMap(({ forms }) => forms);
  const width = Math.max(...forms.map(([synopsis]) => synopsis.length));
  const lines = forms.map(([synopsis, meaning]) => `gambas-sessiond ${synopsis.padEnd(width)}   ${meaning}`);
  return `${lines.join("\n")}\n\nSettings (as flags: --cache-bytes 1000000):\n${describeSettings()}\n`;
}

function optionsOf(given: Given): DaemonOptions {
  const options: Record<string, string | number> = {};
  for (const { name, setting, isNumber } of [...PLACES.map(placeFlag), ...SETTINGS]) {
    const value = given.get(name);
    if (value !== undefined) options[setting] = isNumber ? numberOf(given, name) : String(value);
  }
  return options as DaemonOptions;
}

function placeFlag(name: string): { name: string; setting: string; isNumber: boolean } {
  return { name, setting: name, isNumber: false };
}

/** An empty text is no number, whatever JavaScript says. */
function numberOf(given: Given, name: string): number {
  const text = String(given.get(name));
  return text.trim() === "" ? Number.NaN : Number(text);
}

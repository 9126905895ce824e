// The command line of gambas-sessiond: finds the command, checks its flags, and says in one line why something failed.

import { parseArgs } from "node:util";
import { SessionError } from "../../protocol/errors.ts";
import { COMMANDS, DEFAULT_COMMAND, type Given, usage } from "./commands.ts";

const DONE = 0;
const FAILED = 1;
const WRONG_USAGE = 2;

/** Resolves to the exit status. */
export async function runCommandLine(args: readonly string[]): Promise<number> {
  let asked: Asked;
  try {
    asked = readArguments(args);
  } catch (error) {
    process.stderr.write(`gambas-sessiond: ${error instanceof Error ? error.message : String(error)}\n\n${usage()}`);
    return WRONG_USAGE;
  }
  if (asked.wantsHelp) {
    process.stdout.write(usage());
    return DONE;
  }
  try {
    await COMMANDS[asked.command]?.run(asked.given);
    return DONE;
  } catch (error) {
    if (!(error instanceof SessionError)) throw error;
    process.stderr.write(`gambas-sessiond: ${error.code}: ${error.message}\n`);
    return FAILED;
  }
}

interface Asked {
  readonly command: string;
  readonly given: Given;
  readonly wantsHelp: boolean;
}

/** Throws an error that says what is wrong: an unknown command or flag, or a flag of another command. */
function readArguments(args: readonly string[]): Asked {
  const { values, positionals } = parseArgs({ args: [...args], options: flagsOfAll(), allowPositionals: true });
  const [command = DEFAULT_COMMAND, ...rest] = positionals;
  const row = Object.hasOwn(COMMANDS, command) ? COMMANDS[command] : undefined;
  if (row === undefined || rest.length > 0) throw new Error(`Unknown command ${positionals.join(" ")}`);
  const { help, ...flags } = values;
  const given = new Map(Object.entries(flags) as [string, string | true][]);
  for (const name of given.keys()) {
    if (row.texts.includes(name) || row.switches.includes(name)) continue;
    throw new Error(`The command ${command} has no flag --${name}`);
  }
  return { command, given, wantsHelp: help === true };
}

/** Flags may stand before the command. */
function flagsOfAll(): Record<string, { type: "string" | "boolean" }> {
  const flags: Record<string, { type: "string" | "boolean" }> = { help: { type: "boolean" } };
  for (const { texts, switches } of Object.values(COMMANDS)) {
    for (const name of texts) flags[name] = { type: "string" };
    for (const name of switches) flags[name] = { type: "boolean" };
  }
  return flags;
}

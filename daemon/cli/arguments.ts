// What was typed, held against the table of commands: which command, its flags and its operands. Refuses what no row names, with the near one.

import { parseArgs } from "node:util";
import { nearName } from "../../protocol/names.ts";
import { COMMANDS, type Command, DEFAULT_COMMAND, type Flag, GENERAL_FLAGS, type Given } from "./commands.ts";
import { WrongUsage } from "./terminal/refusals.ts";

const SHORT_FLAGS: Readonly<Record<string, string>> = { h: "help" };

export interface Asked {
  readonly wants: "run" | "help" | "version";
  /** Undefined where none was named. */
  readonly named: string | undefined;
  readonly command: Command;
  readonly given: Given;
}

interface OptionToken {
  readonly name: string;
  readonly rawName: string;
  readonly value: string | undefined;
  readonly inlineValue: boolean | undefined;
}

/** @throws WrongUsage with what is wrong, in one line. */
export function readArguments(args: readonly string[]): Asked {
  const { tokens } = parseArgs({
    args: [...args],
    options: optionsOfAll(),
    allowPositionals: true,
    strict: false,
    tokens: true,
  });
  const [named, ...operands] = tokens.flatMap((token) => (token.kind === "positional" ? [token.value] : []));
  // A flag that nobody knows comes first: what stands behind it may be its value, and no command.
  for (const token of tokens)
    if (token.kind === "option" && !isKnown(token.name)) throw unknownFlag(token.rawName, named);
  const command = commandOf(named);
  const flags = new Map<string, string | true>();
  for (const token of tokens) {
    if (token.kind !== "option") continue;
    const [name, value] = checkFlag(token, named);
    if (!isOfDaemon(named) && (flags.get(name) ?? value) !== value) throw givenTwice(name, named);
    flags.set(name, value);
  }
  const asked = { named, command, given: { flags, operands } };
  if (flags.has("help")) return { ...asked, wants: "help" };
  if (flags.has("version")) return { ...asked, wants: "version" };
  const [least, most] = command.operands;
  const [extra] = operands.slice(most);
  if (extra !== undefined)
    throw new WrongUsage(`The command ${named} takes no ${JSON.stringify(extra)}.`, { cause: named });
  if (operands.length < least)
    throw new WrongUsage(`The command ${named} needs more: ${command.forms.join(", or ")}.`, { cause: named });
  return { ...asked, wants: "run" };
}

function commandOf(named: string | undefined): Command {
  const name = named ?? DEFAULT_COMMAND;
  const row = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  if (row !== undefined) return row;
  throw new WrongUsage(`There is no command ${JSON.stringify(name)}; ${nearOf(name, Object.keys(COMMANDS))}`);
}

function checkFlag(token: OptionToken, named: string | undefined): [name: string, value: string | true] {
  const { rawName, inlineValue, value } = token;
  const name = SHORT_FLAGS[token.name] ?? token.name;
  const flag = flagsOf(named ?? DEFAULT_COMMAND).find((row) => row.name === name);
  if (flag === undefined) throw unknownFlag(rawName, named);
  if (flag.value === undefined) {
    if (inlineValue !== true) return [name, true];
    throw new WrongUsage(`The flag --${name} takes no value.`, { cause: named });
  }
  const isGiven = value !== undefined && (inlineValue === true || !value.startsWith("-"));
  if (isGiven) return [name, value];
  throw new WrongUsage(`The flag --${name} needs a value: --${name}=${flag.value}.`, { cause: named });
}

/** To start one: the last of its settings counts, as everywhere, since a unit or a script puts those of a place behind those of all. */
function isOfDaemon(named: string | undefined): boolean {
  return (named ?? DEFAULT_COMMAND) === DEFAULT_COMMAND;
}

/** A command does one thing: whichever of the two counted, the other one would be dropped in silence. */
function givenTwice(name: string, named: string | undefined): WrongUsage {
  return new WrongUsage(`The flag --${name} is given twice, with different values.`, { cause: named });
}

function isKnown(name: string): boolean {
  return (
    Object.hasOwn(SHORT_FLAGS, name) || [...namesOfAll(), ...GENERAL_FLAGS.map((flag) => flag.name)].includes(name)
  );
}

function unknownFlag(rawName: string, typed: string | undefined): WrongUsage {
  const named = typed !== undefined && Object.hasOwn(COMMANDS, typed) ? typed : undefined;
  const known = flagsOf(named ?? DEFAULT_COMMAND).map(({ name }) => `--${name}`);
  const isOfAnother = namesOfAll().includes(rawName.slice(2));
  const who = named === undefined ? "There is no flag" : `The command ${named} has no flag`;
  if (isOfAnother) return new WrongUsage(`${who} ${rawName}.`, { cause: named });
  const near = nearName(rawName, known);
  return new WrongUsage(`${who} ${rawName}${near === undefined ? "." : `; ${near} was probably meant.`}`, {
    cause: named,
  });
}

function nearOf(name: string, known: readonly string[]): string {
  const near = nearName(name, known);
  return near === undefined ? `there are ${known.join(", ")}.` : `${near} was probably meant.`;
}

function flagsOf(name: string): readonly Flag[] {
  return [...(COMMANDS[name]?.flags ?? []), ...GENERAL_FLAGS];
}

function namesOfAll(): string[] {
  return Object.values(COMMANDS).flatMap(({ flags }) => flags.map(({ name }) => name));
}

/** Flags may stand before the command, so whether one has a value is known of all commands together. */
function optionsOfAll(): Record<string, { type: "string" | "boolean"; short?: string }> {
  const options: Record<string, { type: "string" | "boolean"; short?: string }> = {};
  for (const { name, value } of [...Object.values(COMMANDS).flatMap(({ flags }) => flags), ...GENERAL_FLAGS])
    options[name] = { type: value === undefined ? "boolean" : "string" };
  return { ...options, help: { type: "boolean", short: "h" } };
}

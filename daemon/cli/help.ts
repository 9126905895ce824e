// The help, printed from the table of commands for a terminal of 80 columns.

import { type Asked, GENERAL_FLAGS } from "./arguments.ts";
import { COMMANDS, type Command, DEFAULT_COMMAND, type Flag } from "./commands.ts";
import { wrapped } from "./terminal/wrapping.ts";

const COLUMNS = 80;
const INDENT = "  ";
const GAP = 2;
/** A term that is wider has its meaning below it. */
const MAX_TERM = 26;

type Row = readonly [term: string, meaning: string];

const EXAMPLES: readonly Row[] = ["run", "show", "end"].flatMap((name) => COMMANDS[name]?.examples.slice(0, 1) ?? []);
const EXIT_CODES: readonly Row[] = [
  ["0", "done"],
  ["1", "failed, or what was named is not there"],
  ["2", "wrong usage"],
  ["3", "no daemon answers"],
];

export function helpOn({ named, command }: Asked): string {
  return named === undefined ? generalHelp() : helpOnCommand(command);
}

function generalHelp(): string {
  const commands = Object.entries(COMMANDS).map(([name, { meaning }]): Row => [name, meaning]);
  const flags = [...(COMMANDS[DEFAULT_COMMAND]?.flags ?? []), ...GENERAL_FLAGS];
  return joined([
    "gambas-sessiond keeps sessions in files that Gambas programs share.\n",
    `Usage: gambas-sessiond [COMMAND] [--FLAG VALUE ...]\n       gambas-sessiond COMMAND --help\n`,
    `Commands:\n${table(commands)}`,
    `Flags of ${DEFAULT_COMMAND}, which is the command where none is named:\n${table(flags.map(flagRow))}`,
    `Examples:\n${examples(EXAMPLES)}`,
    `Exit codes:\n${table(EXIT_CODES)}`,
  ]);
}

function helpOnCommand({ forms, meaning, flags, examples: rows }: Command): string {
  const typed = forms.map((form) => `gambas-sessiond ${form}`).join("\n       ");
  return joined([
    `Usage: ${typed}\n`,
    `${capital(meaning)}.\n`,
    `Flags:\n${table([...flags, ...GENERAL_FLAGS].map(flagRow))}`,
    `Examples:\n${examples(rows)}`,
    `Exit codes:\n${table(EXIT_CODES)}`,
  ]);
}

function joined(parts: readonly string[]): string {
  return parts.join("\n");
}

function flagRow({ name, value, default: fallback, meaning }: Flag): Row {
  const isNamed = fallback !== undefined && fallback !== "";
  const short = name === "help" ? "-h, " : "";
  return [
    `${short}--${name}${value === undefined ? "" : ` ${value}`}`,
    isNamed ? `${meaning} (default: ${fallback})` : meaning,
  ];
}

/** What is typed stands alone on its line, to be copied. */
function examples(rows: readonly Row[]): string {
  return rows.map(([typed, meaning]) => `${INDENT}# ${meaning}\n${INDENT}gambas-sessiond ${typed}\n`).join("");
}

function table(rows: readonly Row[]): string {
  const terms = rows.map(([term]) => term.length).filter((length) => length <= MAX_TERM);
  const column = INDENT.length + Math.max(...terms) + GAP;
  const blank = " ".repeat(column);
  const lines = rows.map(([term, meaning]) => {
    const text = wrapped(meaning, COLUMNS - column).join(`\n${blank}`);
    const head = `${INDENT}${term}`;
    return head.length + GAP > column ? `${head}\n${blank}${text}\n` : `${head.padEnd(column)}${text}\n`;
  });
  return lines.join("");
}

function capital(text: string): string {
  return text.slice(0, 1).toUpperCase() + text.slice(1);
}

// What a shell completes, read off the table of commands: names, flags, and what stands behind them.

interface FlagRow {
  readonly name: string;
  readonly value?: string;
  readonly meaning: string;
}

/** What is used here of a row of the table. */
export interface CommandRow {
  readonly meaning: string;
  readonly forms: readonly string[];
  readonly flags: readonly FlagRow[];
}

export interface Table {
  readonly commands: Readonly<Record<string, CommandRow>>;
  readonly generalFlags: readonly FlagRow[];
  readonly defaultCommand: string;
}

/** What may stand in a place: one of some words, names of files or directories, or what only the operator knows. */
export type Hint =
  | { readonly kind: "words"; readonly words: readonly string[] }
  | { readonly kind: "files" | "directories" | "unknown" };

export interface FlagWords {
  readonly name: string;
  readonly meaning: string;
  /** Undefined: it has no value. */
  readonly value: { readonly name: string; readonly hint: Hint } | undefined;
}

export interface CommandWords {
  readonly name: string;
  readonly meaning: string;
  readonly flags: readonly FlagWords[];
  /** Undefined: it takes none. */
  readonly operand: { readonly name: string; readonly hint: Hint } | undefined;
}

/** What a shell's script is written from. */
export interface Words {
  readonly commands: readonly CommandWords[];
  /** Where no command was named. */
  readonly flags: readonly FlagWords[];
  /** Of all commands, each once. */
  readonly flagsWithValue: readonly (FlagWords & { readonly value: { readonly hint: Hint } })[];
}

export function wordsOf({ commands, generalFlags, defaultCommand }: Table): Words {
  const general = generalFlags.map(flagWords);
  const all = Object.entries(commands).map(([name, { meaning, flags, forms }]): CommandWords => {
    return { name, meaning, flags: [...flags.map(flagWords), ...general], operand: operandOf(name, forms) };
  });
  const byName = new Map(all.flatMap(({ flags }) => flags).map((flag) => [flag.name, flag]));
  return {
    commands: all,
    flags: all.find(({ name }) => name === defaultCommand)?.flags ?? general,
    flagsWithValue: [...byName.values()].flatMap((flag) => {
      return flag.value === undefined ? [] : [{ ...flag, value: flag.value }];
    }),
  };
}

function flagWords({ name, value, meaning }: FlagRow): FlagWords {
  return { name, meaning, value: value === undefined ? undefined : { name: value, hint: hintOf(value) } };
}

/** The first word of a form behind the name of the command that is no flag, nor the value of one. */
function operandOf(command: string, forms: readonly string[]): CommandWords["operand"] {
  for (const form of forms) {
    const [first, second = ""] = form.split(" ");
    const name = second.replace(/[[\]]|\.\.\./g, "");
    if (first === command && name !== "" && !name.startsWith("-")) return { name, hint: hintOf(name) };
  }
  return undefined;
}

/** Choices are in small letters, what stands for something else in large ones. */
function hintOf(name: string): Hint {
  const parts = name.split("|");
  if (parts.includes("DIR")) return { kind: "directories" };
  if (parts.includes("FILE") || parts.includes("PATH")) return { kind: "files" };
  return parts.length > 1 && !/[A-Z]/.test(name) ? { kind: "words", words: parts } : { kind: "unknown" };
}

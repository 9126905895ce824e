// The command `completion`: prints what a shell needs to complete the command line, written from the table of commands.

import type { Errand } from "../terminal/errand.ts";
import { WrongUsage } from "../terminal/refusals.ts";
import { bashScript } from "./bash.ts";
import { fishScript } from "./fish.ts";
import { type Table, type Words, wordsOf } from "./words.ts";
import { zshScript } from "./zsh.ts";

const SCRIPTS: Readonly<Record<string, (words: Words) => string>> = {
  bash: bashScript,
  zsh: zshScript,
  fish: fishScript,
};

/** Those that can be had, as a form of the command names them. */
export async function completion({ operands, say }: Pick<Errand, "operands" | "say">, table: Table): Promise<boolean> {
  const [shell = ""] = operands;
  const script = Object.hasOwn(SCRIPTS, shell) ? SCRIPTS[shell] : undefined;
  if (script === undefined) {
    const known = Object.keys(SCRIPTS).join(", ");
    throw new WrongUsage(`There is no completion for ${JSON.stringify(shell)}; there is one for ${known}.`, {
      cause: "completion",
    });
  }
  return say(script(wordsOf(table)));
}

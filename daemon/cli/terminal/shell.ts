// Words as a shell takes them, for commands that are printed to be copied.

import type { Places } from "../../../protocol/places.ts";
import { DEFAULT_TYPE } from "../../../protocol/types.ts";

export function quoted(word: string): string {
  return /^[\w./:@%+=-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

/** What names a daemon to a command. */
export function flagsOf({ root, type }: Pick<Places, "root" | "type">): string {
  return `--root ${quoted(root)}${type === DEFAULT_TYPE ? "" : ` --type ${type}`}`;
}

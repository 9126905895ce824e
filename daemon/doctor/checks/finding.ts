// What a check says: the state of one thing, what was seen, and what to do about it.

import type { Facts } from "./facts.ts";

/** "note": worth knowing, and nothing need be done. "warning": works, and will not always. "problem": does not work. */
export type State = "ok" | "note" | "warning" | "problem";

export interface Remedy {
  readonly advice: string;
  /** To be copied into a shell. */
  readonly command?: string;
}

export interface Finding {
  readonly check: string;
  /** Of the row that has found it, which no other row has; "fine" where no row has found anything. */
  readonly name: string;
  readonly state: State;
  readonly seen: string;
  readonly remedy: Remedy | null;
}

/** One thing that may be found. */
export interface Row {
  readonly name: string;
  readonly state: Exclude<State, "ok">;
  /** What is seen; undefined where it is not so. */
  look(facts: Facts): string | undefined;
  /** Left out where nothing is to be done. */
  remedy?(facts: Facts): Remedy;
}

/** "files": each session has files of its own in the root; "whole files": one, which is replaced as a whole; "databases": one of SQLite. */
export type Keeping = "files" | "whole files" | "databases" | "servers";

export interface Check {
  readonly name: string;
  /** It matters only where sessions are kept so. Left out: everywhere. */
  readonly isOf?: Keeping;
  /** What is well where no row has more than a note; undefined where that cannot be said. */
  fine(facts: Facts): string | undefined;
  readonly rows: readonly Row[];
}

export function findingsOf(check: Check, facts: Facts): readonly Finding[] {
  const found = check.rows.flatMap((row): Finding[] => {
    const seen = row.look(facts);
    if (seen === undefined) return [];
    return [{ check: check.name, name: row.name, state: row.state, seen, remedy: row.remedy?.(facts) ?? null }];
  });
  const fine = found.every(({ state }) => state === "note") ? check.fine(facts) : undefined;
  if (fine === undefined) return found;
  return [{ check: check.name, name: "fine", state: "ok", seen: fine, remedy: null }, ...found];
}

// Names that somebody gives and nobody knows: an option that is misspelt must be refused, and the message says which one was probably meant.

import { SessionError } from "./errors.ts";

/** The names that may be given. */
export interface Known {
  /** What such a name is called. */
  readonly kind: "option" | "setting";
  readonly known: readonly string[];
  /** Names that people know from elsewhere, each with a sentence on what to do here. */
  readonly foreign?: Readonly<Record<string, string>>;
}

/** Letters that may be wrong, missing, too many or exchanged in a name that is recognised all the same: one of three, and three at most. */
const MAX_SLIPS = 3;
const LETTERS_PER_SLIP = 3;
/** A shorter name would be found inside of too many others. */
const MIN_PART_LETTERS = 4;

/** @throws SessionError ERR_BAD_OPTION for a name of `given` that is not known. */
export function checkNames(given: object, { kind, known, foreign = {} }: Known): void {
  for (const name of Object.keys(given)) {
    if (known.includes(name)) continue;
    throw new SessionError(
      "ERR_BAD_OPTION",
      `There is no ${kind} ${JSON.stringify(name)}; ${adviceOn(name, known, foreign)}`,
    );
  }
}

function adviceOn(name: string, known: readonly string[], foreign: Readonly<Record<string, string>>): string {
  if (Object.hasOwn(foreign, name)) return `${foreign[name]}`;
  const near = nearName(name, known);
  return near === undefined ? `there are ${known.join(", ")}.` : `${near} was probably meant.`;
}

/** The known name that was probably meant; undefined where none is near. */
export function nearName(name: string, known: readonly string[]): string | undefined {
  const plain = lettersOf(name);
  let near: string | undefined;
  let least = Math.min(MAX_SLIPS, Math.floor(plain.length / LETTERS_PER_SLIP)) + 1;
  for (const candidate of known) {
    const slips = slipsBetween(plain, lettersOf(candidate));
    if (slips >= least) continue;
    near = candidate;
    least = slips;
  }
  return near ?? known.find((candidate) => isPart(lettersOf(candidate), plain));
}

/** "idle-exit-MS" and "idleExitMs" are one name, written by two people. */
function lettersOf(name: string): string {
  return name.toLowerCase().replace(/[-_\s]/g, "");
}

function isPart(one: string, other: string): boolean {
  const [short, long] = one.length < other.length ? [one, other] : [other, one];
  return short.length >= MIN_PART_LETTERS && long.includes(short);
}

/** How many letters must be put in, left out, replaced or exchanged with their neighbour to make one of the other. */
function slipsBetween(from: string, to: string): number {
  let [beforeLast, last]: [number[], number[]] = [[], Array.from({ length: to.length + 1 }, (_, at) => at)];
  for (let row = 1; row <= from.length; row++) {
    const next = [row];
    for (let at = 1; at <= to.length; at++) {
      const isSame = from[row - 1] === to[at - 1];
      const isExchange = row > 1 && at > 1 && from[row - 1] === to[at - 2] && from[row - 2] === to[at - 1];
      const exchanged = isExchange ? cell(beforeLast, at - 2) + 1 : Number.POSITIVE_INFINITY;
      next.push(Math.min(cell(last, at) + 1, cell(next, at - 1) + 1, cell(last, at - 1) + (isSame ? 0 : 1), exchanged));
    }
    [beforeLast, last] = [last, next];
  }
  return cell(last, to.length);
}

function cell(row: readonly number[], at: number): number {
  return row[at] ?? Number.POSITIVE_INFINITY;
}

// Lines of a screen as pieces of text in some colour, and what can be drawn with letters: bars and sparklines. Pure: a terminal is only what its
// look says.

import { areColoursWanted, type Paint, painted } from "../terminal/paint.ts";

/** Whether a terminal takes colours, and has the letters to draw with. */
export interface Look {
  readonly colours: "many" | "none";
  readonly letters: "unicode" | "ascii";
}

export interface Piece {
  readonly text: string;
  readonly paint: Paint;
}

export type Line = readonly Piece[];

const SPARKS = { unicode: "▁▂▃▄▅▆▇█", ascii: ".:-=+*#@" } as const;
const BARS = { unicode: ["█", "░"], ascii: ["#", "-"] } as const;
const CUT = { unicode: "…", ascii: "~" } as const;
/** From here on a share of what there is asks for attention, and for more of it. */
const FAIR_SHARE = 0.6;
const BAD_SHARE = 0.85;

export function lookOf(env: NodeJS.ProcessEnv): Look {
  const locale = env.LC_ALL || env.LC_CTYPE || env.LANG || "";
  return {
    colours: areColoursWanted(env) ? "many" : "none",
    letters: /utf-?8/i.test(locale) ? "unicode" : "ascii",
  };
}

export function piece(text: string, paint: Paint = "plain"): Piece {
  return { text, paint };
}

export function plainLine(text: string): Line {
  return [piece(text)];
}

/** No wider than the screen, as bytes for a terminal. */
export function rendered(line: Line, columns: number, look: Look): string {
  let left = columns;
  let shown = "";
  for (const { text, paint } of line) {
    const cut = cutTo(text, left, look);
    left -= lengthOf(cut);
    shown += look.colours === "none" ? cut : painted(paint, cut);
    if (left <= 0) break;
  }
  return shown;
}

export function lengthOf(text: string): number {
  return [...text].length;
}

export function cutTo(text: string, columns: number, look: Look): string {
  // What the other commands print in any locale.
  const letters = [...(look.letters === "ascii" ? text.replaceAll("µ", "u") : text)];
  if (letters.length <= columns) return letters.join("");
  return columns <= 0 ? "" : `${letters.slice(0, columns - 1).join("")}${CUT[look.letters]}`;
}

/** A share of a whole; how much of it asks for attention says its colour, if it does at all. */
export function bar(share: number, columns: number, { look, alarms }: { look: Look; alarms: "yes" | "no" }): Line {
  const [full, empty] = BARS[look.letters];
  const count = Math.round(Math.min(1, Math.max(0, share)) * columns);
  const level = share < FAIR_SHARE ? "good" : share < BAD_SHARE ? "fair" : "bad";
  return [piece(full.repeat(count), alarms === "yes" ? level : "graph"), piece(empty.repeat(columns - count), "dim")];
}

/** The last of these figures, each a letter as high as it is large. Undefined: not known then. */
export function sparkline(figures: readonly (number | undefined)[], columns: number, { letters }: Look): Piece {
  const shown = figures.slice(-columns);
  const most = Math.max(...shown.map((figure) => figure ?? 0), Number.MIN_VALUE);
  const steps = [...SPARKS[letters]];
  const text = shown.map((figure) => {
    if (figure === undefined) return " ";
    return steps[Math.min(steps.length - 1, Math.floor((figure / most) * steps.length))] ?? "";
  });
  return piece(text.join("").padStart(columns), "graph");
}

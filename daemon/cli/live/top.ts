// The command `top`: what a daemon does, live. On a terminal a picture that is drawn again and again; else a line for each look, for people or
// with --json for programs.

import { resolveConfig } from "../../config.ts";
import type { Errand } from "../terminal/errand.ts";
import { bytesText, clockText, microsText } from "../terminal/figures.ts";
import { safeText } from "../terminal/safe-text.ts";
import { pictureOf, rateText } from "./picture.ts";
import { type Nobody, patient, type Rhythm, repeat, UNTIL_KILLED } from "./rhythm.ts";
import { Screen, type Terminal, terminalOf } from "./screen.ts";
import { type Rates, type Sight, Watcher } from "./watcher.ts";

/** The first look has nothing to compare with, and does not count. */
const FIRST = 1;
/** More than a screen has columns. */
const MAX_HISTORY = 500;

/** @throws NoDaemon, SessionError where there is no daemon at the start: one that goes away later is waited for. */
export async function top(errand: Errand, rhythm: Rhythm, terminal = terminalOf(process)): Promise<boolean> {
  if (terminal !== undefined && errand.form === "text") await draw(errand, rhythm, terminal);
  else await print(errand, rhythm);
  return true;
}

async function draw({ options }: Errand, { everyMs, times }: Rhythm, terminal: Terminal): Promise<void> {
  const screen = new Screen(terminal);
  const watcher = new Watcher(resolveConfig(options), screen.leaving);
  const look = patient(() => watcher.look());
  const history: (Rates | undefined)[] = [];
  try {
    await repeat({ everyMs, times: times + FIRST }, screen.leaving, async () => {
      const sight = await look();
      history.push(sight.kind === "interval" ? sight.rates : undefined);
      if (history.length > MAX_HISTORY) history.shift();
      const seen = { sight, history, everyMs, atMs: Date.now(), look: terminal.look };
      screen.show((size) => pictureOf(seen, size));
      return "goes on";
    });
  } finally {
    watcher.close();
    screen.close();
  }
}

async function print(errand: Errand, { everyMs, times }: Rhythm): Promise<void> {
  const { options, form, say } = errand;
  const watcher = new Watcher(resolveConfig(options), UNTIL_KILLED);
  const look = patient(() => watcher.look());
  try {
    let before = "";
    await repeat({ everyMs, times: times + FIRST }, UNTIL_KILLED, async () => {
      const sight = await look();
      const text = form === "json" ? jsonOf(sight) : lineOf(sight, before);
      before = sight.kind === "nobody" ? sight.why : sight.kind;
      return text === undefined || (await say(text)) ? "goes on" : "over";
    });
  } finally {
    watcher.close();
  }
}

/** Undefined: there is nothing to say, since this is the first look. */
function jsonOf(sight: Sight | Nobody): string | undefined {
  const time = new Date().toISOString();
  if (sight.kind === "first") return undefined;
  if (sight.kind === "nobody") return `${JSON.stringify({ time, problem: sight.why })}\n`;
  const { figures, rates, cpuShare, mostUsed } = sight;
  const { window, ...rest } = figures;
  const { ms, openMicros, commitMicros, leaseMicros } = window;
  const shown = { time, ms, perSecond: rates, cpuShare, openMicros, commitMicros, leaseMicros, mostUsed, status: rest };
  return `${JSON.stringify(shown)}\n`;
}

const HEAD = ["TIME", "COMMITS/s", "OPENS/s", "TRANS./s", "P50", "P99", "CPU", "MEMORY", "WAITING", "HOTTEST"];
/** The session that is used most is last: its id may have any length. */
const WIDTHS = [8, 10, 8, 9, 7, 7, 6, 7, 8];

function rowOf(columns: readonly string[]): string {
  const cells = columns.map((text, at) => text.padStart(WIDTHS[at] ?? 0));
  return `${cells.slice(0, -1).join("")}  ${cells.at(-1)}`.trimEnd().concat("\n");
}

/** @param before how the look before was: what has not changed is told once. "": there was none. */
function lineOf(sight: Sight | Nobody, before: string): string | undefined {
  const time = clockText(Date.now());
  if (sight.kind === "nobody") return sight.why === before ? undefined : `${time}  ${sight.why}\n`;
  if (sight.kind === "first")
    return before === "" ? rowOf(HEAD) : `${time}  A daemon (pid ${sight.figures.pid}) is there.\n`;
  const { figures, rates, cpuShare, mostUsed } = sight;
  const { p50, p99 } = figures.window.commitMicros;
  return rowOf([
    time,
    ...[rates.commits, rates.opens, rates.transactions].map(rateText),
    ...[p50, p99].map((micros) => (micros === undefined ? "-" : microsText(micros))),
    `${Math.round(100 * cpuShare)} %`,
    figures.memoryBytes === null ? "-" : bytesText(figures.memoryBytes),
    String(figures.waitingCalls),
    safeText(mostUsed[0]?.id ?? "-"),
  ]);
}

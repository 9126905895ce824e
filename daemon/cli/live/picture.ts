// The picture that `top` draws, for a screen of any size. Pure: what was seen and how large the screen is make the lines.

import { bytesText, clockText, countText, microsText, spanText } from "../terminal/figures.ts";
import { safeText } from "../terminal/safe-text.ts";
import { wrapped } from "../terminal/wrapping.ts";
import { bar, type Line, type Look, lengthOf, piece, plainLine, sparkline } from "./drawing.ts";
import type { Nobody } from "./rhythm.ts";
import type { Picture, Size } from "./screen.ts";
import type { Rates, Sight, Used } from "./watcher.ts";

/** What was seen up to now, and how it is shown. */
export interface Seen {
  readonly sight: Sight | Nobody;
  /** The last of each look, oldest first; undefined: nothing could be seen. */
  readonly history: readonly (Rates | undefined)[];
  readonly everyMs: number;
  readonly atMs: number;
  readonly look: Look;
}

const LABEL = 12;
const FIGURE = 8;
const GAP = 2;
const MIN_GRAPH = 6;
/** A fact and the next one beside it. */
const CELL = 20;
/** Below this the room is for figures, and nothing stands apart. */
const MIN_SESSIONS = 4;
const MANY_COLUMNS = 56;
/** Of what a bar is a share. */
const BEHIND = "of a core".length;
const NOTHING = "-";

export function pictureOf(seen: Seen, size: Size): Picture {
  const { sight } = seen;
  const head = sight.kind === "nobody" ? headOfNobody(seen, sight.why, size) : headOfDaemon(seen, size);
  const rates = ratesOf(seen, size);
  const loads = loadsOf(seen, size);
  const facts = factsOf(seen, size);
  const sessions = sessionsOf(seen, size);
  const room = size.rows - 1;
  const airy = [...head, [], ...rates, [], ...loads, ...facts, []];
  const tight = [
    ...head.slice(0, 1),
    ...(sight.kind === "nobody" ? head.slice(1) : []),
    ...rates,
    ...loads,
    ...facts.slice(0, 1),
  ];
  const above = airy.length + MIN_SESSIONS <= room ? airy : tight;
  const lines = [...above, ...sessions.slice(0, Math.max(0, room - above.length))];
  return { lines: lines.slice(0, Math.max(1, room)), foot: [piece("q leaves", "dim")] };
}

function headOfDaemon({ sight, everyMs, atMs }: Seen, { columns }: Size): readonly Line[] {
  if (sight.kind === "nobody") return [];
  const { version, pid, root, uptimeSeconds } = sight.figures;
  const right = `every ${everyMs / 1000} s  ${clockText(atMs)}`;
  const title = [piece("gambas-sessiond", "strong"), piece(` ${version}  pid ${pid}  up ${spanText(uptimeSeconds)}`)];
  return [withRight(title, right, columns), [piece(safeText(root), "dim")]];
}

function headOfNobody({ atMs }: Seen, why: string, { columns }: Size): readonly Line[] {
  const title = [piece("gambas-sessiond", "strong"), piece("  no daemon", "bad")];
  const lines = wrapped(`${why} Waiting for one.`, columns).map((text): Line => [piece(text, "bad")]);
  return [withRight(title, clockText(atMs), columns), ...lines];
}

function withRight(left: Line, right: string, columns: number): Line {
  const free = columns - left.reduce((sum, { text }) => sum + lengthOf(text), 0) - right.length;
  return free < GAP ? left : [...left, piece(`${" ".repeat(free)}${right}`, "dim")];
}

interface RateRow {
  readonly name: string;
  readonly rate: (rates: Rates) => number;
  readonly latencies: "commitMicros" | "openMicros" | "leaseMicros";
}

const RATE_ROWS: readonly RateRow[] = [
  { name: "commits", rate: ({ commits }) => commits, latencies: "commitMicros" },
  { name: "opens", rate: ({ opens }) => opens, latencies: "openMicros" },
  { name: "transactions", rate: ({ transactions }) => transactions, latencies: "leaseMicros" },
];

/** A row for each kind of work: how often a second, how that changed lately, and how long it took. */
function ratesOf({ sight, history, look }: Seen, { columns }: Size): readonly Line[] {
  const latencyColumns = columns >= LABEL + 3 * FIGURE ? 2 : columns >= LABEL + 2 * FIGURE ? 1 : 0;
  const graph = columns - LABEL - (1 + latencyColumns) * FIGURE - 2 * GAP;
  const isDrawn = graph >= MIN_GRAPH;
  const space = isDrawn ? [piece(" ".repeat(GAP + graph + GAP))] : [];
  const names = ["p50", "p99"].slice(2 - latencyColumns);
  const head = [
    piece(`${" ".repeat(LABEL)}${figure("per s")}`, "dim"),
    ...space,
    piece(names.map(figure).join(""), "dim"),
  ];
  const rows = RATE_ROWS.map(({ name, rate, latencies }): Line => {
    const isKnown = sight.kind === "interval";
    const { p50, p99 } = isKnown ? sight.figures.window[latencies] : { p50: undefined, p99: undefined };
    const micros = [p50, p99].slice(2 - latencyColumns);
    const values = history.map((rates) => (rates === undefined ? undefined : rate(rates)));
    return [
      piece(name.padEnd(LABEL)),
      piece(figure(isKnown ? rateText(rate(sight.rates)) : NOTHING), "strong"),
      ...(isDrawn ? [piece(" ".repeat(GAP)), sparkline(values, graph, look), piece(" ".repeat(GAP))] : []),
      piece(micros.map((one) => figure(one === undefined ? NOTHING : microsText(one))).join("")),
    ];
  });
  return [head, ...rows];
}

/** Bars of what can be used up. */
function loadsOf({ sight, look }: Seen, { columns }: Size): readonly Line[] {
  const cpuShare = sight.kind === "interval" ? sight.cpuShare : undefined;
  const cpu = cpuShare === undefined ? NOTHING : `${Math.round(100 * cpuShare)} %`;
  const [used, all] = sight.kind === "nobody" ? [0, 0] : [sight.figures.bytesCached, sight.figures.cacheBytes];
  const cache = sight.kind === "nobody" ? NOTHING : bytesText(used);
  const rows = [
    { name: "cpu", text: cpu, share: cpuShare ?? 0, alarms: "yes", behind: "of a core" },
    { name: "cache", text: cache, share: all === 0 ? 0 : used / all, alarms: "no", behind: `of ${bytesText(all)}` },
  ] as const;
  return rows.map(({ name, text, share, alarms, behind }): Line => {
    const width = Math.max(0, columns - LABEL - FIGURE - 2 * GAP - BEHIND);
    return [
      piece(name.padEnd(LABEL)),
      piece(figure(text), "strong"),
      piece(" ".repeat(GAP)),
      ...bar(share, width, { look, alarms }),
      piece(`${" ".repeat(GAP)}${sight.kind === "nobody" ? "" : behind}`, "dim"),
    ];
  });
}

function factsOf({ sight }: Seen, { columns }: Size): readonly Line[] {
  if (sight.kind === "nobody") return [];
  const { figures } = sight;
  const facts = [
    ["waiting", countText(figures.waitingCalls)],
    ["errors/s", sight.kind === "interval" ? rateText(sight.rates.errors) : NOTHING],
    ["connections", countText(figures.connections)],
    ["memory", figures.memoryBytes === null ? NOTHING : bytesText(figures.memoryBytes)],
    ["cached", countText(figures.sessionsCached)],
    ["on disk", figures.sessionsOnDisk === null ? NOTHING : countText(figures.sessionsOnDisk)],
    ["turns due", countText(figures.waitingTurns)],
    ["touches/s", sight.kind === "interval" ? rateText(sight.rates.touches) : NOTHING],
  ] as const;
  const inRow = Math.max(1, Math.floor(columns / CELL));
  const lines: Line[] = [];
  for (let at = 0; at < facts.length; at += inRow) {
    const cells = facts.slice(at, at + inRow).flatMap(([name, text], index) => {
      const gap = index === inRow - 1 ? "" : " ".repeat(GAP);
      return [piece(name, "dim"), piece(`${text.padStart(CELL - GAP - name.length)}${gap}`)];
    });
    lines.push(cells);
  }
  return lines;
}

function sessionsOf({ sight }: Seen, { columns }: Size): readonly Line[] {
  const isWide = columns >= MANY_COLUMNS;
  const names = isWide ? ["COMMITS/s", "OPENS/s", "TRANS./s"] : ["USES/s"];
  const width = isWide ? FIGURE + 2 : FIGURE;
  const rowOf = (figures: readonly string[]): string => figures.map((text) => text.padStart(width)).join("");
  const head: Line = [piece(`${rowOf(names)}  SESSION`, "dim")];
  if (sight.kind !== "interval") return [head];
  if (sight.mostUsed.length === 0) return [head, plainLine(`${rowOf(names.map(() => NOTHING))}  none was used`)];
  return [
    head,
    ...sight.mostUsed.map((used): Line => {
      const { id, commits, opens, transactions } = used;
      const figures = isWide ? [commits, opens, transactions] : [usesOf(used)];
      return [piece(rowOf(figures.map(rateText)), "strong"), piece(`  ${safeText(id)}`)];
    }),
  ];
}

export function usesOf({ commits, opens, transactions, touches }: Used): number {
  return commits + opens + transactions + touches;
}

function figure(text: string): string {
  return text.padStart(FIGURE);
}

/** One decimal place where that says more than none. */
export function rateText(rate: number): string {
  return rate > 0 && rate < 10 ? rate.toFixed(1) : countText(Math.round(rate));
}

// All goals in one picture: how far beyond its goal each figure is, or how far short of it. The scale is logarithmic, so that twice as good is as
// long as half as good.

import type { Goal } from "./goals.ts";
import { drawing, element, grouped, textAt } from "./svg.ts";

const WIDTH = 900;
const PADDING = 18;
const LABEL_WIDTH = 514;
const TEXT_WIDTH = 100;
const BAR_HEIGHT = 16;
const PITCH = 25;
const TOP = 86;
/** What the scale shows of the goal, in either direction. */
const [LEAST, MOST] = [0.1, 50];
const TICKS = [0.1, 0.3, 1, 3, 10, 30] as const;

export function goalChart(goals: readonly Goal[]): string {
  const height = TOP + PITCH * goals.length + PADDING / 2;
  const met = goals.filter(({ isMet }) => isMet === true).length;
  const title = `Goals: ${met} of ${goals.length} reached`;
  return drawing({ width: WIDTH, height }, title, [
    textAt(PADDING, 26, title, { class: "title" }),
    textAt(
      PADDING,
      46,
      "Right of the line: so many times better than the goal. Left of it: missed. ✓ and ✗ say the same.",
      {
        class: "soft",
      },
    ),
    ...TICKS.flatMap((tick) => tickAt(tick, height)),
    ...goals.map((goal, index) => goalAt(TOP + PITCH * index, goal)),
  ]);
}

/** How many times as good as the goal: 2 is twice as fast, or half the time; undefined where that means nothing. */
export function timesTheGoal({ target, reached, isMet }: Goal): number | undefined {
  if (reached === undefined || target <= 0 || reached <= 0) return undefined;
  const times = reached / target;
  // Which of the two directions is the good one shows in whether the goal was met.
  return isMet === true ? Math.max(times, 1 / times) : Math.min(times, 1 / times);
}

function tickAt(tick: number, height: number): string[] {
  const x = placeOf(tick);
  return [
    element("line", { class: tick === 1 ? "goal" : "axis", x1: x, x2: x, y1: TOP - 8, y2: height - PADDING / 2 }),
    textAt(x, TOP - 14, tick === 1 ? "goal" : `${tick} ×`, { class: "soft", "text-anchor": "middle" }),
  ];
}

function goalAt(y: number, goal: Goal): string {
  const textY = y + BAR_HEIGHT - 4;
  const times = timesTheGoal(goal);
  const ends = [placeOf(1), placeOf(times ?? 1)].sort((a, b) => a - b);
  const [from = 0, to = 0] = ends;
  const bar = { x: from, y, width: Math.max(1.5, to - from), height: BAR_HEIGHT, rx: 2 };
  return [
    textAt(PADDING, textY, `${goal.case}: ${readable(goal.text)}`),
    ...(times === undefined ? [] : [element("rect", { class: goal.isMet === true ? "met" : "missed", ...bar })]),
    textAt(WIDTH - PADDING, textY, outcomeOf(goal), {
      "text-anchor": "end",
      class: goal.isMet === false ? "strong" : "",
    }),
  ].join("\n");
}

function placeOf(times: number): number {
  const inRange = Math.min(MOST, Math.max(LEAST, times));
  const room = WIDTH - LABEL_WIDTH - TEXT_WIDTH - PADDING;
  return LABEL_WIDTH + (room * Math.log(inRange / LEAST)) / Math.log(MOST / LEAST);
}

function outcomeOf({ reached, unit, isMet }: Goal): string {
  if (reached === undefined || isMet === undefined) return "not measured";
  const digits = reached >= 100 || Number.isInteger(reached) ? 0 : reached >= 10 ? 1 : 2;
  return `${reached.toFixed(digits)} ${unit === "x" ? "×" : unit} ${isMet ? "✓" : "✗"}`;
}

/** A goal as it is written in code, for people. */
export function readable(text: string): string {
  return grouped(text)
    .replaceAll(">=", "≥")
    .replaceAll("<=", "≤")
    .replace(/(?<=\d) x(?=\s|$)/g, " ×");
}

// A bar chart: a bar for each contender, its length in proportion to its value, ours marked. A floor far beyond all of them would leave no room
// for the bars: it is cut off at the edge, and says so.

import type { Bar, Chart } from "./measures.ts";
import { drawing, element, grouped, textAt } from "./svg.ts";

const WIDTH = 900;
const PADDING = 18;
const LABEL_WIDTH = 340;
const TEXT_WIDTH = 222;
const BAR_HEIGHT = 18;
const PITCH = 27;
const TOP = 66;
/** So many times the best bar the scale reaches at most. */
const MAX_FLOOR = 1.5;

export const BAR_ROOM: number = WIDTH - LABEL_WIDTH - TEXT_WIDTH - PADDING;

export function barChart({ title, question, about, bars }: Chart): string {
  const full = fullScale(bars);
  const height = TOP + PITCH * bars.length + PADDING / 2;
  return drawing({ width: WIDTH, height }, `${title}, ${about}`, [
    textAt(PADDING, 26, title, { class: "title" }),
    textAt(WIDTH - PADDING, 26, about, { class: "soft", "text-anchor": "end" }),
    textAt(PADDING, 46, question, { class: "soft" }),
    ...bars.map((bar, index) => barAt(TOP + PITCH * index, bar, full)),
  ]);
}

/** The value of a bar that takes all of the room. */
function fullScale(bars: readonly Bar[]): number {
  const valuesOf = (isFloor: boolean): number[] =>
    bars.flatMap(({ kind, value }) => ((kind === "floor") === isFloor ? [value] : []));
  const best = Math.max(0, ...valuesOf(false));
  const floors = Math.max(0, ...valuesOf(true));
  return Math.max(best, best === 0 ? floors : Math.min(MAX_FLOOR * best, floors), Number.MIN_VALUE);
}

function barAt(y: number, { label, value, kind, text }: Bar, full: number): string {
  const isCut = value > full;
  const width = Math.max(1.5, (BAR_ROOM * Math.min(value, full)) / full);
  const textY = y + BAR_HEIGHT - 4.5;
  const box = { class: kind, x: LABEL_WIDTH, y, width, height: BAR_HEIGHT, rx: 3 };
  return [
    textAt(LABEL_WIDTH - 10, textY, grouped(label), {
      "text-anchor": "end",
      class: kind === "ours" ? "strong" : kind === "floor" ? "soft" : "",
    }),
    element("rect", box),
    textAt(LABEL_WIDTH + width + 8, textY, isCut ? `» ${text}` : text, { class: kind === "floor" ? "soft" : "" }),
  ].join("\n");
}

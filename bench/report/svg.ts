// A bar chart of one table: operations a second, ours marked, the floors drawn through as lines. Readable on light and dark pages.

import type { Row } from "../row.ts";

const WIDTH = 760;
const LABEL_WIDTH = 262;
const VALUE_WIDTH = 90;
const BAR_HEIGHT = 18;
const PITCH = 27;
const TOP = 58;
const BOTTOM = 22;
const FLOOR_PITCH = 15;
/** A floor farther away than this many times the best bar would leave no room for the bars: it stands at the edge, with its figure. */
const MAX_FLOOR = 2;

const STYLE = `
  .value { paint-order: stroke; stroke: #ffffff; stroke-width: 3px; }
  text { font: 13px system-ui, -apple-system, "Segoe UI", sans-serif; fill: #24292f; }
  .title { font-weight: 600; font-size: 15px; }
  .note, .floor-text { fill: #57606a; font-size: 12px; }
  .peer { fill: #8c959f; }
  .ours { fill: #0969da; }
  .floor { stroke: #cf222e; stroke-width: 1.5; stroke-dasharray: 5 4; }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3; }
    .value { stroke: #0d1117; }
    .note, .floor-text { fill: #9198a1; }
    .peer { fill: #6e7681; }
    .ours { fill: #4493f8; }
    .floor { stroke: #f85149; }
  }`;

export function barChart(title: string, note: string, rows: readonly Row[]): string {
  const bars = rows.filter((row) => row.is_floor !== true).toSorted((a, b) => rate(b) - rate(a));
  const floors = rows.filter((row) => row.is_floor === true).toSorted((a, b) => rate(a) - rate(b));
  const best = Math.max(...bars.map(rate), 1);
  const scale =
    (WIDTH - LABEL_WIDTH - VALUE_WIDTH) / Math.max(best, Math.min(MAX_FLOOR * best, ...floors.map(rate).slice(-1)));
  const plotTop = TOP + FLOOR_PITCH * floors.length;
  const height = plotTop + PITCH * bars.length + BOTTOM;
  const parts = [
    ...floors.map((row, index) => floorOf(row, { y: TOP + FLOOR_PITCH * index, bottom: height - BOTTOM }, scale)),
    ...bars.map((row, index) => barOf(row, plotTop + PITCH * index, scale)),
  ];
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img" aria-label="${escaped(title)}">
<style>${STYLE}
</style>
<text class="title" x="0" y="18">${escaped(title)}</text>
<text class="note" x="0" y="37">${escaped(note)}</text>
${parts.join("\n")}
</svg>
`;
}

function barOf(row: Row, y: number, scale: number): string {
  const width = Math.max(1.5, scale * rate(row));
  const textY = y + BAR_HEIGHT - 4.5;
  const kind = row.contender.startsWith("gambas-session") ? "ours" : "peer";
  return [
    `<text x="${LABEL_WIDTH - 8}" y="${textY}" text-anchor="end">${escaped(row.contender)}</text>`,
    `<rect class="${kind}" x="${LABEL_WIDTH}" y="${y}" width="${width.toFixed(1)}" height="${BAR_HEIGHT}" rx="3"/>`,
    `<text class="value" x="${(LABEL_WIDTH + width + 6).toFixed(1)}" y="${textY}">${amount(rate(row))}</text>`,
  ].join("\n");
}

/** The line of a floor, with its name beside its upper end: left of it where it stands far to the right. */
function floorOf(row: Row, place: { readonly y: number; readonly bottom: number }, scale: number): string {
  const edge = WIDTH - VALUE_WIDTH;
  const isBeyond = LABEL_WIDTH + scale * rate(row) > edge + 1;
  const x = isBeyond ? edge : LABEL_WIDTH + scale * rate(row);
  const isFarRight = x > WIDTH / 2;
  const text = `${row.contender} ${amount(rate(row))}${isBeyond ? " (beyond the edge)" : ""}`;
  return [
    `<line class="floor" x1="${x.toFixed(1)}" x2="${x.toFixed(1)}" y1="${place.y - 8}" y2="${place.bottom}"/>`,
    `<text class="floor-text" x="${(x + (isFarRight ? -5 : 5)).toFixed(1)}" y="${place.y + 1}" text-anchor="${isFarRight ? "end" : "start"}">${escaped(text)}</text>`,
  ].join("\n");
}

function rate(row: Row): number {
  return row.ops_per_s ?? 0;
}

function amount(value: number): string {
  if (value >= 999_500) return `${(value / 1e6).toFixed(2)} M/s`;
  return value >= 1000 ? `${(value / 1000).toFixed(1)} k/s` : `${Math.round(value)}/s`;
}

function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");
}

// Figures as people read them: 57 MB, 1.2 ms, 3 h ago. Programs get them raw, with --json.

const BYTE_UNITS = ["bytes", "kB", "MB", "GB", "TB"] as const;
const MICRO_UNITS = ["µs", "ms", "s"] as const;
const STEP = 1000;
const SMALL_DIGITS = 3;
/** Below this a figure has one decimal place. */
const SMALL = 10;
const SPANS = [
  ["d", 86_400],
  ["h", 3_600],
  ["min", 60],
] as const;
/** So many of a unit are told in it: 90 min are clearer than 2 h. */
const MIN_OF_UNIT = 2;

export function bytesText(bytes: number): string {
  return inUnits(bytes, BYTE_UNITS);
}

export function microsText(micros: number): string {
  return inUnits(micros, MICRO_UNITS);
}

export function countText(count: number): string {
  // By hand: the first use of what Node has for it takes longer than a command.
  return Number.isInteger(count) ? String(count).replace(/\B(?=(?:\d{3})+$)/g, ",") : count.toFixed(SMALL_DIGITS);
}

export function countOf(count: number, one: string, many = `${one}s`): string {
  return `${countText(count)} ${count === 1 ? one : many}`;
}

export function spanText(seconds: number): string {
  const [unit, length] = SPANS.find(([, length]) => seconds >= MIN_OF_UNIT * length) ?? ["s", 1];
  return `${countText(Math.round(seconds / length))} ${unit}`;
}

/** How long ago, or in how long. A null date is never. */
export function fromNow(date: Date | null, nowMs: number): string {
  if (date === null || Number.isNaN(date.getTime())) return "never";
  const seconds = (date.getTime() - nowMs) / 1000;
  return seconds > 0 ? `in ${spanText(seconds)}` : `${spanText(-seconds)} ago`;
}

export function dateText(date: Date | null, nowMs: number): string {
  if (date === null || Number.isNaN(date.getTime())) return "never";
  return `${date.toISOString().slice(0, 19).replace("T", " ")} UTC (${fromNow(date, nowMs)})`;
}

/** Of the place where the operator sits. */
export function clockText(atMs: number): string {
  return new Date(atMs).toTimeString().slice(0, 8);
}

function inUnits(value: number, units: readonly string[]): string {
  let [figure, unit] = [value, 0];
  // What would be rounded to 1000 is 1.0 of the next unit.
  while (Math.round(figure) >= STEP && unit < units.length - 1) {
    figure /= STEP;
    unit += 1;
  }
  const digits = unit > 0 && figure < SMALL ? 1 : 0;
  return `${figure.toFixed(digits)} ${units[unit]}`;
}

// Figures and times as people read them: a day and not 86400 s, the clock on their wall and not that of Greenwich.

const SPANS = [
  ["a day", "days", 86_400],
  ["an hour", "hours", 3_600],
  ["a minute", "minutes", 60],
] as const;
const CLOCK = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "medium" });
const STEP = 1000;

export function spanText(seconds: number): string {
  for (const [one, many, length] of SPANS) {
    if (seconds === length) return one;
    if (seconds >= length && seconds % length === 0) return `${seconds / length} ${many}`;
  }
  return seconds === 1 ? "a second" : `${seconds} seconds`;
}

/** In the time zone of this machine, which is that of its reader. */
export function timeText(date: Date): string {
  return Number.isNaN(date.getTime()) ? "never" : CLOCK.format(date);
}

export function bytesText(bytes: number): string {
  return bytes < STEP ? `${bytes} bytes` : `${(bytes / STEP).toFixed(1)} kB`;
}

export function millisecondsText(ms: number): string {
  return ms < STEP ? `${Math.round(ms)} ms` : `${(ms / STEP).toFixed(1)} s`;
}

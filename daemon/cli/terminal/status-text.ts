// What a daemon tells about itself, in figures for people.

import { bytesText, countText, microsText, spanText } from "./figures.ts";

const NAME_WIDTH = 22;

/** A line for each figure, under the name that it has with --json. */
export function statusText(json: string): string {
  const report = JSON.parse(json) as Readonly<Record<string, unknown>>;
  return Object.entries(report)
    .map(([name, value]) => `${name.padEnd(NAME_WIDTH)}${valueText(name, value)}`)
    .join("\n");
}

function valueText(name: string, value: unknown): string {
  if (value === null) return "not known";
  if (typeof value === "number") return figureText(name, value);
  if (typeof value !== "object") return String(value);
  const parts = Object.entries(value).map(([part, inner]) => {
    const isLatency = name.endsWith("Micros") && part !== "count";
    return `${part} ${isLatency && typeof inner === "number" ? microsText(inner) : valueText(part, inner)}`;
  });
  return parts.length === 0 ? "none" : parts.join(", ");
}

function figureText(name: string, value: number): string {
  if (name === "pid" || name === "protocol") return String(value);
  if (/bytes/i.test(name)) return bytesText(value);
  if (name.endsWith("Seconds")) return spanText(value);
  return /rate$/i.test(name) ? `${(100 * value).toFixed(1)} %` : countText(value);
}

// The command `status`: what a daemon that runs tells about itself, in figures for people or raw for programs.

import { resolveConfig } from "../config.ts";
import { Peer } from "../peer/peer.ts";
import type { Errand } from "./terminal/errand.ts";
import { bytesText, countText, microsText, spanText } from "./terminal/figures.ts";
import { noDaemonOn } from "./terminal/refusals.ts";

const NAME_WIDTH = 22;

/** @throws SessionError ERR_DAEMON_UNAVAILABLE, ERR_PROTOCOL_VERSION. */
export async function status({ options, form, say }: Errand): Promise<boolean> {
  const config = resolveConfig(options);
  const json = await new Peer(config).status();
  if (json === undefined) throw noDaemonOn(config);
  await say(`${form === "json" ? json : textOf(JSON.parse(json) as Record<string, unknown>)}\n`);
  return true;
}

function textOf(report: Readonly<Record<string, unknown>>): string {
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

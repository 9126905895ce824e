// The command `status`: what a daemon that runs tells about itself, for people or for programs.

import { SessionError } from "../../protocol/errors.ts";
import { type DaemonOptions, resolveConfig } from "../config.ts";
import { Peer } from "../peer/peer.ts";

/** @throws SessionError ERR_DAEMON_UNAVAILABLE, ERR_PROTOCOL_VERSION. */
export async function status(options: DaemonOptions, isJson: boolean): Promise<string> {
  const config = resolveConfig(options);
  const json = await new Peer(config).status();
  if (json === undefined) throw new SessionError("ERR_DAEMON_UNAVAILABLE", `No daemon answers on ${config.socket}.`);
  if (isJson) return json;
  const report: Record<string, unknown> = JSON.parse(json);
  return Object.entries(report)
    .map(([name, value]) => `${name.padEnd(22)}${typeof value === "object" ? JSON.stringify(value) : String(value)}`)
    .join("\n");
}

// The command `status`: what a daemon that runs tells about itself, in figures for people or raw for programs.

import { resolveConfig } from "../config.ts";
import { Peer } from "../peer/peer.ts";
import type { Errand } from "./terminal/errand.ts";
import { noDaemonOn } from "./terminal/refusals.ts";
import { statusText } from "./terminal/status-text.ts";

/** @throws NoDaemon; SessionError ERR_DAEMON_UNAVAILABLE, ERR_PROTOCOL_VERSION. */
export async function status({ options, form, say }: Errand): Promise<boolean> {
  const config = resolveConfig(options);
  const json = await new Peer(config).status();
  if (json === undefined) throw noDaemonOn(config);
  await say(`${form === "json" ? json : statusText(json)}\n`);
  return true;
}

// What a daemon tells an operator about itself, gathered from its parts.

import { VERSION } from "../../protocol/version.ts";
import { PROTOCOL_VERSION } from "../../protocol/wire/wire.ts";
import type { Backend } from "../backend/backend.ts";
import type { Config } from "../config.ts";
import type { Metrics } from "../report/report.ts";
import type { Server } from "../wire/wire.ts";

export interface StatusParts {
  readonly config: Config;
  readonly backend: Backend;
  readonly server: Server;
  readonly metrics: Metrics;
}

export function describeDaemon({ config, backend, server, metrics }: StatusParts): Record<string, unknown> {
  return {
    version: VERSION,
    protocol: PROTOCOL_VERSION,
    pid: process.pid,
    root: config.root,
    type: config.type,
    durability: config.durability,
    ...server.load,
    ...backend.report(),
    cacheBytes: config.cacheBytes,
    memoryBytes: memoryBytes(),
    ...metrics.report(),
  };
}

/** Null when that cannot be found out, for want of a descriptor say: then the rest of the status matters all the more. */
function memoryBytes(): number | null {
  try {
    return process.memoryUsage.rss();
  } catch {
    // Whatever the system error; see above.
    return null;
  }
}

// The package's `gambas-session/daemon`: runs a daemon in this process.

import "./node-version.ts";

import { checkMayStart, type DaemonOptions, prepareRoot, resolveConfig } from "./config.ts";
import type { Daemon } from "./daemon.ts";
import { ENGINES } from "./engines.ts";
import { Life } from "./life/life.ts";

export type { DaemonOptions } from "./config.ts";
export type { Daemon } from "./daemon.ts";

/**
 * Runs a daemon in this process.
 *
 * @throws SessionError ERR_DAEMON_RUNNING when one serves this root and type already; ERR_BAD_ROOT, ERR_SOCKET_PATH, ERR_BAD_OPTION,
 *   ERR_STORE with the system's error.
 */
export async function startDaemon(options: DaemonOptions = {}): Promise<Daemon> {
  const config = resolveConfig(options);
  checkMayStart(config);
  prepareRoot(config.root);
  return Life.begin(config, await ENGINES[config.type]());
}

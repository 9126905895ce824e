// What Node itself says of the process of a daemon, told in the daemon's log. Node tells it on standard error alone, where the worker that has
// started a daemon does not read for long, and `console` ends a process that writes there more than once when nobody reads any more.

import type { Config } from "../config.ts";
import { Log } from "../report/report.ts";

/** For the rest of the process. */
export function logNodeEvents(config: Config): void {
  const log = Log.of(config);
  // Among them Node's own, which writes to standard error.
  process.removeAllListeners("warning");
  process.on("warning", (warning) => log.warn("node-warning", { warning: storyOf(warning) }));
  // What Node does then it does all the same: it says so, and ends the process.
  process.on("uncaughtExceptionMonitor", (error) => log.error("crashed", { error: storyOf(error) }));
}

/** With the lines that say where it comes from. */
function storyOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? String(error)) : String(error);
}

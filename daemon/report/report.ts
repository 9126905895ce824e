// The door to a daemon's reports: lines for the operator's log, and figures for the status operation.

export { Log, type LogLevel } from "./log.ts";
export { Metrics } from "./metrics.ts";

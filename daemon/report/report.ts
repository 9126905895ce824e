// The door to what a daemon tells: lines for an operator's log, and figures for the status.

export { Log, type LogLevel } from "./log.ts";
export { Metrics } from "./metrics.ts";

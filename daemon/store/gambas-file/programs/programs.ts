// The door to what is known of the Gambas programs of one root: which of them run, and in which dialect they save.

export { DialectInUse } from "./dialect.ts";
export { Presence } from "./presence.ts";

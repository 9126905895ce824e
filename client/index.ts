// The public names of gambas-session, nothing else.

export { type ErrorCode, SessionError } from "../protocol/errors.ts";
export { type TypedValue, typed } from "../protocol/value.ts";
export type { Client } from "./client.ts";
export { connect } from "./connect.ts";
export type { Handle, HandleOptions } from "./handle.ts";
export { type Middleware, session } from "./http.ts";
export type { ConnectOptions, SessionOptions } from "./options.ts";
export type { CookieBearer, RunOptions } from "./run-options.ts";
export { Session, type SessionStatic, sessionOf, type TransactionOptions } from "./session.ts";

// The public names of gambas-session, nothing else.

export { type ErrorCode, SessionError } from "../protocol/errors.ts";
export { type TypedValue, typed } from "../protocol/value/value.ts";
export { connect } from "./connect.ts";
export type { Handle, HandleOptions } from "./handle/handle.ts";
export { type Middleware, session } from "./http/node/middleware.ts";
export type { Client } from "./link/client.ts";
export type { ConnectOptions, SessionOptions } from "./options.ts";
export {
  type CookieBearer,
  type RunOptions,
  Session,
  type SessionStatic,
  sessionOf,
  type TransactionOptions,
} from "./static/session.ts";

// The public names of gambas-session, nothing else. `test/client/public-api.md` holds what they declare.

export { type ErrorCode, SessionError } from "../protocol/errors.ts";
export type {
  Client,
  CreateOptions,
  DaemonStatus,
  Handle,
  HandleOptions,
  Latencies,
  ListedSession,
  ListOptions,
  TransactionOptions,
  TypedValue,
} from "./api.ts";
export { connect } from "./connect.ts";
export { type Middleware, type Next, session } from "./http/node/middleware.ts";
export type { ConnectOptions, HttpOptions, SessionOptions } from "./options.ts";
export {
  type CookieBearer,
  type RunOptions,
  Session,
  type SessionStatic,
  sessionOf,
} from "./static/session.ts";
export { typed } from "./typed.ts";

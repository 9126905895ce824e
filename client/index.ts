// The public names of gambas-session, nothing else. `test/client/public-api.md` holds what they declare.

import "./node-version.ts";

export { type ErrorCode, SessionError } from "../protocol/errors.ts";
export type {
  Client,
  CookieMaxAge,
  CreateOptions,
  DaemonStatus,
  Handle,
  HandleOptions,
  Latencies,
  ListedSession,
  ListOptions,
  SessionData,
  Settable,
  TransactionOptions,
  TypedValue,
} from "./api.ts";
export { connect } from "./connect.ts";
export { type Middleware, type Next, session } from "./http/node/middleware.ts";
export type { AdoptOptions, ConnectOptions, DaemonSettings, HttpOptions, SameSite, SessionOptions } from "./options.ts";
export {
  type CookieBearer,
  type RunOptions,
  Session,
  type SessionStatic,
  sessionOf,
} from "./static/session.ts";
export { typed } from "./typed.ts";

// The daemon's side of the socket, put together: frames come in at the server, find their operation in dispatch and what they ask for in the
// handlers, and go to the backend. What a backend answers leaves at the end of the event loop's turn.

import type { Backend } from "../backend/backend.ts";
import type { Log } from "../report/report.ts";
import { Failures } from "./call.ts";
import { Dispatch } from "./dispatch.ts";
import { type HandlerParts, makeHandlers } from "./handlers.ts";
import { Server } from "./server.ts";
import type { TurnEnd } from "./turn-end.ts";

export type { Server } from "./server.ts";
export { TurnEnd } from "./turn-end.ts";

export interface WireParts extends HandlerParts {
  readonly backend: Backend;
  readonly log: Log;
  readonly turnEnd: TurnEnd;
}

/** What a frame may take besides a session of the largest size. */
const FRAME_OVERHEAD_BYTES = 64 * 1024;

/** A server that does not listen yet. */
export function makeServer(parts: WireParts): Server {
  const { config, backend, log, metrics, turnEnd } = parts;
  const failures = new Failures(parts);
  const dispatch = new Dispatch({ handlers: makeHandlers(parts), failures, backend, log, metrics });
  const { socket, maxSessionBytes } = config;
  const server = new Server({ socket, maxFrameBytes: maxSessionBytes + FRAME_OVERHEAD_BYTES }, dispatch, turnEnd);
  turnEnd.begin(backend, server);
  return server;
}

// Keeps a server from cutting responses that are held. node:http takes a connection for idle as soon as its response was ended, wherever the bytes
// are, and `close` and `closeIdleConnections` of a server cut idle connections at once: an application that leaves as it should, at a deployment
// say, would not answer what it has just saved. The connection of a response that is held is closed when the response has left.
//
// Node goes by the property `finished` of the response. Only while it looks, a response that is held has false there.
// test/client/http/node/closing.test.ts sees whether Node still looks in this way.

import type { ServerResponse } from "node:http";
import type { Socket } from "node:net";

/** What is there of a server; those of node:net have no such method. */
interface Closing {
  closeIdleConnections?: (this: Closing) => void;
}

/** What node:http has and does not declare: whose server a connection is of, and the response whose turn it is. */
type Connection = Socket & { readonly server?: Closing; readonly _httpMessage?: ServerResponse | null };

/** A response that is held, between the one held before it and the one after. */
export interface Held extends Place {
  readonly res: ServerResponse;
}

/** In the ring. */
interface Place {
  readonly res: ServerResponse | undefined;
  before: Place;
  after: Place;
  /** Its connection is closed when it has left. Applications that leave ask for that again and again. */
  isLast: boolean;
}

/**
 * The ring of all responses that are held, closed by an element without one. Not a Set: the tables that it makes anew as responses come and go
 * grow old with responses in them, which are then kept until a whole collection: half as many pages a second in `http-write`.
 */
const ring: Place = makeRing();
/** Their own method is replaced already. */
const servers = new WeakSet<Closing>();

function makeRing(): Place {
  const end = { res: undefined, isLast: false } as { res: undefined; before: Place; after: Place; isLast: boolean };
  end.before = end;
  end.after = end;
  return end;
}

/** Until `releaseConnection` the connection of this response is not idle for its server. Undefined where no server could take it for that. */
export function keepConnection(res: ServerResponse): Held | undefined {
  const server = connectionOf(res)?.server;
  if (server?.closeIdleConnections === undefined) return undefined;
  if (!servers.has(server)) watch(server, server.closeIdleConnections);
  const held = { res, before: ring.before, after: ring, isLast: false };
  ring.before.after = held;
  ring.before = held;
  return held;
}

/** It points to nobody afterwards: an old one would keep others in memory. */
export function releaseConnection(held: Held): void {
  held.before.after = held.after;
  held.after.before = held.before;
  held.before = held;
  held.after = held;
}

/** A response has no connection of its own before its turn; its request has. */
function connectionOf(res: ServerResponse): Connection | undefined {
  return res.req?.socket as Connection | undefined;
}

function watch(server: Closing, original: () => void): void {
  servers.add(server);
  const value = function closeIdleConnections(this: Closing): void {
    closeOthers(server, () => original.call(this));
  };
  Object.defineProperty(server, "closeIdleConnections", { value, configurable: true, writable: true });
}

function closeOthers(server: Closing, close: () => void): void {
  const ended = [...heldOf(server)].filter(({ res }) => res.finished);
  for (const { res } of ended) res.finished = false;
  try {
    close();
  } finally {
    for (const { res } of ended) res.finished = true;
  }
  for (const held of ended) closeLater(held);
}

function* heldOf(server: Closing): Generator<Held> {
  for (let place = ring.after; isHeld(place); place = place.after) {
    if (connectionOf(place.res)?.server === server) yield place;
  }
}

/** False for the end of the ring. */
function isHeld(place: Place): place is Held {
  return place.res !== undefined;
}

/** Unless another response follows on the connection. */
function closeLater(held: Held): void {
  if (held.isLast) return;
  held.isLast = true;
  const { res } = held;
  const connection = connectionOf(res);
  res.once("finish", () => {
    if (!connection?._httpMessage) connection?.destroySoon();
  });
}

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

const heldBy = new WeakMap<Closing, Set<ServerResponse>>();

/** Until `releaseConnection` the connection of this response is not idle for its server. */
export function keepConnection(res: ServerResponse): void {
  const server = connectionOf(res)?.server;
  if (server?.closeIdleConnections !== undefined) heldOf(server, server.closeIdleConnections).add(res);
}

export function releaseConnection(res: ServerResponse): void {
  const server = connectionOf(res)?.server;
  if (server !== undefined) heldBy.get(server)?.delete(res);
}

/** A response has no connection of its own before its turn; its request has. */
function connectionOf(res: ServerResponse): Connection | undefined {
  return res.req?.socket as Connection | undefined;
}

/** The responses of a server that are held now. The first one replaces the server's method. */
function heldOf(server: Closing, original: () => void): Set<ServerResponse> {
  const known = heldBy.get(server);
  if (known !== undefined) return known;
  const held = new Set<ServerResponse>();
  heldBy.set(server, held);
  const value = function closeIdleConnections(this: Closing): void {
    closeOthers(held, () => original.call(this));
  };
  Object.defineProperty(server, "closeIdleConnections", { value, configurable: true, writable: true });
  return held;
}

function closeOthers(held: ReadonlySet<ServerResponse>, close: () => void): void {
  const ended = [...held].filter(({ finished }) => finished);
  for (const res of ended) res.finished = false;
  try {
    close();
  } finally {
    for (const res of ended) res.finished = true;
  }
  for (const res of ended) closeLater(res);
}

/** Unless another response follows on the connection. */
function closeLater(res: ServerResponse): void {
  const connection = connectionOf(res);
  res.once("finish", () => {
    if (!connection?._httpMessage) connection?.destroySoon();
  });
}

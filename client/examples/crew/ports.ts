// Ports of 127.0.0.1 that are free.

import { once } from "node:events";
import { createServer } from "node:net";

const FIRST_PORT = 8080;
const PORTS_TRIED = 100;

/** The port that was asked for, or the first free one from 8080 on. @throws Error where there is none. */
export async function freePort(asked: string | undefined): Promise<number> {
  const [first, last] =
    asked === undefined ? [FIRST_PORT, FIRST_PORT + PORTS_TRIED - 1] : [portOf(asked), portOf(asked)];
  for (let port = first; port <= last; port++) {
    const free = await tryPort(port);
    if (free !== undefined) return free;
  }
  throw new Error(`No port from ${first} to ${last} is free on 127.0.0.1; choose another one with PORT.`);
}

/** The one behind a port, or the next that is free. */
export async function freePortBehind(port: number): Promise<number> {
  for (let next = port + 1; next <= port + PORTS_TRIED; next++) {
    const free = next > 65_535 ? await tryPort(0) : await tryPort(next);
    if (free !== undefined) return free;
  }
  throw new Error(`No port behind ${port} is free on 127.0.0.1.`);
}

function portOf(text: string): number {
  const port = Number(text);
  if (/^\d+$/.test(text) && port <= 65_535) return port;
  throw new Error(`PORT is a number from 0 (any) to 65535, not ${JSON.stringify(text)}.`);
}

/** The port, for 0 the one that the system chose; undefined when another program has it. */
async function tryPort(port: number): Promise<number | undefined> {
  const server = createServer();
  try {
    server.listen(port, "127.0.0.1");
    await once(server, "listening");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EADDRINUSE") throw error;
    return undefined;
  }
  const address = server.address();
  server.close();
  await once(server, "close");
  return typeof address === "object" ? address?.port : undefined;
}

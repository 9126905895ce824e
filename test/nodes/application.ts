// An application as its user has it, in a project of its own: two workers that share their sessions, over HTTP/1 and HTTP/2. Its primary
// says the ports, starts another worker where one has died, and ends when its input does.

import cluster from "node:cluster";
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { createServer as createServer2, type Http2ServerRequest, type Http2ServerResponse } from "node:http2";
import type { AddressInfo } from "node:net";
import { Session, session } from "gambas-session";

const WORKERS = 2;

type Answer = (res: ServerResponse) => Promise<void>;

const PAGES: Readonly<Record<string, Answer>> = {
  /** Alone on the session: every answer is another number. */
  "/count": async (res) => {
    await Session.Transaction(() => {
      Session.n = Number(Session.n ?? 0) + 1;
    });
    res.end(String(Session.n));
  },
  /** The session changes between two parts of a body. */
  "/stream": async (res) => {
    res.write("one ");
    Session.middle = "yes";
    res.write(Buffer.from("two "));
    await Session.Save();
    res.end("three");
  },
  "/redirect": async (res) => {
    Session.redirected = new Date(0);
    res.writeHead(303, { location: "/show" }).end();
  },
  "/show": async (res) => {
    res.setHeader("content-type", "application/json");
    res.end(
      JSON.stringify(Object.fromEntries(Session.Keys.map((key) => [key, [Session.TypeOf(key), Session.get(key)]]))),
    );
  },
};

function work(): void {
  const middleware = session();
  const answer = (req: IncomingMessage, res: ServerResponse): void => {
    res.setHeader("worker", process.pid);
    void middleware(req, res, () => PAGES[req.url ?? ""]?.(res));
  };
  // The compatible API of HTTP/2 is what the middleware takes, by other types.
  const answer2 = (req: Http2ServerRequest, res: Http2ServerResponse): void =>
    answer(req as unknown as IncomingMessage, res as unknown as ServerResponse);
  const servers = [createServer(answer), createServer2(answer2)];
  const listening = servers.map((server) => once(server.listen(0, "127.0.0.1"), "listening"));
  void Promise.all(listening).then(() => process.send?.(servers.map(portOf)));
}

/** The workers share the ports. */
function portOf(server: ReturnType<typeof createServer> | ReturnType<typeof createServer2>): number {
  return (server.address() as AddressInfo).port;
}

function lead(): void {
  let ready = 0;
  cluster.on("exit", () => cluster.fork());
  cluster.on("message", (_worker, ports: readonly number[]) => {
    ready++;
    if (ready >= WORKERS) console.log(`ready ${ports.join(" ")}`);
  });
  for (let worker = 0; worker < WORKERS; worker++) cluster.fork();
  process.stdin.resume().once("end", () => process.exit());
}

if (cluster.isPrimary) lead();
else work();

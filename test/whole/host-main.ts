// An application of one host, for redis-hosts.test.ts: says `Session.Type = "redis"` and nothing else of where its sessions are, which the
// environment does. Its root is the first argument.

import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { Session, session } from "../../client/index.ts";
import { serveCalls } from "../support/processes.ts";

const [, , root = ""] = process.argv;
Session.Type = "Redis";
const withSession = session({ root });

const PAGES: Readonly<Record<string, () => unknown>> = {
  "/read": () => ({
    id: Session.Id,
    type: Session.Type,
    path: Session.Path,
    size: Session.Size,
    cart: Session.cart,
    n: Session.n,
  }),
  "/buy": () => {
    Session.cart = [...((Session.cart as string[] | undefined) ?? []), "tea"];
  },
  "/count": () =>
    Session.Transaction(() => {
      Session.n = Number(Session.n ?? 0) + 1;
      return Session.n;
    }),
  "/end": () => Session.Abandon(),
  "/retype": () => {
    Session.Type = "file";
  },
};

const server = createServer((req, res) => {
  withSession(req, res, async () => {
    try {
      const said = await PAGES[req.url ?? ""]?.();
      res.end(JSON.stringify(said ?? null));
    } catch (error) {
      res.statusCode = 500;
      res.end(JSON.stringify({ error: String(error) }));
    }
  });
}).listen(0, "127.0.0.1");
await once(server, "listening");

serveCalls({ port: () => (server.address() as AddressInfo).port });

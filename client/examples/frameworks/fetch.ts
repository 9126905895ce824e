// Handlers of Request and Response, here those of h3, which gives its Request as `req`. Elsewhere it is the first argument itself:
//   export const GET = withSession(async (request) => new Response("…"));
//   npm install h3 gambas-session && PORT=3000 node fetch.js

import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { Session } from "gambas-session";
import { withSession } from "gambas-session/fetch";
import { H3, toNodeHandler } from "h3";

const count = withSession(async ({ req }: { req: Request }) => {
  await Session.Transaction(() => {
    Session.visits = Number(Session.visits ?? 0) + 1;
  });
  return new Response(`Visit ${Session.visits} of ${Session.Id}, at ${new URL(req.url).pathname}\n`);
});

const leave = withSession(async ({ req }: { req: Request }) => {
  await Session.Abandon();
  return Response.redirect(new URL("/", req.url), 303);
});

const app = new H3().get("/", count).post("/abandon", leave);
const server = createServer(toNodeHandler(app)).listen(Number(process.env.PORT ?? 3000), "127.0.0.1");
await once(server, "listening");
console.log(`Ready: http://127.0.0.1:${(server.address() as AddressInfo).port}/`);

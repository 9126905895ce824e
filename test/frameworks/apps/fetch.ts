// withSession() around a handler of Request and Response, on the smallest server that has these: @hono/node-server without Hono.
import type { Server } from "node:http";
import { createAdaptorServer } from "@hono/node-server";
import { withSession } from "gambas-session/fetch";
import { responseOf } from "./bodies.ts";
import { announce, OPTIONS, visit } from "./pages.ts";

const handler = withSession(
  async (request: Request) => {
    const body: unknown = request.method === "POST" ? await request.json() : undefined;
    return responseOf(await visit(request.url, body));
  },
  { ...OPTIONS, address: () => "127.0.0.1" },
);

await announce(createAdaptorServer({ fetch: handler, overrideGlobalObjects: false }) as Server);

// Hono 4 on @hono/node-server.
import type { Server } from "node:http";
import { createAdaptorServer, type HttpBindings } from "@hono/node-server";
import { Session } from "gambas-session";
import { gambasSession } from "gambas-session/hono";
import { type Context, Hono } from "hono";
import { stream } from "hono/streaming";
import { responseOf } from "./bodies.ts";
import { announce, apologize, OPTIONS, visit } from "./pages.ts";

const app = new Hono<{ Bindings: HttpBindings }>();
app.use(async (c, next) => {
  await next();
  // Middleware outside may put another response in the place of ours.
  if (c.req.path === "/replaced") c.res = new Response("replaced", c.res);
});
app.use(gambasSession(OPTIONS));
app.onError((error) => responseOf(apologize(error)));
app.get("/requested", async (c) => {
  const begun = await app.request("/set");
  const cookie = begun.headers.getSetCookie()[0]?.split(";", 1)[0] ?? "";
  const read = await app.request("/n", { headers: { cookie } });
  const streamed = await app.request("/stream", { headers: { cookie } });
  return c.json({ begun: begun.status, read: await read.text(), streamed: await streamed.text(), cookie });
});
app.get("/replaced", (c) => {
  Session.n = 1;
  return c.text("mine");
});
app.get("/helper", (c) =>
  stream(c, async (out) => {
    await out.write("one ");
    Session.helper = "yes";
    await out.write("two");
  }),
);
const handle = async (c: Context): Promise<Response> => {
  const body: unknown = c.req.method === "POST" ? await c.req.json() : undefined;
  const page = await visit(c.req.path, body);
  return page.body !== undefined && page.status === undefined && page.headers === undefined
    ? c.text(page.body)
    : responseOf(page);
};
app.route("/nested", new Hono().all("/*", handle));
app.all("/*", handle);

await announce(createAdaptorServer({ fetch: app.fetch }) as Server);

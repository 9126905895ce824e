// Hono on @hono/node-server: middleware before whatever uses `Session`.
//   npm install hono @hono/node-server gambas-session && PORT=3000 node hono.js

import { serve } from "@hono/node-server";
import { Session } from "gambas-session";
import { gambasSession } from "gambas-session/hono";
import { Hono } from "hono";

const app = new Hono();
app.use(gambasSession());

app.get("/", async (c) => {
  await Session.Transaction(() => {
    Session.visits = Number(Session.visits ?? 0) + 1;
  });
  return c.text(`Visit ${Session.visits} of ${Session.Id}\n`);
});

app.post("/abandon", async (c) => {
  await Session.Abandon();
  return c.redirect("/", 303);
});

serve({ fetch: app.fetch, port: Number(process.env.PORT ?? 3000), hostname: "127.0.0.1" }, ({ port }) => {
  console.log(`Ready: http://127.0.0.1:${port}/`);
});

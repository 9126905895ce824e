// Koa: middleware before whatever uses `Session`.
//   npm install koa gambas-session && PORT=3000 node koa.js

import type { AddressInfo } from "node:net";
import { Session } from "gambas-session";
import { gambasSession } from "gambas-session/koa";
import Koa from "koa";

const app = new Koa();
app.use(gambasSession());

app.use(async (context) => {
  if (context.method === "POST" && context.path === "/abandon") {
    await Session.Abandon();
    context.status = 303;
    context.redirect("/");
    return;
  }
  await Session.Transaction(() => {
    Session.visits = Number(Session.visits ?? 0) + 1;
  });
  context.body = `Visit ${Session.visits} of ${Session.Id}\n`;
});

const server = app.listen(Number(process.env.PORT ?? 3000), "127.0.0.1", () => {
  console.log(`Ready: http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
});

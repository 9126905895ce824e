// Koa 2 and 3.
import { createServer } from "node:http";
import { Readable } from "node:stream";
import { json } from "node:stream/consumers";
import { Session } from "gambas-session";
import { gambasSession } from "gambas-session/koa";
import Koa, { type Context } from "koa";
import { announce, apologize, OPTIONS, type Page, visit } from "./pages.ts";

function send(context: Context, { status = 200, headers = {}, body, chunks }: Page): void {
  context.body = chunks === undefined ? body : Readable.from(chunks());
  context.status = status;
  context.set(headers);
}

const app = new Koa();
app.silent = true;
app.use(gambasSession(OPTIONS));
app.use(async (context, next) => {
  try {
    await next();
  } catch (error) {
    send(context, apologize(error));
  }
});
app.use(async (context, next) => {
  if (context.path !== "/raw") return next();
  Session.n = "raw";
  context.respond = false;
  context.res.statusCode = 200;
  context.res.end("raw");
});
app.use(async (context) => {
  const body = context.method === "POST" ? await json(context.req) : undefined;
  send(context, await visit(context.path, body));
});

await announce(createServer(app.callback()));

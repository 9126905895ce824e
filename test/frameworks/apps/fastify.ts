// Fastify 4 and 5.
import { Readable } from "node:stream";
import Fastify, { type FastifyReply, type FastifyRequest } from "fastify";
import { Session } from "gambas-session";
import { gambasSession } from "gambas-session/fastify";
import { announce, apologize, OPTIONS, type Page, visit } from "./pages.ts";

function send(reply: FastifyReply, { status = 200, headers = {}, body, chunks }: Page): FastifyReply {
  reply.code(status).headers(headers);
  return reply.send(chunks === undefined ? body : Readable.from(chunks()));
}

const handle = async (request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> =>
  send(reply, await visit(request.url, request.body));

const app = Fastify();
await app.register(gambasSession, { ...OPTIONS, logLevel: "warn" });
app.addHook("preHandler", async (_request, reply) => {
  // Hooks after it have the session, too.
  reply.header("X-Session", Session.Id ?? "none");
});
app.setErrorHandler((error, _request, reply) => send(reply, apologize(error)));
app.get("/injected", async () => {
  const begun = await app.inject("/set");
  const cookie = String(begun.headers["set-cookie"]).split(";", 1)[0] ?? "";
  const read = await app.inject({ url: "/n", headers: { cookie } });
  const streamed = await app.inject({ url: "/stream", headers: { cookie } });
  return { begun: begun.statusCode, read: read.body, streamed: streamed.body, cookie };
});
app.get("/raw", (_request, reply) => {
  Session.n = "raw";
  reply.hijack();
  reply.raw.end("raw");
});
await app.register(
  async (nested) => {
    nested.all("/*", handle);
  },
  { prefix: "/nested" },
);
app.all("/*", handle);

await app.ready();
await announce(app.server);

// Fastify: the plugin comes before whatever uses `Session`, and is registered once, for all of the application.
//   npm install fastify gambas-session && PORT=3000 node fastify.js

import Fastify from "fastify";
import { Session } from "gambas-session";
import { gambasSession } from "gambas-session/fastify";

const app = Fastify();
await app.register(gambasSession, { sameSite: "Lax" });

app.get("/", async () => {
  await Session.Transaction(() => {
    Session.visits = Number(Session.visits ?? 0) + 1;
  });
  return `Visit ${Session.visits} of ${Session.Id}\n`;
});

app.post("/abandon", async (_request, reply) => {
  await Session.Abandon();
  return reply.redirect("/", 303);
});

console.log(`Ready: ${await app.listen({ port: Number(process.env.PORT ?? 3000), host: "127.0.0.1" })}/`);

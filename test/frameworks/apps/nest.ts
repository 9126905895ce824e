// NestJS 11, on Express or on Fastify. Its decorators are called by hand: they are functions.
import "reflect-metadata";
import { Readable } from "node:stream";
import { All, type ArgumentsHost, Body, Catch, Controller, HttpException, Module, Req, Res } from "@nestjs/common";
import { NestFactory } from "@nestjs/core";
import type { NestExpressApplication } from "@nestjs/platform-express";
import { FastifyAdapter, type NestFastifyApplication } from "@nestjs/platform-fastify";
import { session } from "gambas-session";
import { gambasSession } from "gambas-session/fastify";
import { announce, apologize, OPTIONS, type Page, visit } from "./pages.ts";

/** What the responses of Express and Fastify have in common. */
interface Reply {
  status(code: number): unknown;
  header(name: string, value: string): unknown;
  send(body: unknown): unknown;
  pipe?: unknown;
  raw?: unknown;
}

function send(reply: Reply, { status = 200, headers = {}, body, chunks }: Page): void {
  reply.status(status);
  for (const [name, value] of Object.entries(headers)) reply.header(name, value);
  if (chunks === undefined) reply.send(body);
  else if (reply.raw === undefined) Readable.from(chunks()).pipe(reply as unknown as NodeJS.WritableStream);
  else reply.send(Readable.from(chunks()));
}

class Pages {
  async answer(req: { readonly url: string }, reply: Reply, body: unknown): Promise<void> {
    send(reply, await visit(req.url, body));
  }
}

class Apology {
  catch(error: unknown, host: ArgumentsHost): void {
    const reply = host.switchToHttp().getResponse<Reply>();
    send(reply, error instanceof HttpException ? { status: error.getStatus(), body: error.message } : apologize(error));
  }
}

class Application {}

const handler = Object.getOwnPropertyDescriptor(Pages.prototype, "answer") ?? {};
All(["nested/:page", ":page"])(Pages.prototype, "answer", handler);
for (const [index, part] of [Req(), Res(), Body()].entries()) part(Pages.prototype, "answer", index);
Controller()(Pages);
Catch()(Apology);
Module({ controllers: [Pages] })(Application);

if (process.argv[2] === "fastify") {
  const app = await NestFactory.create<NestFastifyApplication>(Application, new FastifyAdapter(), { logger: false });
  await app.register(gambasSession, OPTIONS);
  app.useGlobalFilters(new Apology());
  await app.listen(0, "127.0.0.1");
  await announce(app.getHttpServer());
} else {
  const app = await NestFactory.create<NestExpressApplication>(Application, { logger: false });
  app.use(session(OPTIONS));
  app.useGlobalFilters(new Apology());
  await app.listen(0, "127.0.0.1");
  await announce(app.getHttpServer());
}

// The middleware where frameworks take one, in the types of the frameworks. It is only compiled.

import { createServer, type IncomingMessage } from "node:http";
import { createServer as createHttp2, type Http2ServerRequest, type Http2ServerResponse } from "node:http2";
import express, { type Request } from "express";
import Fastify from "fastify";
import { type Middleware, type SessionOptions, session } from "gambas-session";

const application = express();
application.use(session());
application.use(session<Request>({ prefix: (req) => req.originalUrl, onError: (_error, req) => req.ip }));
application.use(session({ prefix: (req: Request) => req.originalUrl }));
application.use("/below", session({ prefix: (req) => req.url ?? "" }));

const middleware: Middleware = session();
const options: SessionOptions = { prefix: (req: IncomingMessage) => req.url ?? "" };
const own: Middleware<Request> = session<Request>({ prefix: (req) => req.hostname });
application.use(own);

createServer((req, res) => session(options)(req, res, () => res.end()));
createHttp2((req: Http2ServerRequest, res: Http2ServerResponse) => middleware(req, res, () => res.end()));
// @ts-expect-error: its prefix needs what Express makes of a request
createServer((req, res) => own(req, res, () => res.end()));

const fastify = Fastify();
fastify.addHook("onRequest", (request, reply, done) => middleware(request.raw, reply.raw, done));

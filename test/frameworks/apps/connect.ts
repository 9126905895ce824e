// connect 3 and polka 0.5: node:http with middleware.
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from "node:http";
import { Readable } from "node:stream";
import { json } from "node:stream/consumers";
import connect, { type NextFunction } from "connect";
import { session } from "gambas-session";
import polka, { type Request } from "polka";
import { announce, apologize, OPTIONS, type Page, visit } from "./pages.ts";

function send(res: ServerResponse, { status = 200, headers = {}, body, chunks }: Page): void {
  res.writeHead(status, headers);
  if (chunks === undefined) res.end(body);
  else Readable.from(chunks()).pipe(res);
}

const handle = async (req: IncomingMessage, res: ServerResponse, next: (error?: unknown) => void): Promise<void> => {
  try {
    const body = req.method === "POST" ? await json(req) : undefined;
    send(res, await visit(req.url, body));
  } catch (error) {
    next(error);
  }
};
const onError = (error: unknown, res: ServerResponse): void => send(res, apologize(error));

function ofConnect(): RequestListener {
  const app = connect();
  app.use(session(OPTIONS));
  app.use("/nested", (req, res, next) => void handle(req, res, next));
  app.use((req, res, next) => void handle(req, res, next));
  app.use((error: unknown, _req: IncomingMessage, res: ServerResponse, _next: NextFunction) => onError(error, res));
  return app;
}

function ofPolka(): RequestListener {
  const app = polka({ onError: (error, _req, res) => onError(error, res) });
  app.use(session(OPTIONS));
  app.use("/nested", handle);
  app.use(handle);
  return (req, res) => app.handler(req as Request, res);
}

await announce(createServer(process.argv[2] === "polka" ? ofPolka() : ofConnect()));

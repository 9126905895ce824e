// connect 3: node:http with middleware.
import { createServer, type ServerResponse } from "node:http";
import { Readable } from "node:stream";
import { json } from "node:stream/consumers";
import connect, { type IncomingMessage, type NextFunction } from "connect";
import { session } from "gambas-session";
import { announce, apologize, OPTIONS, type Page, visit } from "./pages.ts";

function send(res: ServerResponse, { status = 200, headers = {}, body, chunks }: Page): void {
  res.writeHead(status, headers);
  if (chunks === undefined) res.end(body);
  else Readable.from(chunks()).pipe(res);
}

const app = connect();
app.use(session(OPTIONS));
const handle = async (req: IncomingMessage, res: ServerResponse, next: NextFunction): Promise<void> => {
  try {
    const body = req.method === "POST" ? await json(req) : undefined;
    send(res, await visit(req.url, body));
  } catch (error) {
    next(error);
  }
};
app.use("/nested", (req, res, next) => void handle(req, res, next));
app.use((req, res, next) => void handle(req, res, next));
app.use((error: unknown, _req: IncomingMessage, res: ServerResponse, _next: NextFunction) =>
  send(res, apologize(error)),
);

await announce(createServer(app));

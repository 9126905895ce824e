// Express 4 and 5.
import { createServer } from "node:http";
import { Readable } from "node:stream";
import express, { type NextFunction, type Request, type Response } from "express";
import { session } from "gambas-session";
import { announce, apologize, OPTIONS, type Page, visit } from "./pages.ts";

function send(res: Response, { status = 200, headers = {}, body, chunks }: Page): void {
  res.status(status).set(headers);
  if (chunks !== undefined) Readable.from(chunks()).pipe(res);
  else if (body === undefined) res.end();
  else res.send(body);
}

const app = express();
app.use(session(OPTIONS));
app.use(express.json());
const router = express.Router();
const handle = (req: Request, res: Response, next: NextFunction): void => {
  visit(req.url, req.body).then((page) => send(res, page), next);
};
router.use(handle);
app.use("/nested", router);
app.use(handle);
app.use((error: unknown, _req: Request, res: Response, _next: NextFunction) => send(res, apologize(error)));

await announce(createServer(app));

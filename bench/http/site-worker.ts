// One worker of a measured site: the contender's middleware in front of three pages, in node:http or in Express.

import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { Site } from "../contenders/contender.ts";
import { contenderNamed } from "../contenders/list.ts";
import { pageAt } from "./pages.ts";
import { SETUP_VARIABLE, type SiteSetup } from "./site-calls.ts";

type Listener = (req: IncomingMessage, res: ServerResponse) => void;

const setup = JSON.parse(process.env[SETUP_VARIABLE] ?? "{}") as SiteSetup;
const entry = await contenderNamed(setup.contender).load();
if (entry.openSite === undefined) throw new Error(`${setup.contender} is not for HTTP`);
const site = await entry.openSite(setup.places);
const listener = setup.frame === "express" ? await inExpress(site) : inNode(site);
const server = createServer(listener);
// Connections wait while others are measured: longer than they would be kept.
server.keepAliveTimeout = 0;
// Leaves by itself, so that a profile of it is written.
process.once("SIGTERM", () => process.exit(0));
// One port for all: whoever asks for 0 in a cluster shares what the first one got.
server.listen(0, "127.0.0.1");

function inNode({ middleware, valuesOf }: Site): Listener {
  return (req, res) => {
    middleware(req, res, (error) => {
      if (error) {
        res.statusCode = 500;
        res.end(String(error));
      } else {
        pageAt(req.url ?? "/", valuesOf(req), res);
      }
    });
  };
}

async function inExpress({ middleware, valuesOf }: Site): Promise<Listener> {
  const { default: express } = await import("express");
  const app = express();
  app.disable("x-powered-by");
  app.disable("etag");
  app.use(middleware);
  for (const path of ["/login", "/read", "/write"]) app.get(path, (req, res) => pageAt(path, valuesOf(req), res));
  return app;
}

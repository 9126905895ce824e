// h3 2, as in Nitro: withSession() around all of it.
import { createServer } from "node:http";
import { withSession } from "gambas-session/fetch";
import { H3, type H3Event, toNodeHandler } from "h3";
import { responseOf } from "./bodies.ts";
import { announce, apologize, OPTIONS, visit } from "./pages.ts";

/** Its server tells the address beside what is standard. */
const address = (request: Request): string | undefined => ("ip" in request ? String(request.ip) : undefined);

const app = new H3({ onError: (error) => responseOf(apologize(error.cause ?? error)) });
app.all("/**", async (event) => {
  const body: unknown = event.req.method === "POST" ? await event.req.json() : undefined;
  return responseOf(await visit(event.url.pathname, body));
});
const outside = new H3();
outside.all(
  "/**",
  withSession((event: H3Event) => Promise.resolve(app.fetch(event.req)), { ...OPTIONS, address }),
);

await announce(createServer(toNodeHandler(outside)));

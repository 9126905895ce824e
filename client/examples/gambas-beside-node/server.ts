// A page of Node and a page of Gambas behind one server: one cookie, one session, and each shows what the other one wrote. Here the server runs
// the page of Gambas as CGI; client/MIGRATING.md, "Page by page", says how nginx or lighttpd do it. In a clone, where Gambas is installed:
//   cd client/examples/gambas-beside-node && gbc3 -ga gambas-page && gba3 -o page.gambas gambas-page
//   PORT=3000 node ../../../dist/client/examples/gambas-beside-node/server.js ./page.gambas

import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { Session, session } from "gambas-session";
import { CgiProgram } from "./cgi.ts";

// The name that Gambas gives its cookie, and a path that both pages are below.
const withSession = session({ cookieName: "GBSESSIONID", cookiePath: "/" });
const gambasPage = new CgiProgram("/gambas", process.argv.slice(2));

async function nodePage(req: IncomingMessage, res: ServerResponse): Promise<void> {
  if (req.method === "POST") {
    const form = new URLSearchParams(await text(req));
    if (form.has("leave")) await Session.Abandon();
    else Session.note = form.get("note") ?? "";
    res.writeHead(303, { Location: "/node" }).end();
    return;
  }
  await Session.Transaction(() => {
    Session.inNode = Number(Session.inNode ?? 0) + 1;
  });
  res.setHeader("Content-Type", "text/html; charset=utf-8").end(`<!doctype html><title>Node</title>
<h1>A page of Node</h1>
<p>Visits: ${Session.inNode} in Node, ${Session.inGambas ?? 0} in Gambas. Note: ${escaped(Session.note ?? "none")}.</p>
<form method="post"><input name="note" aria-label="A note"> <button>Keep it</button></form>
<form method="post"><button name="leave">End the session</button></form>
<p><a href="/gambas">To the page of Gambas</a></p>
`);
}

function escaped(value: unknown): string {
  return String(value).replace(/[&<>"]/g, (mark) => `&#${mark.charCodeAt(0)};`);
}

const server = createServer((req, res) => {
  const [path] = (req.url ?? "").split("?", 1);
  if (path === "/node") withSession(req, res, () => nodePage(req, res));
  else if (path === "/gambas") void gambasPage.answer(req, res);
  else res.writeHead(path === "/" ? 303 : 404, { Location: "/node" }).end();
});

for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.once(signal, () => {
    gambasPage.end();
    process.exit();
  });
}

await once(server.listen(Number(process.env.PORT ?? 3000), "127.0.0.1"), "listening");
console.log(`Ready: http://127.0.0.1:${(server.address() as AddressInfo).port}/node`);

// A program that has loaded two copies of the package, as bundles and nested node_modules bring them about. Says what it saw, as JSON.

import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { Handle } from "../../client/index.ts";

type Copy = typeof import("../../client/index.ts");

const [one = "", other = "", daemon = "", root = ""] = process.argv.slice(2);
const [a, b]: [Copy, Copy] = [await import(one), await import(other)];
const { startDaemon } = (await import(daemon)) as typeof import("../../daemon/start.ts");

const running = await startDaemon({ root, logLevel: "silent" });
const options = { root, spawn: false };
const client = await a.connect(options);
const sessions = a.session(options);
const visits = b.session({ ...options, cookieName: "VISITS" });

type Page = (req: IncomingMessage) => unknown;
const pages: Readonly<Record<string, Page>> = {
  "/write": async (req) => {
    b.Session.set("price", b.typed("Float", 3));
    b.Session.set("list", [b.typed("Integer", 1)]);
    await b.Session.Transaction(() => a.Session.set("n", Number(b.Session.get("n") ?? 0) + 1));
    const own: Handle | undefined = b.sessionOf(req);
    return [a.Session.TypeOf("price"), own?.get("n"), a.Session.Id === b.Session.Id, own === a.sessionOf(req)];
  },
  "/errors": () => [a, b].flatMap((copy) => [throws(copy, a), throws(copy, b)]),
  "/live": () => {
    const list = b.Session.get<number[]>("list");
    list.push(2);
    return a.Session.get("list");
  },
  "/nested": async () => {
    const inner = await b.Session.Run({ id: a.Session.Id }, () => [...b.Session.Keys, b.Session.get("list")]);
    return [inner, await a.Session.Run({}, () => b.Session.Id)];
  },
};

/** Whether the error of a member of one copy is one of the class of another. */
function throws(copy: Copy, judge: Copy): boolean {
  try {
    copy.Session.set("f", () => 1);
    return false;
  } catch (error) {
    return (
      error instanceof judge.SessionError && error instanceof Error && !(new Error() instanceof judge.SessionError)
    );
  }
}

const server = createServer((req, res) => {
  const page = pages[req.url ?? ""];
  if (page !== undefined) sessions(req, res, () => answer(page, req, res));
  // Two middlewares of two copies, each with a session of its own, and the outer one once more inside.
  else sessions(req, res, () => both(req, res));
});

function both(req: IncomingMessage, res: ServerResponse): void {
  a.Session.set("who", "outer");
  visits(req, res, () => {
    a.Session.set("who", "inner");
    visits(req, res, () => sessions(req, res, () => answer(() => a.Session.get("who"), req, res)));
  });
}

async function answer(page: Page, req: IncomingMessage, res: ServerResponse): Promise<void> {
  res.end(JSON.stringify((await page(req)) ?? null));
}

server.listen(0, "127.0.0.1");
await once(server, "listening");
const { port } = server.address() as AddressInfo;

const seen: Record<string, unknown> = {};
let cookie = "";
for (const path of [...Object.keys(pages), "/both"]) {
  const response = await fetch(`http://127.0.0.1:${port}${path}`, { headers: { cookie } });
  const lines = response.headers.getSetCookie();
  cookie ||= lines[0]?.split(";", 1)[0] ?? "";
  seen[path] = await response.json();
  if (path === "/both") seen.cookies = lines.map((line) => line.split("=", 1)[0]);
}
a.Session.Timeout = 77;
seen.timeout = b.Session.Timeout;
seen.connections = (await client.status()).connections;
process.stdout.write(JSON.stringify(seen));
server.close();
server.closeAllConnections();
await running.stop();
process.exit();

// A server around Next.js: everything below it has the session of its request. Only for route handlers `next start` does, with withSession().
//   npm install next react react-dom gambas-session && npx next build && NODE_ENV=production PORT=3000 node server.js

import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { session } from "gambas-session";
import next from "next";

const app = next({ dev: process.env.NODE_ENV !== "production", dir: import.meta.dirname });
await app.prepare();
const handle = app.getRequestHandler();
const withSession = session();

const server = createServer((req, res) => withSession(req, res, () => handle(req, res)));
await once(server.listen(Number(process.env.PORT ?? 3000), "127.0.0.1"), "listening");
console.log(`Ready: http://127.0.0.1:${(server.address() as AddressInfo).port}/`);

import assert from "node:assert";
import { createHmac } from "node:crypto";
import { once } from "node:events";
import express from "express";
import expressSession from "express-session";
import { Session, session } from "gambas-session";

const app = express();
const secret = "of the reader";
const oldStore = new expressSession.MemoryStore();
oldStore.set("abc", { cookie: new expressSession.Cookie({}), user: "anna", cart: ["tea"] });
// block
app.get("/", (_req, res) => res.json([Session.user ?? null, Session.cart ?? null]));
const server = app.listen(3000);
await once(server, "listening");
const ask = (cookie) => fetch(`http://127.0.0.1:${server.address().port}/`, { headers: { cookie } });
const signature = createHmac("sha256", secret).update("abc").digest("base64").replace(/=+$/, "");
const oldCookie = `connect.sid=${encodeURIComponent(`s:abc.${signature}`)}`;
// The visitor of before, then with the new cookie, and somebody who has kept the old one alone.
const first = await ask(oldCookie);
assert.deepEqual(await first.json(), ["anna", ["tea"]]);
const [now] = first.headers.getSetCookie()[0].split(";", 1);
assert.deepEqual(await (await ask(`${oldCookie}; ${now}`)).json(), ["anna", ["tea"]]);
assert.deepEqual(await (await ask(oldCookie)).json(), [null, null]);

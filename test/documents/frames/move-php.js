import assert from "node:assert";
import { once } from "node:events";
import express from "express";
import { Session, session } from "gambas-session";

const app = express();
app.use(session());
const asked = [];
/** PHP hands a session over once. */
const fetch = async (_url, { headers }) => {
  asked.push(headers.cookie);
  return Response.json({ user: asked.length === 1 ? "anna" : null });
};
// block
app.get("/", (_req, res) => res.send(String(Session.user)));
const server = app.listen(3000);
await once(server, "listening");
const ask = (cookie) => globalThis.fetch(`http://127.0.0.1:${server.address().port}/`, { headers: { cookie } });
const before = "PHPSESSID=0k2f,x-1";
const first = await ask(before);
assert.equal(await first.text(), "anna");
const [now] = first.headers.getSetCookie()[0].split(";", 1);
assert.equal(await (await ask(`${before}; ${now}`)).text(), "anna");
assert.equal(await (await ask(before)).text(), "undefined");
assert.deepEqual(asked, [before, before]);

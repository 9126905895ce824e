import assert from "node:assert";
import { createHmac } from "node:crypto";
import { once } from "node:events";
import express from "express";
import expressSession from "express-session";
import { GambasStore } from "gambas-session/store";

const secret = "of the reader";
const cookie = { originalMaxAge: null, expires: null, httpOnly: true, path: "/" };
/** Answers as connect-redis 9 does. */
const oldStore = { all: async () => [{ id: "abc", cookie, user: "anna" }] };
// block
// The visitor of before, with the cookie of before.
const app = express();
app.use(expressSession({ store: new GambasStore(), secret, resave: false, saveUninitialized: false }));
app.get("/", (req, res) => res.send(String(req.session.user)));
const server = app.listen(3000);
await once(server, "listening");
const signature = createHmac("sha256", secret).update("abc").digest("base64").replace(/=+$/, "");
const reply = await fetch(`http://127.0.0.1:${server.address().port}/`, {
  headers: { cookie: `connect.sid=${encodeURIComponent(`s:abc.${signature}`)}` },
});
assert.equal(await reply.text(), "anna");

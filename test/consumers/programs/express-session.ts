// express-session with our store, and our drop-in where its types describe `req.session`. It is only compiled.

import express, { type Request } from "express";
import expressSession from "express-session";
import { session as dropIn } from "gambas-session/express-session";
import { GambasStore } from "gambas-session/store";

declare module "express-session" {
  interface SessionData {
    user?: string;
  }
}

const application = express();
const store = new GambasStore({ spawn: false });
application.use(expressSession({ secret: "x", resave: false, saveUninitialized: false, store }));
application.use(dropIn({ secret: "x", genid: (req: Request) => req.originalUrl, cookie: { secure: "auto" } }));
application.get("/", (req, res) => {
  req.session.user = "bob";
  req.session.cookie.maxAge = 5_000;
  req.session.regenerate(() => res.send(req.sessionID));
});

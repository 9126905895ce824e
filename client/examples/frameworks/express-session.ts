// An application that was written for express-session: only the import is another one.
//   npm install express gambas-session && PORT=3000 node express-session.js

import type { AddressInfo } from "node:net";
import express from "express";
import session, { type ExpressSession } from "gambas-session/express-session";

declare global {
  namespace Express {
    interface Request {
      session: ExpressSession & { visits?: number };
    }
  }
}

const app = express();
app.use(session({ secret: "not needed", resave: false, saveUninitialized: false }));

app.get("/", (req, res) => {
  req.session.visits = (req.session.visits ?? 0) + 1;
  res.send(`Visit ${req.session.visits} of ${req.session.id}\n`);
});
app.post("/abandon", (req, res, next) => {
  req.session.destroy((error) => (error ? next(error) : res.redirect(303, "/")));
});

const server = app.listen(Number(process.env.PORT ?? 3000), "127.0.0.1", () => {
  console.log(`Ready: http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
});

// The same with Express: a visit counter that every worker shares. Run it as often as you like, with other ports: they count together.
//   PORT=3000 node dist/client/examples/express.js

import express from "express";
import { Session, session } from "gambas-session";

const app = express();
app.use(session());

app.get("/", async (_req, res) => {
  await Session.Transaction(() => {
    Session.visits = Number(Session.visits ?? 0) + 1;
  });
  res.type("text").send(`Visit ${Session.visits} of ${Session.Id}, kept in ${Session.Path}\n`);
});

app.post("/abandon", async (_req, res) => {
  await Session.Abandon();
  res.redirect(303, "/");
});

const port = Number(process.env.PORT ?? 3000);
app.listen(port, "127.0.0.1", () => console.log(`Ready: http://127.0.0.1:${port}/`));

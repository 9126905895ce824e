import express from "express";
import { Session, session } from "gambas-session";

const app = express();
// block
app.get("/", async (req, res) => {
  await Session.Transaction(() => {
    Session.visits = Number(Session.visits ?? 0) + 1;
  });
  res.send(`${Session.visits} ${Session.Type} ${Session.Path}`);
});
app.listen(3000);

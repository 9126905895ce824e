import express from "express";
import { Session, session, sessionOf, typed } from "gambas-session";

const app = express();
app.use(session());
// block
app.listen(3000);

import express, { type Request, type Response } from "express";
import { Session, session, sessionOf, typed } from "gambas-session";

const app = express();
app.use(session());
// block

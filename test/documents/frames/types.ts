import express, { type Request } from "express";
import { type Handle, Session, session } from "gambas-session";

interface Line {
  readonly name: string;
  readonly price: number;
}

const app = express();
declare const handle: Handle;
// block

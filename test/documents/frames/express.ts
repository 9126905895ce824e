import express, { type Request, type Response } from "express";

const app = express();
const secret = "of the reader";
// block

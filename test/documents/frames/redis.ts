import express from "express";
import { session } from "gambas-session";

const app = express();
// block
app.listen(3000);

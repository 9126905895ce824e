import express from "express";

const app = express();
const secret = "of the reader";
// block
app.listen(3000);

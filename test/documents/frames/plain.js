import express from "express";

const app = express();
// block
app.listen(3000);

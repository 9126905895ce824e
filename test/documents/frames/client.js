import { connect } from "gambas-session";

const client = await connect();
const handle = client.create();
handle.set("n", 1);
await handle.save();
const { id } = handle;
// block
client.close();

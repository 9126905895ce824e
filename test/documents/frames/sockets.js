import { createServer } from "node:http";
import { Session, session } from "gambas-session";

const withSession = session();
const server = createServer((req, res) => withSession(req, res, () => res.end(String(Session.visits))));
// block
server.listen(3000);

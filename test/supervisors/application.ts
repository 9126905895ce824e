// The application that supervisors run in tests: each visit counts in the visitor's own session and answers with the count. As a control it
// answers without any session.

import cluster from "node:cluster";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { Session, session } from "gambas-session";

const { PORT, CONTROL, IDLE_EXIT_MS } = process.env;
const middleware = CONTROL === undefined ? session({ idleExitMs: Number(IDLE_EXIT_MS ?? 60_000) }) : undefined;

function count(res: ServerResponse): void {
  const visits = Number(Session.get("visits") ?? 0) + 1;
  Session.set("visits", visits);
  res.end(String(visits));
}

function answer(req: IncomingMessage, res: ServerResponse): void {
  res.setHeader("worker", process.pid);
  if (middleware === undefined) res.end("1");
  else middleware(req, res, () => count(res));
}

const server = createServer(answer).listen(Number(PORT), "127.0.0.1");
/** As OPERATING.md says: what has arrived is answered, and what node:cluster is just handing over goes to another worker. */
function leave(): void {
  const end = (): void => process.exit(0);
  if (cluster.worker === undefined) server.close(end);
  else {
    process.once("disconnect", end);
    cluster.worker.disconnect();
  }
}
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, leave);

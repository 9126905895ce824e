// The application that supervisors run in tests: each visit counts in the visitor's own session and answers with the count. As a control it
// answers without any session, and without our package.

import cluster from "node:cluster";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";

const { PORT, CONTROL, IDLE_EXIT_MS } = process.env;

type Answer = (req: IncomingMessage, res: ServerResponse) => void;

async function counting(): Promise<Answer> {
  const { Session, session } = await import("gambas-session");
  const middleware = session({ idleExitMs: Number(IDLE_EXIT_MS ?? 60_000) });
  return (req, res) =>
    middleware(req, res, () => {
      const visits = Number(Session.get("visits") ?? 0) + 1;
      Session.set("visits", visits);
      res.end(String(visits));
    });
}

const answer: Answer = CONTROL === undefined ? await counting() : (_req, res) => res.end("1");
const server = createServer((req, res) => {
  res.setHeader("worker", process.pid);
  answer(req, res);
}).listen(Number(PORT), "127.0.0.1");
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

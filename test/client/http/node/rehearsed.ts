// A worker whose functions are counted by Node: prints as JSON which of those that its first request calls, from the one that its program names by
// the cookie, were called before it listened, and which were not.

import { once } from "node:events";
import { createServer, get } from "node:http";
import { Session as Inspector, type Profiler } from "node:inspector";
import type { AddressInfo } from "node:net";

const OURS = /\/dist\/entries\/shared\/client\.js$/;
const [cookie = ""] = process.argv.slice(2);
const inspector = new Inspector();
inspector.connect();
inspector.post("Profiler.enable");
inspector.post("Profiler.startPreciseCoverage", { callCount: true, detailed: false });

/** The functions that were called since the last time. */
function called(): Map<string, string> {
  const functions = new Map<string, string>();
  // With a callback it answers at once.
  inspector.post(
    "Profiler.takePreciseCoverage",
    (_: Error | null, { result }: Profiler.TakePreciseCoverageReturnType) => {
      for (const { url, functions: all } of result.filter((script) => OURS.test(script.url)))
        for (const { functionName, ranges } of all)
          if ((ranges[0]?.count ?? 0) > 0) functions.set(`${url}:${ranges[0]?.startOffset}`, functionName);
    },
  );
  return functions;
}

const { Session, session } = await import("gambas-session");
const middleware = session({ spawn: false });
const before = called();
const server = createServer((req, res) =>
  middleware(req, res, () => {
    Session.set("visits", Number(Session.get("visits")) + 1);
    res.end(String(Session.get("visits")));
  }),
).listen(0, "127.0.0.1");
await once(server, "listening");
const { port } = server.address() as AddressInfo;
const [response] = await once(get({ host: "127.0.0.1", port, agent: false, headers: { cookie } }), "response");
let text = "";
for await (const part of response) text += part;
const after = [...called()];
const isNew = ([place]: [string, string]): boolean => !before.has(place);
console.log(JSON.stringify({ text, called: after.length, compiled: after.filter(isNew).map(([, name]) => name) }));
server.close();

// The primary of a measured site: a cluster of workers on one port. Serves nothing itself.

import cluster, { type Worker } from "node:cluster";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { fileURLToPath } from "node:url";
import { answerCalls } from "../crew/calls.ts";
import { SETUP_VARIABLE, type SiteCalls, type SiteSetup } from "./site-calls.ts";

const WORKER = fileURLToPath(new URL("./site-worker.js", import.meta.url));

answerCalls<SiteCalls>({ start }, () => {
  for (const worker of Object.values(cluster.workers ?? {})) worker?.kill();
});

async function start(setup: SiteSetup): Promise<SiteCalls["start"]["reply"]> {
  cluster.setupPrimary({ exec: WORKER, args: [] });
  const workers = Array.from({ length: setup.workers }, () =>
    cluster.fork({ [SETUP_VARIABLE]: JSON.stringify(setup) }),
  );
  const ports = await Promise.all(workers.map(portOf));
  return { port: ports[0] ?? 0, pids: workers.map((worker) => worker.process.pid ?? 0) };
}

async function portOf(worker: Worker): Promise<number> {
  const ended = once(worker, "exit").then(() => Promise.reject(new Error("a worker of the site ended at its start")));
  const [address] = (await Promise.race([once(worker, "listening"), ended])) as [AddressInfo];
  ended.catch(() => undefined);
  return address.port;
}

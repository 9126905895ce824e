// The primary of a node:cluster, run as a process of its own: forks workers that run worker.ts and passes calls on to them.

import cluster, { type Worker } from "node:cluster";
import { join } from "node:path";
import { serveCalls, WorkerProcess } from "../support/processes.ts";

const workers = new Map<number, WorkerProcess>();

function fork(): number {
  const worker: Worker = cluster.fork();
  workers.set(worker.process.pid ?? 0, new WorkerProcess(worker.process));
  return worker.process.pid ?? 0;
}

cluster.setupPrimary({ exec: join(import.meta.dirname, "worker.js") });

serveCalls({
  fork: (count: number) => Array.from({ length: count }, fork),
  call(pid: number, name: string, args: readonly unknown[]) {
    const worker = workers.get(pid);
    if (worker === undefined) throw new Error(`there is no worker ${pid}`);
    return worker.call(name, ...args);
  },
  async ended(pid: number) {
    return (await workers.get(pid)?.exited)?.signal;
  },
});

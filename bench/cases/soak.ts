// Question: what do a worker and its daemon take after many operations on many sessions, with their default settings? Resident size as
// the kernel sees it, beside what OPERATING says that all bounds add up to.

import { contenderNamed } from "../contenders/list.ts";
import { Forked } from "../crew/calls.ts";
import type { Lab } from "../lab.ts";
import { type Row, round } from "../row.ts";
import { residentBytes } from "../servers/cpu.ts";
import type { SoakCalls } from "../soak/soak-calls.ts";
import type { Stage } from "../stage.ts";
import type { Case } from "./case.ts";

const WORKER = new URL("../soak/soak-main.js", import.meta.url);
const NAME = "soak";
const MB = 1024 * 1024;
const AT_ONCE = 24;
/** Nothing that is asked for at once takes long. */
const PART = 5_000;

export const soak: Case = {
  name: NAME,
  question: "memory of a worker and of its daemon after many operations on many sessions",
  run: (lab) => (lab.wants("gambas-session") ? lab.onStage((stage) => run(lab, stage)) : Promise.resolve([])),
};

async function run(lab: Lab, stage: Stage): Promise<Row[]> {
  const {
    places: [place],
    serverPids,
  } = await stage.placesOf(contenderNamed("gambas-session"));
  const worker = stage.keep(new Forked<SoakCalls>(WORKER));
  await worker.ask("open", { root: place?.directory ?? "", socket: place?.socket ?? "" });
  for (let done = 0; done < lab.plan.soakOps; done += PART) {
    lab.progress.show(`${NAME}: ${done}/${lab.plan.soakOps}`);
    await worker.ask("run", PART);
  }
  return [rowOf("gambas-session worker", lab, [worker.pid]), rowOf("gambas-session daemon", lab, serverPids)];
}

function rowOf(contender: string, lab: Lab, pids: readonly number[]): Row {
  const bytes = pids.reduce((sum, pid) => sum + residentBytes(pid), 0);
  return {
    case: NAME,
    contender,
    procs: 1,
    concurrency: AT_ONCE,
    size: lab.plan.soakOps,
    ops_per_s: null,
    p50_us: null,
    p99_us: null,
    cpu_us_per_op: null,
    server_cpu_us_per_op: null,
    lost: null,
    resident_mb: round(bytes / MB, 1),
  };
}

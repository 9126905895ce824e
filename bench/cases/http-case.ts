// A case over HTTP: two cluster workers serve the same page for everybody, a load generator in its own process asks for it.

import type { Contender } from "../contenders/contender.ts";
import { Forked } from "../crew/calls.ts";
import { type Measurement, measurementOf } from "../crew/crew.ts";
import type { LoadCalls } from "../http/load-calls.ts";
import { visitsAfter } from "../http/pages.ts";
import type { Frame, SiteCalls } from "../http/site-calls.ts";
import type { Lab } from "../lab.ts";
import type { Row } from "../row.ts";
import { cpuOf } from "../servers/cpu.ts";
import { SIZES, shareOfSizeChanges, sizeOf } from "../session-values.ts";
import type { Stage } from "../stage.ts";
import type { Case } from "./case.ts";
import { rowFrom } from "./store-case.ts";

const WORKERS = 2;
const CONNECTIONS = 32;
const LOAD = new URL("../http/load-main.js", import.meta.url);
const SITE = new URL("../http/site-main.js", import.meta.url);

interface SubjectName {
  readonly contender: string;
  readonly frame: Frame;
}

const SUBJECTS: readonly SubjectName[] = [
  { contender: "no session", frame: "node:http" },
  { contender: "gambas-session", frame: "node:http" },
  { contender: "connect-redis/ioredis", frame: "node:http" },
  { contender: "connect-redis/ioredis AOF", frame: "node:http" },
  { contender: "connect-redis/node-redis AOF", frame: "node:http" },
  { contender: "session-file-store", frame: "node:http" },
  { contender: "connect-memcached", frame: "node:http" },
  // Its connections stay with one worker, or it would not find its sessions.
  { contender: "MemoryStore", frame: "node:http" },
  { contender: "no session", frame: "express" },
  { contender: "gambas-session", frame: "express" },
  { contender: "connect-redis/ioredis AOF", frame: "express" },
];

const OF_WRITES: readonly SubjectName[] = [
  { contender: "gambas-session tmpfs", frame: "node:http" },
  { contender: "gambas-session sqlite", frame: "node:http" },
  { contender: "gambas-session sqlite tmpfs", frame: "node:http" },
  { contender: "better-sqlite3", frame: "node:http" },
];

/** The page without a session is what others stand above. */
const ON_REDIS: readonly SubjectName[] = [
  { contender: "no session", frame: "node:http" },
  { contender: "gambas-session redis", frame: "node:http" },
  { contender: "gambas-session redis, 50 ms", frame: "node:http" },
  { contender: "connect-redis/ioredis AOF", frame: "node:http" },
  { contender: "connect-redis/node-redis AOF", frame: "node:http" },
];

export interface HttpCase {
  readonly name: string;
  readonly question: string;
  readonly path: "/read" | "/write";
  /** "files and tmpfs": it waits for files, and is measured where they cost less, too, and in databases. */
  readonly on: "files" | "files and tmpfs" | "redis";
}

function subjectsOn(on: HttpCase["on"]): readonly SubjectName[] {
  if (on === "redis") return ON_REDIS;
  return on === "files" ? SUBJECTS : [...SUBJECTS, ...OF_WRITES];
}

/** A site that is up, with its browsers logged in. */
interface Ready {
  readonly name: string;
  readonly contender: Contender;
  readonly workerPids: readonly number[];
  readonly serverPids: readonly number[];
  readonly measurements: Measurement[];
  warmOps: number;
}

export function httpCaseOf(definition: HttpCase): Case {
  const { name, question } = definition;
  return { name, question, run: (lab) => lab.onStage((stage) => run(lab, stage, definition)) };
}

async function run(lab: Lab, stage: Stage, definition: HttpCase): Promise<Row[]> {
  const load = stage.keep(new Forked<LoadCalls>(LOAD));
  const ready: Ready[] = [];
  for (const { contender: wanted, frame } of subjectsOn(definition.on)) {
    const [contender] = lab.present(definition.name, [wanted]);
    if (contender === undefined) continue;
    lab.progress.show(`${definition.name}: starting ${nameOf(contender, frame)}`);
    const made = await attempt(lab, definition, nameOf(contender, frame), () =>
      makeReady({ lab, stage, load, definition }, contender, frame),
    );
    if (made !== undefined) ready.push(made);
  }
  for (let count = 0; count < lab.plan.rounds; count++) {
    for (const site of ready.slice()) {
      lab.progress.show(`${definition.name}: round ${count + 1}/${lab.plan.rounds} ${site.name}`);
      const measure = (): Promise<Measurement> => measureSite(load, site, definition.path, lab.plan.roundMs);
      const done = await attempt(lab, definition, site.name, measure);
      if (done === undefined) ready.splice(ready.indexOf(site), 1);
      else site.measurements.push(done);
    }
  }
  return Promise.all(ready.map((site) => rowOf(load, definition, site)));
}

interface Around {
  readonly lab: Lab;
  readonly stage: Stage;
  readonly load: Forked<LoadCalls>;
  readonly definition: HttpCase;
}

async function makeReady(around: Around, contender: Contender, frame: Frame): Promise<Ready> {
  const { stage, load } = around;
  const { places: ofHosts, serverPids } = await stage.placesOf(contender);
  const [places] = ofHosts;
  if (places === undefined) throw new Error(`${contender.name} has no place`);
  const primary = stage.keep(new Forked<SiteCalls>(SITE));
  const { port, pids } = await primary.ask("start", { contender: contender.name, places, frame, workers: WORKERS });
  const name = nameOf(contender, frame);
  await load.ask("open", { site: name, port, connections: CONNECTIONS });
  const ready: Ready = { name, contender, workerPids: pids, serverPids, measurements: [], warmOps: 0 };
  await warmUp(around, ready);
  return ready;
}

/** Code is compiled when it has run often: a site needs that longer than a store, and as long as it takes. */
async function warmUp({ lab, load, definition }: Around, site: Ready): Promise<void> {
  const { warmMs, maxSiteWarmUps, warmRequests } = lab.plan;
  for (let count = 0; count < maxSiteWarmUps && site.warmOps < warmRequests; count++) {
    site.warmOps += (await measureSite(load, site, definition.path, warmMs)).ops;
  }
}

async function measureSite(load: Forked<LoadCalls>, site: Ready, path: string, ms: number): Promise<Measurement> {
  const [workersBefore, serverBefore] = [cpuOf(site.workerPids), cpuOf(site.serverPids)];
  const sample = await load.ask("run", { site: site.name, path, ms });
  const measured = measurementOf([sample], cpuOf(site.serverPids) - serverBefore);
  // The CPU that counts is that of the workers, not of the load generator.
  return { ...measured, clientCpuUs: cpuOf(site.workerPids) - workersBefore };
}

async function attempt<T>(
  lab: Lab,
  definition: HttpCase,
  name: string,
  action: () => Promise<T>,
): Promise<T | undefined> {
  try {
    return await action();
  } catch (error) {
    lab.skip(definition.name, name, `failed: ${error instanceof Error ? error.message : String(error)}`);
    return undefined;
  }
}

function nameOf(contender: Contender, frame: Frame): string {
  return frame === "express" ? `${contender.name} in Express` : contender.name;
}

async function rowOf(load: Forked<LoadCalls>, definition: HttpCase, site: Ready): Promise<Row> {
  const { contender, measurements } = site;
  const counts = definition.path === "/write" && contender.isFloor !== true;
  const acknowledged = measurements.reduce((sum, { ops }) => sum + ops, site.warmOps);
  return {
    case: definition.name,
    contender: site.name,
    procs: WORKERS,
    concurrency: CONNECTIONS / WORKERS,
    size: sizeOf(SIZES.realistic),
    ...rowFrom(measurements, contender.server !== undefined),
    lost: counts ? acknowledged - (await load.ask("visits", site.name)) : null,
    ...(definition.path === "/write" ? { size_changes: shareOfSizeChanges(visitsAfter) } : {}),
    ...(contender.isFloor === true ? { is_floor: true } : {}),
  };
}

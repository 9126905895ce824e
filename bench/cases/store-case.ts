// A case that puts sessions into a store and works on them from several processes: rounds A B C A B C, medians.

import type { Contender, Subject } from "../contenders/contender.ts";
import { Crew, type Measurement, type Shape } from "../crew/crew.ts";
import type { Operation } from "../crew/drive.ts";
import type { Share } from "../crew/worker-calls.ts";
import type { Lab } from "../lab.ts";
import type { Plan } from "../plan.ts";
import { median, type Row, round } from "../row.ts";
import { SIZES, shareOfSizeChanges, sizeOf, type Values } from "../session-values.ts";
import type { Stage } from "../stage.ts";
import type { Case } from "./case.ts";

/** One of the loops that run at once: `slot` of `slots` over all processes. */
export interface Slot {
  readonly share: Share;
  readonly slot: number;
  readonly slots: number;
}

export interface StoreCase {
  readonly name: string;
  readonly question: string;
  readonly shapes: readonly Shape[];
  readonly contenders: readonly string[];
  /** False: nothing may be answered from a worker's own copy. */
  readonly keepsCopies: boolean;
  /** All slots use one session and count in it. */
  readonly isCounter: boolean;
  /** What a session is like after so many changes, where the operations change any: tells how often its size changes. */
  readonly valuesAfter?: (changes: number) => Values;
  /** Of the times in the plan: less than 1 for a case of many shapes. */
  readonly lengthShare?: number;
  readonly prepare: (subject: Subject, slot: Slot) => Promise<Operation>;
}

export const ONE_AT_A_TIME: Shape = { procs: 1, concurrency: 1, size: "realistic" };
export const MANY_AT_ONCE: Shape = { procs: 4, concurrency: 16, size: "realistic" };
export const MANY_LARGE: Shape = { procs: 4, concurrency: 16, size: "large" };

/** Sessions no other slot uses. */
export function ownIds({ share, slot, slots }: Slot): string[] {
  return share.ids.filter((_, index) => index % slots === slot);
}

export function caseOf(definition: StoreCase): Case {
  const { name, question } = definition;
  return {
    name,
    question,
    async run(lab) {
      const rows: Row[] = [];
      for (const shape of definition.shapes) {
        if (shape.size === "large" && !lab.plan.measuresLarge) continue;
        rows.push(...(await lab.onStage((stage) => runShape(lab, stage, definition, shape))));
      }
      return rows;
    },
  };
}

/** A crew that is ready to be measured. */
interface Ready {
  readonly crew: Crew;
  readonly ids: readonly string[];
  readonly measurements: Measurement[];
  warmOps: number;
}

async function runShape(lab: Lab, stage: Stage, definition: StoreCase, shape: Shape): Promise<Row[]> {
  const label = `${definition.name} ${shape.procs}x${shape.concurrency}${shape.size === "large" ? " large" : ""}`;
  const contenders = lab
    .present(shape.procs === 1 ? `${definition.name} alone` : definition.name, definition.contenders)
    .filter((contender) => shape.procs === 1 || contender.isLocal !== true);
  const ready: Ready[] = [];
  for (const contender of contenders) {
    lab.progress.show(`${label}: starting ${contender.name}`);
    const made = await attempt(lab, definition, contender, () =>
      makeReady(lab, stage, { definition, shape, contender }),
    );
    if (made !== undefined) ready.push(made);
  }
  const roundMs = lab.plan.roundMs * (definition.lengthShare ?? 1);
  for (let count = 0; count < lab.plan.rounds; count++) {
    for (const subject of ready.slice()) {
      lab.progress.show(`${label}: round ${count + 1}/${lab.plan.rounds} ${subject.crew.contender.name}`);
      const done = await attempt(lab, definition, subject.crew.contender, () => subject.crew.measure(roundMs));
      if (done === undefined) ready.splice(ready.indexOf(subject), 1);
      else subject.measurements.push(done);
    }
  }
  return Promise.all(ready.map((subject) => rowOf(definition, shape, subject)));
}

async function makeReady(
  lab: Lab,
  stage: Stage,
  what: { readonly definition: StoreCase; readonly shape: Shape; readonly contender: Contender },
): Promise<Ready> {
  const { definition, shape, contender } = what;
  const { places, serverPids } = await stage.placesOf(contender, shape.hosts);
  const crew = stage.keep(new Crew(contender, shape.procs, serverPids));
  await crew.open(places, definition.keepsCopies);
  const ids = await crew.create(definition.isCounter ? 1 : lab.plan.sessions, shape.size, definition.isCounter);
  await crew.prepare(definition.name, shape, ids);
  return { crew, ids, measurements: [], warmOps: await warmUp(crew, lab.plan, definition.lengthShare ?? 1) };
}

/** Code is compiled when it has run often: the slower it is here, the longer it is warmed up, within bounds. */
async function warmUp(crew: Crew, { warmMs, maxWarmUps, warmOps }: Plan, lengthShare: number): Promise<number> {
  let ops = 0;
  for (let count = 0; count < maxWarmUps && ops < lengthShare * warmOps; count++)
    ops += (await crew.warmUp(warmMs)).ops;
  return ops;
}

/** A contender that fails is named and left out; the others go on. */
async function attempt<T>(
  lab: Lab,
  definition: StoreCase,
  contender: Contender,
  action: () => Promise<T>,
): Promise<T | undefined> {
  try {
    return await action();
  } catch (error) {
    lab.skip(definition.name, contender.name, `failed: ${error instanceof Error ? error.message : String(error)}`);
    return undefined;
  }
}

async function rowOf(definition: StoreCase, shape: Shape, subject: Ready): Promise<Row> {
  const { crew, measurements } = subject;
  const row = rowFrom(measurements, serverOf(crew.contender));
  return {
    case: definition.name,
    contender: crew.contender.name,
    procs: shape.procs,
    concurrency: shape.concurrency,
    size: sizeOf(SIZES[shape.size]),
    ...row,
    lost: definition.isCounter ? await lostOf(subject) : null,
    ...(crew.contender.isFloor === true ? { is_floor: true } : {}),
    ...(definition.valuesAfter === undefined ? {} : { size_changes: shareOfSizeChanges(definition.valuesAfter) }),
  };
}

function serverOf(contender: Contender): boolean {
  return contender.server !== undefined;
}

async function lostOf({ crew, ids, measurements, warmOps }: Ready): Promise<number> {
  const acknowledged = measurements.reduce((sum, { ops }) => sum + ops, warmOps);
  return acknowledged - (await crew.counter(ids[0] ?? ""));
}

type Figures = Pick<Row, "ops_per_s" | "p50_us" | "p99_us" | "cpu_us_per_op" | "server_cpu_us_per_op">;

/** Medians of the rounds; CPU over all of them, because the kernel counts it coarsely. */
export function rowFrom(measurements: readonly Measurement[], hasServer: boolean): Figures {
  const ops = measurements.reduce((sum, measurement) => sum + measurement.ops, 0);
  const clientCpuUs = measurements.reduce((sum, measurement) => sum + measurement.clientCpuUs, 0);
  const serverCpuUs = measurements.reduce((sum, measurement) => sum + measurement.serverCpuUs, 0);
  return {
    ops_per_s: Math.round(median(measurements.map(({ opsPerS }) => opsPerS))),
    p50_us: round(median(measurements.map(({ p50Us }) => p50Us)), 2),
    p99_us: round(median(measurements.map(({ p99Us }) => p99Us)), 2),
    cpu_us_per_op: round(clientCpuUs / ops, 2),
    server_cpu_us_per_op: hasServer ? round(serverCpuUs / ops, 2) : null,
  };
}

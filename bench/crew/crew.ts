// The workers of one contender in one case: opened together, run together, measured as one.

import type { Contender, Places } from "../contenders/contender.ts";
import { cpuOf } from "../servers/cpu.ts";
import type { SizeName } from "../session-values.ts";
import { Forked } from "./calls.ts";
import { add, noLatencies, percentile } from "./latencies.ts";
import type { Sample } from "./sample.ts";
import type { WorkerCalls } from "./worker-calls.ts";

const WORKER = new URL("./worker-main.js", import.meta.url);

export interface Shape {
  readonly procs: number;
  readonly concurrency: number;
  readonly size: SizeName;
  /** Machines of the workers, each with its own daemon where that is how a contender works. Default 1. */
  readonly hosts?: number;
}

/** One round of one contender, all its processes together. */
export interface Measurement {
  readonly ops: number;
  readonly opsPerS: number;
  readonly p50Us: number;
  readonly p99Us: number;
  readonly clientCpuUs: number;
  readonly serverCpuUs: number;
}

export class Crew {
  readonly contender: Contender;
  readonly #workers: readonly Forked<WorkerCalls>[];
  readonly #serverPids: readonly number[];

  constructor(contender: Contender, procs: number, serverPids: readonly number[]) {
    this.contender = contender;
    this.#serverPids = serverPids;
    this.#workers = Array.from({ length: procs }, () => new Forked<WorkerCalls>(WORKER));
  }

  /** @param places of each host: the workers are spread over them. */
  async open(places: readonly Places[], keepsCopies: boolean): Promise<void> {
    const contender = this.contender.name;
    await Promise.all(
      this.#workers.map((worker, index) => {
        const own = places[index % places.length];
        if (own === undefined) throw new Error(`${contender} has no place`);
        return worker.ask("open", { contender, places: own, keepsCopies });
      }),
    );
  }

  create(count: number, size: SizeName, isCounter: boolean): Promise<readonly string[]> {
    return this.#first.ask("create", { count, size, isCounter });
  }

  async prepare(name: string, shape: Shape, ids: readonly string[]): Promise<void> {
    await Promise.all(
      this.#workers.map((worker, index) => worker.ask("prepare", { case: name, ids, ...shape, index })),
    );
  }

  measure(ms: number): Promise<Measurement> {
    return this.#run({ ms, isWarmUp: false });
  }

  /** The operations as they are measured, or more of them at once. */
  warmUp(ms: number): Promise<Measurement> {
    return this.#run({ ms, isWarmUp: true });
  }

  async #run(request: WorkerCalls["run"]["request"]): Promise<Measurement> {
    const serverBefore = cpuOf(this.#serverPids);
    const samples = await Promise.all(this.#workers.map((worker) => worker.ask("run", request)));
    return measurementOf(samples, cpuOf(this.#serverPids) - serverBefore);
  }

  counter(id: string): Promise<number> {
    return this.#first.ask("counter", id);
  }

  async end(): Promise<void> {
    await Promise.all(this.#workers.map((worker) => worker.end()));
  }

  kill(): void {
    for (const worker of this.#workers) worker.kill();
  }

  get #first(): Forked<WorkerCalls> {
    const [first] = this.#workers;
    if (first === undefined) throw new Error("a crew has at least one worker");
    return first;
  }
}

/** The processes ran side by side: their rates add up. */
export function measurementOf(samples: readonly Sample[], serverCpuUs: number): Measurement {
  const latencies = noLatencies();
  for (const sample of samples) add(latencies, sample.latencies);
  return {
    ops: samples.reduce((sum, { ops }) => sum + ops, 0),
    opsPerS: samples.reduce((sum, { ops, elapsedMs }) => sum + (1000 * ops) / elapsedMs, 0),
    p50Us: percentile(latencies, 0.5),
    p99Us: percentile(latencies, 0.99),
    clientCpuUs: samples.reduce((sum, { cpuUs }) => sum + cpuUs, 0),
    serverCpuUs,
  };
}

// Runs operations for a while and takes their times: several at once in a loop of our own, a single one with tinybench.

import { Bench } from "tinybench";
import { noLatencies, note } from "./latencies.ts";
import type { Sample } from "./sample.ts";

export type Operation = () => Promise<unknown> | unknown;

/** Each operation in a loop of its own, all of them at once, in this process. */
export async function driveTogether(operations: readonly Operation[], ms: number): Promise<Sample> {
  const latencies = noLatencies();
  let ops = 0;
  const beganCpu = process.cpuUsage();
  const beganMs = performance.now();
  const endMs = beganMs + ms;
  const loop = async (operation: Operation): Promise<void> => {
    for (let before = performance.now(); before < endMs; ) {
      await operation();
      const after = performance.now();
      note(latencies, after - before);
      ops += 1;
      before = after;
    }
  };
  await Promise.all(operations.map(loop));
  return { ops, elapsedMs: performance.now() - beganMs, cpuUs: cpuSince(beganCpu), latencies };
}

export async function driveAlone(operation: Operation, ms: number): Promise<Sample> {
  const latencies = noLatencies();
  let beganCpu = process.cpuUsage();
  let cpuUs = 0;
  const bench = new Bench({ time: ms, warmup: false, iterations: 1, retainSamples: true, throws: true });
  // Around the loop only: what tinybench computes afterwards is not the operation's.
  const beforeAll = (): void => {
    beganCpu = process.cpuUsage();
  };
  const afterAll = (): void => {
    cpuUs = cpuSince(beganCpu);
  };
  const task = bench.add("operation", operation, { beforeAll, afterAll }).getTask("operation");
  await bench.run();
  const result = task?.result;
  if (result === undefined || !("latency" in result)) throw new Error("tinybench brought no result");
  const samples = result.latency.samples ?? [];
  for (const sample of samples) note(latencies, sample);
  return { ops: samples.length, elapsedMs: result.totalTime, cpuUs, latencies };
}

function cpuSince(began: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(began);
  return user + system;
}

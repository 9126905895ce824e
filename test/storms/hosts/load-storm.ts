// The load of a storm by workers on many hosts, with faults, and what its records prove.

import { closeSync, openSync, readSync, rmSync } from "node:fs";
import { join } from "node:path";
import { freshRoot, type WorkerProcess } from "../../support/processes.ts";
import { type Recorded, readRecords } from "../recorder.ts";
import { judge, type Verdict } from "../verdict.ts";
import type { AppHost } from "./app-host.ts";
import { carryOut, type Fault, type Faults, type Progress } from "./faults.ts";

export interface LoadStormOptions {
  readonly hosts: readonly AppHost[];
  readonly seed: number;
  readonly workersPerHost: number;
  readonly sessions: number;
  /** Of all workers together, at least: they go on until all faults were carried out. */
  readonly operations: number;
  readonly width: number;
  readonly readShare: number;
  readonly faults: readonly Fault[];
  /** Records that count. Default: all. */
  readonly counts?: (record: Recorded) => boolean;
}

export interface LoadFigures extends Verdict {
  readonly faults: Faults;
  readonly stale: number;
  /** Runs of a transaction's function that were for nothing: another one was faster, or its outcome had to be looked for. */
  readonly reruns: number;
  readonly seconds: number;
}

/** Operations in files of records that grow. */
class Counted {
  readonly #files: { readonly fd: number; at: number }[] = [];
  readonly #buffer = Buffer.allocUnsafe(65_536);
  #lines = 0;

  add(path: string): void {
    this.#files.push({ fd: openSync(path, "a+"), at: 0 });
  }

  get count(): number {
    for (const file of this.#files) {
      for (let length = this.#read(file); length > 0; length = this.#read(file)) {
        this.#lines += this.#buffer.toString("latin1", 0, length).split("\n").length - 1;
        file.at += length;
      }
    }
    return this.#lines / LINES_PER_OPERATION;
  }

  close(): void {
    for (const { fd } of this.#files) closeSync(fd);
  }

  #read({ fd, at }: { readonly fd: number; at: number }): number {
    return readSync(fd, this.#buffer, 0, this.#buffer.length, at);
  }
}

/** One before an operation and one behind it, and one more for each run of a transaction: about. */
const LINES_PER_OPERATION = 2.3;

/** The part of its operations that a long storm has: for a look in between 0.1, say. */
export const PART: number = Number(process.env.GAMBAS_SESSION_STORM_PART ?? 1);

export async function runLoadStorm(options: LoadStormOptions): Promise<LoadFigures> {
  const beganMs = performance.now();
  const folder = freshRoot();
  try {
    const { records, faults } = await new LoadStorm(options, folder).run();
    const counted = options.counts === undefined ? records : records.filter(options.counts);
    const verdict = judge(counted);
    return {
      ...verdict,
      faults,
      stale: verdict.violations.filter((one) => /stale|ended before/.test(one)).length,
      reruns: records.reduce((sum, { attempts }) => sum + Math.max(0, attempts.length - 1), 0),
      seconds: Math.round((performance.now() - beganMs) / 100) / 10,
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

interface Crew {
  readonly name: string;
  readonly worker: WorkerProcess;
}

class LoadStorm implements Progress {
  readonly #options: LoadStormOptions;
  readonly #folder: string;
  readonly #counted = new Counted();
  readonly #names: string[] = [];
  #sessionIds: readonly string[] = [];
  #isPlanDone = false;
  #hasFailed = false;

  constructor(options: LoadStormOptions, folder: string) {
    this.#options = options;
    this.#folder = folder;
  }

  count(): number {
    return this.#counted.count;
  }

  /** Before the plan is done only a failure ends the load. */
  isOver(): boolean {
    return this.#hasFailed;
  }

  async run(): Promise<{ readonly records: readonly Recorded[]; readonly faults: Faults }> {
    const { hosts, workersPerHost, sessions, faults: plan, operations } = this.#options;
    const crews = hosts.map((host, h) =>
      Array.from({ length: workersPerHost }, (_, n) => ({ name: `h${h + 1}w${n + 1}`, worker: host.startWorker() })),
    );
    const all = crews.flat();
    this.#sessionIds = await Promise.all(
      Array.from({ length: sessions }, (_, n) => created((all[n % all.length] as Crew).worker)),
    );
    const faults = carryOut(plan, operations, this).finally(() => {
      this.#isPlanDone = true;
    });
    const loads = all.map((crew) => this.#work(crew, Math.ceil(operations / all.length)));
    await Promise.all([faults, ...loads]).catch((error: unknown) => {
      this.#hasFailed = true;
      throw error;
    });
    this.#counted.close();
    // By every host: what one of them sees is what all see.
    for (const [h, [crew]] of crews.entries()) await this.#readAll(`reader${h + 1}`, crew as Crew);
    return { records: this.#names.flatMap((name) => readRecords(this.#path(name), name)), faults: await faults };
  }

  async #work({ name, worker }: Crew, share: number): Promise<void> {
    for (let part = 0; part === 0 || !this.#isPlanDone; part++) {
      const own = `${name}.${part}`;
      this.#names.push(own);
      this.#counted.add(this.#path(own));
      const { seed, width, readShare } = this.#options;
      const operations = part === 0 ? share : Math.ceil(share / PARTS_BEYOND);
      const load = { name: own, sessionIds: this.#sessionIds, seed: seed + this.#names.length };
      await worker.call("run", { ...load, operations, width, readShare }, this.#path(own));
    }
  }

  async #readAll(name: string, { worker }: Crew): Promise<void> {
    const names = this.#names.filter((one) => !one.startsWith("reader"));
    await worker.call("readAll", this.#sessionIds, names, this.#path(name));
    this.#names.push(name);
  }

  #path(name: string): string {
    return join(this.#folder, name);
  }
}

/** Of a worker's share: so much more it does at a time until the plan is done. */
const PARTS_BEYOND = 10;

async function created(worker: WorkerProcess): Promise<string> {
  const { id, outcome } = await worker.call<{ id: string; outcome: string }>("create", { prefix: "storm" });
  if (outcome !== "done") throw new Error(`no session to begin with: ${outcome}`);
  return id;
}

/** The figures in one line each, and the first violations. */
export function printLoad(
  title: string,
  { violations, failures, reasons, increments, faults, ...rest }: LoadFigures,
): void {
  const rows = {
    ...rest,
    increments: JSON.stringify(increments),
    failures: JSON.stringify(failures),
    faults: JSON.stringify(faults),
    violations: violations.length,
  };
  const lines = Object.entries(rows).map(([name, value]) => `  ${name.padEnd(20)} ${value}`);
  console.log([title, ...lines, ...[...reasons, ...violations.slice(0, 12)].map((one) => `    ${one}`)].join("\n"));
}

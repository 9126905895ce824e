// A storm over whole processes: workers under load, killed and replaced at random, the daemon killed at random, everything recorded.

import { mkdirSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { decodeAll, layoutOf } from "../../protocol/image/image.ts";
import { isSessionId } from "../../protocol/session-id.ts";
import { Origins } from "../../protocol/value/value.ts";
import {
  daemonPid,
  daemonsOf,
  freshRoot,
  kill,
  killAndWait,
  removeRoot,
  until,
  WorkerProcess,
} from "../support/processes.ts";
import { Random } from "../support/values/random.ts";
import type { Load } from "./load.ts";
import { type Recorded, readRecords } from "./recorder.ts";
import { judge, type Verdict } from "./verdict.ts";

export interface StormOptions {
  readonly seed: number;
  readonly workers: number;
  readonly sessions: number;
  /** Of all workers together. */
  readonly operations: number;
  /** Operations a worker has under way at once. */
  readonly width: number;
  /** Of a hundred operations so many are reads. */
  readonly readShare: number;
  readonly workerKills: number;
  readonly daemonKills: number;
  /** Of the daemons that the workers start. */
  readonly durability: "file" | "fsync";
  /** Default "file". */
  readonly type?: "file" | "sqlite";
}

export interface Figures extends Verdict {
  readonly workersKilled: number;
  readonly daemonsKilled: number;
  /** Session files that do not decode. */
  readonly torn: number;
  readonly seconds: number;
}

/** Bytes a recorded operation takes in a file, roughly: by the size of the files the storm knows how far it is. */
const BYTES_PER_OPERATION = 100;

export async function runStorm(options: StormOptions): Promise<Figures> {
  const storm = new Storm(options);
  try {
    return await storm.run();
  } finally {
    await storm.close();
  }
}

/** One life of a worker. */
interface Crew {
  readonly worker: WorkerProcess;
  readonly name: string;
  readonly path: string;
  isKilled: boolean;
}

class Storm {
  readonly #options: StormOptions;
  readonly #random: Random;
  readonly #root = freshRoot();
  readonly #crews: Crew[] = [];
  readonly #reader: WorkerProcess;
  #sessionIds: string[] = [];
  #isOver = false;
  #workersKilled = 0;
  #daemonsKilled = 0;

  constructor(options: StormOptions) {
    this.#options = options;
    this.#random = new Random(options.seed);
    mkdirSync(join(this.#root, "records"));
    this.#reader = this.#startWorker();
  }

  async run(): Promise<Figures> {
    const beganMs = performance.now();
    const { operations, sessions, workers } = this.#options;
    this.#sessionIds = await Promise.all(Array.from({ length: sessions }, () => this.#reader.call<string>("create")));
    const loads = Array.from({ length: workers }, () => this.#work(Math.ceil(operations / workers)));
    const killers = [this.#killWorkers(), this.#killDaemons()];
    try {
      await Promise.all(loads);
    } finally {
      this.#isOver = true;
      await Promise.all(killers);
    }
    const records = [...this.#crews.flatMap(recordsOf), ...(await this.#readAll())];
    return {
      workersKilled: this.#workersKilled,
      daemonsKilled: this.#daemonsKilled,
      torn: this.#countTorn(),
      seconds: Math.round((performance.now() - beganMs) / 100) / 10,
      ...judge(records),
    };
  }

  async close(): Promise<void> {
    await Promise.all([this.#reader, ...this.#crews.map(({ worker }) => worker)].map((worker) => worker.kill()));
    await removeRoot(this.#root);
  }

  #startWorker(): WorkerProcess {
    return WorkerProcess.start("test/storms/worker.js", [this.#options.durability], {
      GAMBAS_SESSION_ROOT: this.#root,
      GAMBAS_SESSION_TYPE: this.#options.type ?? "file",
    });
  }

  #recordsAt(name: string): string {
    return join(this.#root, "records", name);
  }

  /** A worker, and another one for each that is killed, until the share is done. */
  async #work(share: number): Promise<void> {
    for (let left = share; left > 0; ) {
      const name = `w${this.#crews.length}`;
      const crew = { worker: this.#startWorker(), name, path: this.#recordsAt(name), isKilled: false };
      this.#crews.push(crew);
      const [seed, sessionIds] = [this.#random.below(2 ** 32), this.#sessionIds];
      const { width, readShare } = this.#options;
      const load: Load = { name, sessionIds, seed, operations: left, width, readShare };
      try {
        await crew.worker.call("run", load, crew.path);
        await crew.worker.kill();
        return;
      } catch (error) {
        if (!crew.isKilled) throw error;
        left -= recordsOf(crew).length;
      }
    }
  }

  async #readAll(): Promise<Recorded[]> {
    const names = this.#crews.map(({ name }) => name);
    const path = this.#recordsAt("reader");
    await this.#reader.call("readAll", this.#sessionIds, names, path);
    return readRecords(path, "reader");
  }

  async #killWorkers(): Promise<void> {
    const { workerKills } = this.#options;
    for (let count = 1; count <= workerKills; count++) {
      await this.#reach(count / (workerKills + 1));
      const working = this.#crews.filter(({ worker, isKilled }) => !worker.hasExited && !isKilled);
      if (this.#isOver || working.length === 0) return;
      const crew = this.#random.of(working);
      crew.isKilled = true;
      this.#workersKilled += 1;
      await crew.worker.kill();
    }
  }

  async #killDaemons(): Promise<void> {
    const { daemonKills } = this.#options;
    for (let last = 0; this.#daemonsKilled < daemonKills; ) {
      // Now and then the successor too, at whatever moment of its start that is.
      const isHasty = last > 0 && this.#random.below(4) === 0;
      if (!isHasty) await this.#reach((this.#daemonsKilled + this.#random.below(100) / 100) / (daemonKills + 1));
      const pid = await until(() => this.#isOver || this.#victim(last, isHasty));
      if (typeof pid !== "number") return;
      last = pid;
      if (kill(pid)) this.#daemonsKilled += 1;
      await killAndWait(pid);
    }
  }

  /** The elected daemon, or if `isHasty` any that has been started. */
  #victim(last: number, isHasty: boolean): number | undefined {
    const { type = "file" } = this.#options;
    const pid = isHasty ? daemonsOf(this.#root)[0] : daemonPid(this.#root, type);
    return pid === last ? undefined : pid;
  }

  /** Waits until this part of the operations is done. */
  async #reach(part: number): Promise<void> {
    const bytes = part * this.#options.operations * BYTES_PER_OPERATION;
    await until(() => this.#isOver || this.#recordedBytes() >= bytes);
  }

  #recordedBytes(): number {
    return this.#crews.reduce((sum, { path }) => sum + sizeOf(path), 0);
  }

  #countTorn(): number {
    const folder = join(this.#root, "session");
    return readdirSync(folder).filter((name) => isSessionId(name) && !decodes(readFileSync(join(folder, name)))).length;
  }
}

function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}

function recordsOf({ path, name }: Crew): Recorded[] {
  return sizeOf(path) === 0 ? [] : readRecords(path, name);
}

function decodes(image: Buffer): boolean {
  try {
    return [...decodeAll(image, layoutOf(image), new Origins()).values()].every(({ error }) => error === undefined);
  } catch {
    return false;
  }
}

/** The figures, one a line, and the first violations. */
export function printFigures(title: string, figures: Figures): void {
  const { violations, failures, increments, ...rest } = figures;
  const rows = { ...rest, failures: JSON.stringify(failures), increments: JSON.stringify(increments) };
  const lines = Object.entries({ ...rows, violations: violations.length });
  process.stdout.write(`${title}\n${lines.map(([name, value]) => `  ${name.padEnd(20)} ${value}\n`).join("")}`);
  for (const violation of violations.slice(0, 20)) process.stdout.write(`    ${violation}\n`);
}

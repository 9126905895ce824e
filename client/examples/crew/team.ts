// Keeps a number of cluster workers running: starts them, replaces those that end, and ends them all.

import cluster, { type Worker } from "node:cluster";
import { once } from "node:events";
import type { Mortal, Succession } from "./wishes.ts";

/** A worker that lives this long has not failed at its start: its successor follows at once. */
const HEALTHY_MS = 10_000;
const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 5_000;
/** How long a worker may take to answer what it has accepted, once it is asked to leave. */
const LEAVE_MS = 5_000;

/** A place in the team, and the worker that fills it now. */
interface Place {
  readonly number: number;
  worker: Worker | undefined;
  startedMs: number;
  quickEnds: number;
  timer: NodeJS.Timeout | undefined;
}

export class Team {
  readonly #places: readonly Place[];
  readonly #env: Readonly<Record<string, string>>;
  #isReady = false;
  #isLeaving = false;

  /** @param env what each worker finds in its environment, besides `WORKER`, its number from `first` on. */
  constructor(size: number, env: Readonly<Record<string, string>>, first = 1) {
    this.#env = env;
    this.#places = Array.from({ length: size }, (_, index) => ({
      number: index + first,
      worker: undefined,
      startedMs: 0,
      quickEnds: 0,
      timer: undefined,
    }));
  }

  /** Resolves when every worker listens. Rejects when one ends before that: its successor would fare no better. */
  start(): Promise<void> {
    return new Promise((resolve, reject) => {
      let listening = 0;
      const noteListening = (): void => {
        listening += 1;
        if (listening < this.#places.length) return;
        this.#isReady = true;
        resolve();
      };
      for (const place of this.#places) {
        const worker = this.#fill(place);
        worker.once("listening", noteListening);
        worker.once("exit", () => reject(new Error(`Worker ${place.number} could not start.`)));
      }
    });
  }

  has(worker: Worker): boolean {
    return this.#places.some((place) => place.worker === worker);
  }

  /** Lets the workers answer what they have accepted, and resolves when all are gone. */
  async stop(): Promise<void> {
    this.#isLeaving = true;
    await Promise.all(this.#places.map(endOf));
  }

  /** Kills a worker of the team as the system would, and resolves when its successor listens: to null where it is not there any more. */
  async kill({ number, pid }: Mortal): Promise<Succession | null> {
    const place = this.#places.find((one) => one.number === number);
    const worker = place?.worker;
    if (place === undefined || worker === undefined || worker.process.pid !== pid) return null;
    // It has not failed: its successor follows at once.
    place.startedMs = Number.NEGATIVE_INFINITY;
    const died = once(worker, "exit").then(() => performance.now());
    const successor = successorIn(place, worker);
    worker.process.kill("SIGKILL");
    const diedMs = await died;
    const { process } = await successor;
    return { pid: process.pid ?? 0, ms: performance.now() - diedMs };
  }

  #fill(place: Place): Worker {
    const worker = cluster.fork({ ...this.#env, WORKER: String(place.number) });
    place.worker = worker;
    place.startedMs = performance.now();
    worker.once("exit", (code, signal) => {
      place.worker = undefined;
      if (this.#isReady && !this.#isLeaving) this.#replace(place, signal ?? `code ${code}`);
    });
    return worker;
  }

  #replace(place: Place, end: string): void {
    const isHealthy = performance.now() - place.startedMs >= HEALTHY_MS;
    place.quickEnds = isHealthy ? 0 : place.quickEnds + 1;
    const pauseMs = isHealthy ? 0 : Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** (place.quickEnds - 1));
    console.error(`Worker ${place.number} ended (${end}); another starts in ${pauseMs} ms.`);
    place.timer = setTimeout(() => this.#fill(place), pauseMs);
  }
}

/** The worker that listens at this place after `old`. */
function successorIn(place: Place, old: Worker): Promise<Worker> {
  return new Promise((resolve) => {
    const look = (worker: Worker): void => {
      if (worker === old || worker !== place.worker) return;
      cluster.off("listening", look);
      resolve(worker);
    };
    cluster.on("listening", look);
  });
}

function endOf(place: Place): Promise<void> {
  clearTimeout(place.timer);
  const { worker } = place;
  if (worker === undefined) return Promise.resolve();
  return new Promise((resolve) => {
    const timer = setTimeout(() => worker.process.kill("SIGKILL"), LEAVE_MS);
    worker.once("exit", () => {
      clearTimeout(timer);
      resolve();
    });
    worker.process.kill("SIGTERM");
  });
}

// A daemon in this process for tests that need to see into its directory, and raw workers connected to it. Everything ends with `close`.

import { existsSync, mkdirSync, readFileSync, renameSync, unlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Daemon, type DaemonOptions, startDaemon } from "../../../daemon/start.ts";
import type { Present, Revision } from "../../../daemon/store/store.ts";
import { applyDelta, newImage } from "../../../protocol/image/image.ts";
import { makeSessionId } from "../../../protocol/session-id.ts";
import { freshRoot, removeRoot } from "../processes.ts";
import { deltaOf, RawWorker, valuesIn } from "./raw-worker.ts";

let ids = 0;

/** An id nobody has had. */
export function newId(prefix = "10.0.0.1"): string {
  ids += 1;
  const random = Buffer.alloc(12);
  random.writeUInt32BE(ids, 8);
  return makeSessionId(prefix, random);
}

/** What is told to an engine that needs to know nothing of the contents it replaces. */
export function presentAt(revision: Revision | undefined): Present | undefined {
  return revision && { revision, image: Buffer.alloc(0) };
}

export class Lab {
  readonly root: string;
  #daemon: Daemon | undefined;
  readonly #options: DaemonOptions;
  readonly #workers: RawWorker[] = [];

  private constructor(root: string, options: DaemonOptions) {
    this.root = root;
    const sweeps = options.type === "redis" ? {} : { sweepMs: 0 };
    this.#options = { root, logLevel: "silent", ...sweeps, ...options };
  }

  static async open(options: DaemonOptions = {}): Promise<Lab> {
    const lab = new Lab(freshRoot(), options);
    await lab.start();
    return lab;
  }

  get daemon(): Daemon {
    if (this.#daemon === undefined) throw new Error("the daemon does not run");
    return this.#daemon;
  }

  async start(options: DaemonOptions = {}): Promise<void> {
    this.#daemon = await startDaemon({ ...this.#options, ...options });
  }

  async stop(): Promise<void> {
    await this.#daemon?.stop();
    this.#daemon = undefined;
  }

  async worker(name?: string): Promise<RawWorker> {
    const worker = await RawWorker.connect(this.daemon.socket, name ?? `raw${this.#workers.length}`);
    this.#workers.push(worker);
    return worker;
  }

  /** Connected, and nothing said. */
  async stranger(): Promise<RawWorker> {
    const worker = await RawWorker.connectSilently(this.daemon.socket);
    this.#workers.push(worker);
    return worker;
  }

  path(id: string): string {
    return join(this.root, "session", id);
  }

  hasFile(id: string): boolean {
    return existsSync(this.path(id));
  }

  image(id: string): Buffer {
    return readFileSync(this.path(id));
  }

  values(id: string): Record<string, unknown> {
    return valuesIn(this.image(id));
  }

  /** Saves as a Gambas program does that has taken no lock: a whole file, written elsewhere, in place of the old one. */
  saveAsGambas(id: string, image: Buffer): void {
    mkdirSync(join(this.root, "session"), { recursive: true });
    const aside = join(this.root, "gambas.tmp");
    writeFileSync(aside, image, { mode: 0o600 });
    if (this.hasFile(id)) unlinkSync(this.path(id));
    renameSync(aside, this.path(id));
  }

  /** `image` with these keys changed, stamped now. */
  changed(image: Buffer, changes: Readonly<Record<string, unknown>>): Buffer {
    return applyDelta(image, { delta: deltaOf(changes), nowMs: Date.now() });
  }

  newImage(values: Readonly<Record<string, unknown>>, timeoutSeconds = 86_400, nowMs = Date.now()): Buffer {
    return applyDelta(newImage({ nowMs, timeoutSeconds }), { delta: deltaOf(values), nowMs });
  }

  async close(): Promise<void> {
    await Promise.all(this.#workers.map((worker) => worker.close()));
    await this.stop();
    await removeRoot(this.root);
  }
}

/** Resolves to the code a call failed with; fails itself when the call did not. */
export async function codeOf(call: Promise<unknown>): Promise<string> {
  try {
    await call;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? String(error);
  }
  throw new Error("the call did not fail");
}

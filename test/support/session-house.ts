// A daemon in this process with a root of its own, the clients that were made for it, and the session files it keeps. Ends all of it.
import { mkdtempSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Site } from "../../client/http/exchange.ts";
import { Client } from "../../client/link/client.ts";
import type { ConnectOptions, HttpOptions } from "../../client/options.ts";
import { type Daemon, type DaemonOptions, startDaemon } from "../../daemon/start.ts";
import { startupBytes, startupMs } from "../../protocol/image/image.ts";

/** A root nobody else uses. */
export function makeRoot(): string {
  return mkdtempSync(join(tmpdir(), "gs-"));
}

export class SessionHouse {
  readonly root: string;
  readonly #options: DaemonOptions;
  readonly #clients: Client[] = [];
  #daemon: Daemon | undefined;
  #age = 0;

  private constructor(root: string, options: DaemonOptions) {
    this.root = root;
    this.#options = options;
  }

  static async open(options: DaemonOptions = {}): Promise<SessionHouse> {
    const house = new SessionHouse(makeRoot(), options);
    await house.startDaemon();
    return house;
  }

  async startDaemon(): Promise<void> {
    this.#daemon = await startDaemon({ root: this.root, logLevel: "silent", ...this.#options });
  }

  async stopDaemon(): Promise<void> {
    await this.#daemon?.stop();
    this.#daemon = undefined;
  }

  /** What `connect()` and `session()` take to meet this daemon and to start no other. */
  get options(): ConnectOptions {
    return { root: this.root, spawn: false };
  }

  /** Another worker, as far as the daemon can tell. */
  worker(options: ConnectOptions = {}): Client {
    const client = new Client({ ...this.options, ...options });
    this.#clients.push(client);
    return client;
  }

  /** What serves HTTP for a worker, without a server. */
  site(options: HttpOptions = {}): Site {
    const site = Site.open({ ...this.options, ...options });
    this.#clients.push(site.client);
    return site;
  }

  /** A session of another worker, in the file. */
  async make(entries: Readonly<Record<string, unknown>>, prefix = "10.0.0.1"): Promise<string> {
    const handle = this.worker().create({ prefix });
    for (const [key, value] of Object.entries(entries)) handle.set(key, value);
    await handle.save();
    return handle.id ?? "";
  }

  /** A value as another worker has it. */
  async stored(id: string, key: string): Promise<unknown> {
    return (await this.worker().open(id))?.get(key);
  }

  pathOf(id: string): string {
    return join(this.root, "session", id);
  }

  fileOf(id: string): Buffer {
    return readFileSync(this.pathOf(id));
  }

  has(id: string): boolean {
    return statSync(this.pathOf(id), { throwIfNoEntry: false }) !== undefined;
  }

  startupOf(id: string): number {
    return startupMs(this.fileOf(id));
  }

  /** As if the session had been saved that long ago; written in place, as another program would. */
  makeOlder(id: string, byMs: number): void {
    const image = this.fileOf(id);
    const { mtimeMs } = statSync(this.pathOf(id));
    startupBytes(startupMs(image) - byMs).copy(image);
    writeFileSync(this.pathOf(id), image);
    // Not like any revision of the daemon's, and old enough to be kept in memory.
    this.#age += 1;
    utimesSync(this.pathOf(id), mtimeMs / 1000, Math.floor(mtimeMs / 1000) - 60 - this.#age);
  }

  async close(): Promise<void> {
    for (const client of this.#clients) client.close();
    await this.stopDaemon();
    rmSync(this.root, { recursive: true, force: true });
  }
}

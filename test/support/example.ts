// `npm start` as people use it: the example's four workers in a process group of their own, and a browser with a cookie jar.

import { type ChildProcessByStdio, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { expect } from "vitest";
import { kill, killAndWait, until } from "./processes.ts";
import { repository } from "./repository.ts";

export const EXAMPLE: string = join(repository, "dist/client/examples/cluster.js");
export const WORKERS = [1, 2, 3, 4];

export interface SessionJson {
  readonly worker: number;
  readonly pid: number;
  readonly id: string | null;
  readonly path: string | null;
  readonly size: number;
  readonly visits: number;
  readonly answers: readonly number[];
  readonly user?: string;
  readonly cart: Readonly<Record<string, number>>;
  readonly totalCents: number;
  readonly keys: Readonly<Record<string, { readonly type: string; readonly value: unknown }>>;
}

/** The URL that an example says when it serves. What it says later is let go. */
export async function readyUrl(output: Readable): Promise<string> {
  let said = "";
  for await (const text of output.setEncoding("utf8").iterator({ destroyOnReturn: false })) {
    said += text;
    const url = /^Ready: (\S+)/m.exec(said)?.[1];
    if (url === undefined) continue;
    output.resume();
    return url;
  }
  throw new Error(`the example ended: ${said}`);
}

export class Example {
  readonly exited: Promise<number | string>;
  url = "";
  readonly #process: ChildProcessByStdio<null, Readable, null>;

  constructor(root: string, port = "0", others: NodeJS.ProcessEnv = {}) {
    const env = { ...process.env, GAMBAS_SESSION_ROOT: root, PORT: port, ...others };
    // A process group of its own, as a terminal gives it.
    this.#process = spawn(process.execPath, [EXAMPLE], { env, detached: true, stdio: ["ignore", "pipe", "ignore"] });
    this.exited = once(this.#process, "close").then(([code, signal]) => signal ?? code);
  }

  static async start(root: string, others: NodeJS.ProcessEnv = {}): Promise<Example> {
    const example = new Example(root, "0", others);
    await example.ready();
    return example;
  }

  get pid(): number {
    return this.#process.pid ?? 0;
  }

  /** Until it has said so; nothing of it is read afterwards. */
  async says(pattern: RegExp): Promise<void> {
    let said = "";
    for await (const text of this.#process.stdout.setEncoding("utf8").iterator({ destroyOnReturn: false })) {
      said += text;
      if (!pattern.test(said)) continue;
      this.#process.stdout.resume();
      return;
    }
    throw new Error(`the example ended: ${said}`);
  }

  async ready(): Promise<void> {
    this.url = await readyUrl(this.#process.stdout);
  }

  /**
   * Kills a worker and waits until the primary has started another: what node:cluster hands to a worker that is dead already, and not
   * yet known to be, is never answered.
   */
  async killWorker(pid: number): Promise<void> {
    const before = new Set(childrenOf(this.pid));
    await killAndWait(pid);
    await until(() => childrenOf(this.pid).some((child) => !before.has(child)));
  }

  /** The same to every process of the group, as Ctrl-C does. */
  signalAll(signal: NodeJS.Signals): Promise<number | string> {
    process.kill(-this.pid, signal);
    return this.exited;
  }

  signal(signal: NodeJS.Signals): Promise<number | string> {
    kill(this.pid, signal);
    return this.exited;
  }
}

/** One cookie, kept and sent as a browser does. */
export class Browser {
  cookie = "";
  readonly #url: string;

  constructor(url: string) {
    this.#url = url;
  }

  async ask(path: string, init: RequestInit = {}): Promise<Response> {
    const headers = { ...init.headers, ...(this.cookie === "" ? {} : { cookie: this.cookie }) };
    const response = await fetch(new URL(path, this.#url), { redirect: "manual", ...init, headers });
    for (const line of response.headers.getSetCookie()) {
      this.cookie = /; ?expires=Thu, 01 Jan 1970/i.test(line) ? "" : (line.split(";", 1)[0] ?? "");
    }
    return response;
  }

  /** Submits a form, expects to be sent on, and goes there. */
  async submit(path: string, fields: Readonly<Record<string, string>> = {}): Promise<string> {
    const response = await this.ask(path, { method: "POST", body: new URLSearchParams(fields) });
    expect(response.status).toBe(303);
    return this.page();
  }

  async page(): Promise<string> {
    const response = await this.ask("/");
    expect(response.status).toBe(200);
    return response.text();
  }

  async session(): Promise<SessionJson> {
    return (await (await this.ask("/session.json")).json()) as SessionJson;
  }

  /** What each of the workers says, by its number. */
  async sessionByWorker(): Promise<readonly SessionJson[]> {
    const seen = new Map<number, SessionJson>();
    while (seen.size < WORKERS.length) {
      const session = await this.session();
      seen.set(session.worker, session);
    }
    return WORKERS.map((number) => seen.get(number)).filter((session) => session !== undefined);
  }
}

function childrenOf(pid: number): readonly number[] {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").split(" ").filter(Boolean).map(Number);
}

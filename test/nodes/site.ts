// An application in a process of its own, run by one of the Nodes, and what is asked of it from here.

import { type ChildProcessByStdio, spawn } from "node:child_process";
import { once } from "node:events";
import { request } from "node:http";
import { connect } from "node:http2";
import type { Readable, Writable } from "node:stream";
import { text } from "node:stream/consumers";
import { type Reply, readReply } from "../support/http/http-house.ts";

export class Program {
  /** The end of the process, with everything it has said as a complaint. */
  readonly #complaints: Promise<string>;
  readonly #process: ChildProcessByStdio<Writable, Readable, Readable>;
  #said = "";

  /** @param args of Node: its flags, the file, and the file's own. */
  constructor(node: string, args: readonly string[], env: NodeJS.ProcessEnv, folder: string) {
    this.#process = spawn(node, args, {
      cwd: folder,
      env: { ...process.env, ...env },
      stdio: ["pipe", "pipe", "pipe"],
    });
    this.#process.stdout.setEncoding("utf8").on("data", (part: string) => {
      this.#said += part;
    });
    this.#complaints = text(this.#process.stderr);
  }

  get pid(): number {
    return this.#process.pid ?? 0;
  }

  /** Everything it has said so far. */
  get said(): string {
    return this.#said;
  }

  /** What stands in the first group of `pattern` as soon as it is said. */
  async says(pattern: RegExp): Promise<string> {
    for (;;) {
      const found = pattern.exec(this.#said)?.[1];
      if (found !== undefined) return found;
      const more = await Promise.race([once(this.#process.stdout, "data"), once(this.#process, "close")]);
      if (typeof more[0] !== "string") throw new Error(`it ended: ${this.#said} ${await this.#complaints}`);
    }
  }

  /** Ends it, and returns its complaints. */
  async end(): Promise<string> {
    this.#process.stdin.end();
    this.#process.kill();
    return this.#complaints;
  }
}

/** A request with a connection of its own: the next one goes to the next worker. */
export async function ask(port: number, path: string, cookie = ""): Promise<Reply> {
  const sent = request({ host: "127.0.0.1", port, path, headers: cookie === "" ? {} : { cookie }, agent: false });
  return readReply(sent.end());
}

/** As many streams of one connection of HTTP/2, at the same time; the bodies that come back. */
export async function askTogether(port: number, path: string, cookie: string, streams: number): Promise<string[]> {
  const connection = connect(`http://127.0.0.1:${port}`);
  try {
    const asked = Array.from({ length: streams }, () => connection.request({ ":path": path, cookie }));
    return await Promise.all(asked.map((stream) => text(stream)));
  } finally {
    connection.close();
  }
}

// One server that the benchmark started: it is ready when its socket answers, and it is ended by its pid.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { connect } from "node:net";

const READY_MS = 10_000;
const PAUSE_MS = 5;

export interface Command {
  readonly program: string;
  readonly args: readonly string[];
  readonly socket: string;
}

export class ServerProcess {
  readonly socket: string;
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess, socket: string) {
    this.#child = child;
    this.socket = socket;
  }

  /** Resolves when it takes connections. */
  static async start(command: Command): Promise<ServerProcess> {
    const child = spawn(command.program, command.args, { stdio: ["ignore", "ignore", "inherit"] });
    const failed = once(child, "error").then(([error]) => Promise.reject(error));
    const ended = once(child, "exit").then(([code]) =>
      Promise.reject(new Error(`${command.program} ended with ${code}`)),
    );
    const server = new ServerProcess(child, command.socket);
    try {
      await Promise.race([answers(command.socket), failed, ended]);
    } catch (error) {
      await server.end();
      throw error;
    } finally {
      // What happens later is found by those who use it.
      failed.catch(() => undefined);
      ended.catch(() => undefined);
    }
    return server;
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  async end(): Promise<void> {
    if (this.#child.pid === undefined || this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const exited = once(this.#child, "exit");
    this.#child.kill("SIGTERM");
    await exited;
  }

  /** For the end of the benchmark itself, when nothing can be waited for any more. */
  kill(): void {
    this.#child.kill("SIGKILL");
  }
}

async function answers(socket: string): Promise<void> {
  const deadline = performance.now() + READY_MS;
  while (!(await isListening(socket))) {
    if (performance.now() > deadline) throw new Error(`Nothing answers on ${socket} after ${READY_MS} ms.`);
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
}

function isListening(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    const tell = (isThere: boolean): void => {
      socket.destroy();
      resolve(isThere);
    };
    socket.once("connect", () => tell(true));
    socket.once("error", () => tell(false));
  });
}

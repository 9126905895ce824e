// Calls between the benchmark and a process it forked: one request, one reply, each call named in a table of types.

import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";

/** What a process answers: name -> request and reply. */
export type Calls<C> = { readonly [K in keyof C]: { readonly request: unknown; readonly reply: unknown } };

export type Answers<C extends Calls<C>> = {
  readonly [K in keyof C]: (request: C[K]["request"]) => Promise<C[K]["reply"]> | C[K]["reply"];
};

interface Asked {
  readonly number: number;
  readonly name: string;
  readonly request: unknown;
}

interface Answered {
  readonly number: number;
  readonly reply?: unknown;
  readonly error?: string;
}

interface Waiting {
  readonly resolve: (reply: never) => void;
  readonly reject: (error: Error) => void;
  readonly timer: NodeJS.Timeout;
}

/** Nothing that is asked takes longer, unless it hangs. */
const ANSWER_MS = 60_000;
/** How long a process may take to leave. */
const LEAVE_MS = 3_000;

/** The parent's side. */
export class Forked<C extends Calls<C>> {
  readonly #child: ChildProcess;
  readonly #waiting = new Map<number, Waiting>();
  #lastNumber = 0;

  constructor(module: URL) {
    // advanced: typed arrays travel as what they are.
    this.#child = fork(module, [], { serialization: "advanced", execArgv: profiling() });
    this.#child.on("message", (message) => this.#receive(message as Answered));
    this.#child.once("exit", (code, signal) =>
      this.#fail(new Error(`a process of the benchmark ended with ${signal ?? code}`)),
    );
    this.#child.once("error", (error) => this.#fail(error));
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  ask<K extends keyof C & string>(name: K, request: C[K]["request"]): Promise<C[K]["reply"]> {
    const number = ++this.#lastNumber;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => this.#fail(new Error(`no answer to "${name}"`)), ANSWER_MS);
      this.#waiting.set(number, { resolve, reject, timer });
      this.#child.send({ number, name, request } satisfies Asked, (error) => {
        if (error !== null) this.#fail(error);
      });
    });
  }

  /** The process sees its channel closed and leaves. */
  async end(): Promise<void> {
    if (!this.#child.connected || this.#child.exitCode !== null) return;
    const exited = once(this.#child, "exit");
    this.#child.disconnect();
    const timer = setTimeout(() => this.kill(), LEAVE_MS);
    await exited;
    clearTimeout(timer);
  }

  kill(): void {
    this.#child.kill("SIGKILL");
  }

  #receive(message: Answered): void {
    const waiting = this.#waiting.get(message.number);
    this.#waiting.delete(message.number);
    clearTimeout(waiting?.timer);
    if (message.error === undefined) waiting?.resolve(message.reply as never);
    else waiting?.reject(new Error(message.error));
  }

  #fail(error: Error): void {
    for (const { reject, timer } of this.#waiting.values()) {
      clearTimeout(timer);
      reject(error);
    }
    this.#waiting.clear();
  }
}

/** The child's side: answers until the parent is gone, then runs `leave` and ends. */
export function answerCalls<C extends Calls<C>>(answers: Answers<C>, leave: () => Promise<void> | void): void {
  process.on("message", async (message) => {
    const { number, name, request } = message as Asked;
    try {
      send({ number, reply: await answers[name as keyof C](request) });
    } catch (error) {
      send({ number, error: error instanceof Error ? (error.stack ?? error.message) : String(error) });
    }
  });
  process.once("disconnect", async () => {
    await leave();
    process.exit(0);
  });
}

function send(message: Answered): void {
  if (process.connected) process.send?.(message);
}

/** GAMBAS_SESSION_BENCH_PROFILE names a directory: every process leaves a CPU profile there. */
function profiling(): string[] {
  const target = process.env.GAMBAS_SESSION_BENCH_PROFILE;
  return target === undefined ? [] : ["--cpu-prof", "--cpu-prof-dir", target, "--cpu-prof-interval", "200"];
}

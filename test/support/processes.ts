// Whole processes for tests: fresh roots, workers that are called by message, daemons found and killed by pid.
// Nothing here waits for time to pass: everything waits for a message, an exit, or a condition.

import { type ChildProcess, fork, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { daemonPath } from "../../protocol/places.ts";
import type { TypeName } from "../../protocol/types.ts";
import { repository } from "./repository.ts";

/** A directory of its own for one test. Short, because a socket must fit into it. */
export function freshRoot(): string {
  return mkdtempSync(join(tmpdir(), "gs-"));
}

/** Ends the daemon of a root, if there is one, and deletes everything. */
export async function removeRoot(root: string): Promise<void> {
  // A worker that was killed a moment ago may have left a daemon that is only starting.
  for (let pids = daemonsOf(root); pids.length > 0; pids = daemonsOf(root)) {
    for (const pid of pids) await killAndWait(pid);
  }
  await removeFolder(root);
}

/** Deletes a folder in which what has just ended may still be writing: a shell its history, say. */
export async function removeFolder(folder: string): Promise<void> {
  await until(() => {
    try {
      rmSync(folder, { recursive: true, force: true });
      return true;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOTEMPTY") throw error;
      return false;
    }
  });
}

/** Waits until `look` finds something. Test timeouts bound it. */
export async function until<T>(look: () => T | undefined | false | Promise<T | undefined | false>): Promise<T> {
  for (;;) {
    const found = await look();
    if (found !== undefined && found !== false) return found;
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

/** The elected daemon of a root, as long as it lives. */
export function daemonPid(root: string, type: TypeName = "file"): number | undefined {
  const pid = Number(readQuietly(daemonPath({ root, type }, ".pid")));
  return Number.isInteger(pid) && pid > 0 && isDaemonOf(pid, root) ? pid : undefined;
}

/** Every daemon process that was started for a root, elected or not. */
export function daemonsOf(root: string): number[] {
  const pids = readdirSync("/proc").map(Number).filter(Number.isInteger);
  return pids.filter((pid) => isDaemonOf(pid, root));
}

/** A pid may be somebody else's by now: only what runs our daemon on this root is one. */
function isDaemonOf(pid: number, root: string): boolean {
  const words = readQuietly(`/proc/${pid}/cmdline`).split("\0");
  return words.some((word) => word.endsWith("/daemon/main.js")) && words.includes(root) && isAlive(pid);
}

/**
 * A zombie has ended, even if nobody has asked for it yet: but not before the last of its threads, for as long as one is there everything is
 * still open and locked.
 */
export function isAlive(pid: number): boolean {
  const [state, threads] = stateOf(readQuietly(`/proc/${pid}/stat`));
  return state !== undefined && (!/[ZX]/.test(state) || Number(threads) > 1);
}

/** Behind the name of the program, which may hold anything. */
function stateOf(stat: string): (string | undefined)[] {
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return stat === "" ? [] : [fields[0], fields[17]];
}

function readQuietly(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if (["ENOENT", "ESRCH"].includes((error as NodeJS.ErrnoException).code ?? "")) return "";
    throw error;
  }
}

export function kill(pid: number, signal: NodeJS.Signals = "SIGKILL"): boolean {
  // To the system 0 is the group of whoever asks: the whole test run.
  if (!Number.isInteger(pid) || pid === 0 || pid === -1) throw new Error(`${pid} is no process`);
  try {
    process.kill(pid, signal);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ESRCH") return false;
    throw error;
  }
}

export async function killAndWait(pid: number): Promise<void> {
  kill(pid);
  await until(() => !isAlive(pid));
}

/** A process that holds the record lock of a file until it is killed. */
export async function keepLocked(path: string): Promise<ChildProcess> {
  const script = `
    const { openSync } = require("node:fs");
    require("fs-native-extensions").tryLock(openSync(process.argv[1], "a+")) && console.log("locked");
    setInterval(() => {}, 1000);`;
  const stdio = ["ignore", "pipe", "inherit"] as const;
  const child = spawn(process.execPath, ["-e", script, path], { cwd: repository, stdio: [...stdio] });
  await once(child.stdout as NodeJS.ReadableStream, "data");
  return child;
}

/** Number 0: the worker is ready. */
interface Answer {
  readonly number: number;
  readonly value?: unknown;
  readonly error?: { readonly code?: string; readonly message: string };
}

/** A process that answers calls: see `serveCalls`. */
export class WorkerProcess {
  readonly pid: number;
  readonly exited: Promise<{ readonly code: number | null; readonly signal: NodeJS.Signals | null }>;
  readonly #child: ChildProcess;
  readonly #waiting = new Map<number, { resolve: (value: unknown) => void; reject: (error: Error) => void }>();
  readonly #ready: Promise<void>;
  #noteReady: () => void = () => undefined;
  #lastNumber = 0;
  #hasExited = false;

  /** @param child with an IPC channel, behind which `serveCalls` runs. */
  constructor(child: ChildProcess) {
    this.#child = child;
    this.pid = child.pid ?? 0;
    this.#ready = new Promise((resolve) => {
      this.#noteReady = resolve;
    });
    this.exited = once(child, "exit").then(([code, signal]) => {
      this.#hasExited = true;
      for (const { reject } of this.#waiting.values()) reject(new Error(`the worker ended with ${signal ?? code}`));
      this.#waiting.clear();
      return { code, signal };
    });
    child.on("message", (message) => this.#receive(message as Answer));
  }

  /** Starts a script of `dist`, named without the folder ("test/whole/worker.js"), or by its whole path. */
  static start(script: string, args: readonly string[] = [], env: NodeJS.ProcessEnv = {}): WorkerProcess {
    return new WorkerProcess(fork(resolve(repository, "dist", script), args, { env: { ...process.env, ...env } }));
  }

  get hasExited(): boolean {
    return this.#hasExited;
  }

  /** Calls a function of the worker by name. Rejects with the worker's error (its `code` included) or when it ends. */
  call<T = unknown>(name: string, ...args: readonly unknown[]): Promise<T> {
    this.#lastNumber += 1;
    const number = this.#lastNumber;
    return new Promise<T>((resolve, reject) => {
      this.#waiting.set(number, { resolve: resolve as (value: unknown) => void, reject });
      // node:cluster drops what arrives before the worker listens.
      void this.#ready.then(() => this.#send({ number, name, args }));
    });
  }

  /** Kills it as the system would, without a last word. */
  async kill(): Promise<void> {
    if (!this.#hasExited) kill(this.pid);
    await this.exited;
  }

  #send(call: Call): void {
    this.#child.send(call, (error) => {
      if (error === null) return;
      this.#waiting.get(call.number)?.reject(error);
      this.#waiting.delete(call.number);
    });
  }

  #receive({ number, value, error }: Answer): void {
    if (number === 0) this.#noteReady();
    const waiting = this.#waiting.get(number);
    this.#waiting.delete(number);
    if (error === undefined) waiting?.resolve(value);
    else waiting?.reject(Object.assign(new Error(error.message), { code: error.code }));
  }
}

type Callable = (...args: never[]) => unknown;

/** The other side of `WorkerProcess.call`: answers calls to `functions` until the parent goes. */
export function serveCalls(functions: Readonly<Record<string, Callable>>): void {
  process.on("message", (message) => void answer(functions, message as Call));
  process.on("disconnect", () => process.exit(0));
  process.send?.({ number: 0 });
}

interface Call {
  readonly number: number;
  readonly name: string;
  readonly args: readonly unknown[];
}

async function answer(functions: Readonly<Record<string, Callable>>, { number, name, args }: Call): Promise<void> {
  const reply: { number: number; value?: unknown; error?: { code?: string; message: string } } = { number };
  try {
    const called = functions[name];
    if (called === undefined) throw new Error(`the worker has no function ${name}`);
    reply.value = await called(...(args as never[]));
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    reply.error = code === undefined ? { message } : { code, message };
  }
  process.send?.(reply);
}

/** A daemon in the foreground of a process of its own, ready when this resolves. Rejects with what it said if it ended instead. */
export async function startDaemonProcess(
  root: string,
  flags: readonly string[] = [],
  env: NodeJS.ProcessEnv = process.env,
): Promise<ChildProcess> {
  const args = [join(repository, "dist/daemon/main.js"), "--root", root, "--log-level", "silent", ...flags];
  const child = spawn(process.execPath, args, { env, stdio: ["ignore", "pipe", "pipe"] });
  let said = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    said += text;
  });
  const ended = once(child, "close").then(([code, signal]) => `the daemon ended with ${signal ?? code}: ${said}`);
  const problem = await Promise.race([once(child.stdout, "data").then(() => undefined), ended]);
  if (problem !== undefined) throw new Error(problem);
  return child;
}

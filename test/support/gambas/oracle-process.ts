// One running oracle (test/gambas/oracle): a line of JSON goes in per command, one answer comes back, events before it.
import type { ChildProcessByStdio } from "node:child_process";
import type { Readable, Writable } from "node:stream";
import type { TypedJson, TypedKey } from "../values/typed-json.ts";

export type OracleCommand = readonly [name: string, ...args: unknown[]];

export interface OracleEvent {
  readonly event: string;
  readonly id?: string;
  readonly path?: string;
}

/** The answer to one command. Which fields there are depends on the command. */
export interface OracleAnswer {
  readonly ok?: string;
  readonly error?: string;
  readonly code?: number;
  readonly text?: string;
  readonly where?: string;
  /** get: typed JSON; keys: a list of keys; others: a plain string, number or boolean. */
  readonly value?: unknown;
  readonly entries?: readonly (readonly [TypedKey, TypedJson])[];
  readonly id?: string;
  readonly path?: string;
  readonly line?: string;
  readonly bits?: string;
  readonly turns?: number;
  readonly done?: number;
  readonly lost?: number;
  readonly missing?: number;
  /** Of the saves of a loop, in ms. */
  readonly longest?: number;
  /** Events since the answer before. */
  readonly events: readonly OracleEvent[];
  /** respond: the HTTP header lines, without the empty one at their end. */
  readonly headers: readonly string[];
}

interface Waiting<T> {
  readonly resolve: (value: T) => void;
  readonly reject: (error: Error) => void;
}

export interface ProcessEnd {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export class OracleProcess {
  readonly #child: ChildProcessByStdio<Writable, Readable, Readable>;
  readonly #answers: Waiting<OracleAnswer>[] = [];
  readonly #eventWaiters = new Map<string, Waiting<OracleEvent>[]>();
  readonly #unclaimed: OracleEvent[] = [];
  readonly #ended: Promise<ProcessEnd>;
  #events: OracleEvent[] = [];
  #headers: string[] = [];
  #partial: Buffer[] = [];
  #stderr = "";
  #failure: Error | undefined;

  constructor(child: ChildProcessByStdio<Writable, Readable, Readable>) {
    this.#child = child;
    child.stdin.on("error", () => {}); // EPIPE: the end of the process tells what happened
    child.stdout.on("data", (chunk: Buffer) => this.#receive(chunk));
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      this.#stderr += text;
    });
    this.#ended = new Promise((resolve, reject) => {
      child.once("error", reject);
      child.once("close", (code, signal) => {
        this.#fail(new Error(`the oracle ended (${signal ?? code}): ${this.#stderr.trim()}`));
        resolve({ code, signal });
      });
    });
    this.#ended.catch((error: Error) => this.#fail(error));
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** Resolves with the answer, an error answer included; rejects when the program ends without one. */
  async send(...command: OracleCommand): Promise<OracleAnswer> {
    if (this.#failure !== undefined) throw this.#failure;
    const answer = new Promise<OracleAnswer>((resolve, reject) => this.#answers.push({ resolve, reject }));
    this.writeLine(JSON.stringify(command));
    return answer;
  }

  /** Like send, but rejects when the answer is an error. */
  async do(...command: OracleCommand): Promise<OracleAnswer> {
    const answer = await this.send(...command);
    if (answer.error !== undefined) throw new Error(`oracle: ${command[0]}: ${answer.text} (${answer.code})`);
    return answer;
  }

  /** A line as it is, for the command `await`. */
  writeLine(line: string): void {
    this.#child.stdin.write(`${line}\n`);
  }

  /** The next event of that name, each being handed out once: "waiting", "locked", "abandoned". */
  async event(name: string): Promise<OracleEvent> {
    const at = this.#unclaimed.findIndex((event) => event.event === name);
    const [event] = at >= 0 ? this.#unclaimed.splice(at, 1) : [];
    if (event !== undefined) return event;
    if (this.#failure !== undefined) throw this.#failure;
    return new Promise((resolve, reject) => {
      const waiters = this.#eventWaiters.get(name) ?? [];
      this.#eventWaiters.set(name, [...waiters, { resolve, reject }]);
    });
  }

  /** Ends the input, at which Gambas saves its session, and waits until the program is gone. */
  async end(): Promise<ProcessEnd> {
    this.#child.stdin.end();
    return this.#ended;
  }

  /** Ends the program without its saving anything. */
  async kill(signal: NodeJS.Signals = "SIGKILL"): Promise<ProcessEnd> {
    this.#child.kill(signal);
    return this.#ended;
  }

  #receive(chunk: Buffer): void {
    let start = 0;
    for (let end = chunk.indexOf(10); end >= 0; end = chunk.indexOf(10, start)) {
      const line = Buffer.concat([...this.#partial, chunk.subarray(start, end)]).toString("utf8");
      this.#partial = [];
      start = end + 1;
      this.#receiveLine(line.endsWith("\r") ? line.slice(0, -1) : line);
    }
    if (start < chunk.length) this.#partial.push(chunk.subarray(start));
  }

  #receiveLine(line: string): void {
    if (!line.startsWith("{")) {
      if (line !== "") this.#headers.push(line);
      return;
    }
    const message: OracleEvent | Omit<OracleAnswer, "events" | "headers"> = JSON.parse(line);
    if ("event" in message) this.#receiveEvent(message);
    else this.#settle(message);
  }

  #receiveEvent(event: OracleEvent): void {
    this.#events.push(event);
    const waiter = this.#eventWaiters.get(event.event)?.shift();
    if (waiter === undefined) this.#unclaimed.push(event);
    else waiter.resolve(event);
  }

  #settle(message: Omit<OracleAnswer, "events" | "headers">): void {
    const answer: OracleAnswer = { ...message, events: this.#events, headers: this.#headers };
    this.#events = [];
    this.#headers = [];
    this.#answers.shift()?.resolve(answer);
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    for (const waiting of this.#answers.splice(0)) waiting.reject(error);
    for (const waiters of this.#eventWaiters.values()) for (const waiting of waiters.splice(0)) waiting.reject(error);
  }
}

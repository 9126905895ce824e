// Visitors of the application, one after the other each and all at once. Every answer must be the visitor's count, one more than the last.

import { once } from "node:events";
import { get, type IncomingMessage } from "node:http";
import { until } from "../support/processes.ts";

export interface Tally {
  requests: number;
  /** Connections that were refused or broke off. */
  errors: number;
  /** Those that nobody answers: node:cluster gives them to a worker that is just ending, and has not said so. */
  unanswered: number;
  /** Answers that are not what a visitor's count allows. */
  readonly wrong: string[];
  /** Of those that were answered. */
  slowestMs: number;
}

interface Answer {
  readonly status: number;
  readonly cookie: string | undefined;
  readonly text: string;
  /** Pid of the worker that answered. */
  readonly worker: string;
}

const PATIENCE_MS = 10_000;
/** While nobody listens. */
const PAUSE_MS = 20;

export class Load {
  readonly tally: Tally = { requests: 0, errors: 0, unanswered: 0, wrong: [], slowestMs: 0 };
  readonly #port: number;
  readonly #isControl: boolean;
  readonly #visitors: readonly Promise<void>[];
  #isOver = false;

  constructor(port: number, visitors: number, isControl = false) {
    this.#port = port;
    this.#isControl = isControl;
    this.#visitors = Array.from({ length: visitors }, (_, number) => this.#visit(number));
  }

  /** Waits until so many more requests were made. */
  async more(requests: number): Promise<void> {
    const wanted = this.tally.requests + requests;
    await until(() => this.tally.requests >= wanted);
  }

  /** What is slow from now on counts: the start of the application is over. */
  forgetSlowest(): void {
    this.tally.slowestMs = 0;
  }

  async end(): Promise<Tally> {
    this.#isOver = true;
    await Promise.all(this.#visitors);
    return this.tally;
  }

  async #visit(number: number): Promise<void> {
    let [cookie, count, unanswered]: [string | undefined, number, number] = [undefined, 0, 0];
    while (!this.#isOver) {
      const answer = await this.#ask(cookie);
      if (answer === undefined) {
        // It may have been counted, or not.
        unanswered += 1;
        continue;
      }
      const visits = Number(answer.text);
      const isRight = answer.status === 200 && visits > count && visits <= count + 1 + unanswered;
      const what = `visitor ${number} after ${count}, ${unanswered} unanswered: ${answer.status} ${answer.text}`;
      if (!isRight && !this.#isControl) this.tally.wrong.push(what);
      cookie = answer.cookie ?? cookie;
      [count, unanswered] = cookie === undefined ? [0, 0] : [visits, 0];
    }
  }

  /** Undefined when the connection broke off. */
  async #ask(cookie: string | undefined): Promise<Answer | undefined> {
    const beganMs = performance.now();
    this.tally.requests += 1;
    try {
      const answer = await ask(this.#port, cookie);
      this.tally.slowestMs = Math.max(this.tally.slowestMs, performance.now() - beganMs);
      return answer;
    } catch {
      // Whatever the system error; it is counted.
      if (performance.now() - beganMs < PATIENCE_MS) this.tally.errors += 1;
      else this.tally.unanswered += 1;
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
      return undefined;
    }
  }
}

/** Over a connection of its own, as most proxies ask. */
export async function ask(port: number, cookie?: string): Promise<Answer> {
  const headers = cookie === undefined ? {} : { cookie };
  const request = get({ host: "127.0.0.1", port, headers, agent: false, timeout: PATIENCE_MS });
  request.on("timeout", () => request.destroy(new Error("nobody answers")));
  const [response] = (await once(request, "response")) as [IncomingMessage];
  let text = "";
  for await (const part of response.setEncoding("utf8")) text += part;
  const { statusCode: status = 0, headers: answered } = response;
  return { status, cookie: answered["set-cookie"]?.[0]?.split(";", 1)[0], text, worker: String(answered.worker) };
}

/** Waits until the application answers at all. */
export async function answering(port: number): Promise<void> {
  await until(() => ask(port).catch(() => undefined));
}

export function toText({ requests, errors, unanswered, slowestMs }: Tally): string {
  return `${requests} requests, ${errors} errors, ${unanswered} unanswered, slowest ${Math.round(slowestMs)} ms`;
}

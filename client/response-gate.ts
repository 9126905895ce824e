// Holds a response back until its session is committed: whatever would make the headers leave is kept, in order, and done afterwards.
// Knows nothing of sessions.

import type { ServerResponse } from "node:http";

export interface GateEvents {
  /** Asked when something is about to leave. True: let it. */
  readonly isReady: () => boolean;
  /** What must be done first. Resolves to false when the response must not be sent as it is. */
  readonly prepare: () => Promise<boolean>;
}

type Held = () => void;
type Method = "writeHead" | "write" | "end" | "flushHeaders";

/** "before": nothing has left. "holding": `prepare` is under way. "open": everything passes. */
type State = "before" | "holding" | "open";

const FAILED = "The session could not be saved.\n";

export class ResponseGate {
  readonly #res: ServerResponse;
  readonly #events: GateEvents;
  readonly #original: Pick<ServerResponse, Method>;
  #state: State = "before";
  #held: Held[] = [];
  #mustDrain = false;
  #isEnding = false;

  constructor(res: ServerResponse, events: GateEvents) {
    this.#res = res;
    this.#events = events;
    this.#original = { writeHead: res.writeHead, write: res.write, end: res.end, flushHeaders: res.flushHeaders };
    res.writeHead = ((...args: unknown[]) => this.#pass("writeHead", args, res)) as typeof res.writeHead;
    res.write = ((...args: unknown[]) => this.#pass("write", args, false)) as typeof res.write;
    res.end = ((...args: unknown[]) => this.#pass("end", args, res)) as typeof res.end;
    res.flushHeaders = () => this.#pass("flushHeaders", [], undefined);
  }

  /** Does the call now, or keeps it and answers what a call that has to wait answers. */
  #pass(name: Method, args: unknown[], whenHeld: unknown): never {
    const isLast = name === "end" && !this.#isEnding;
    if (isLast) this.#isEnding = true;
    if (this.#state !== "holding" && (this.#state === "before" || isLast)) this.#ask();
    if (this.#state === "open") return this.#do(name, args) as never;
    if (name === "write") this.#mustDrain = true;
    this.#held.push(() => {
      this.#do(name, args);
    });
    return whenHeld as never;
  }

  /** The first thing to leave, and the end, ask; in between, what was changed after the headers waits for the end. */
  #ask(): void {
    if (this.#events.isReady()) {
      this.#state = "open";
      return;
    }
    this.#state = "holding";
    void this.#events.prepare().then((isFine) => this.#release(isFine));
  }

  #release(isFine: boolean): void {
    this.#state = "open";
    const held = this.#held;
    this.#held = [];
    if (!isFine) {
      this.#fail();
      return;
    }
    for (const call of held) call();
    if (this.#mustDrain && !this.#res.writableEnded && !this.#res.writableNeedDrain) this.#res.emit("drain");
    this.#mustDrain = false;
  }

  /** What was going to be sent would say that all is well. */
  #fail(): void {
    const res = this.#res;
    if (res.headersSent) {
      res.destroy();
      return;
    }
    for (const name of res.getHeaderNames()) res.removeHeader(name);
    res.statusCode = 500;
    res.statusMessage = "Internal Server Error";
    res.setHeader("Content-Type", "text/plain; charset=utf-8");
    this.#original.end.call(res, FAILED, "utf8");
    this.#isEnding = true;
  }

  #do(name: Method, args: unknown[]): unknown {
    const passed = name === "writeHead" ? this.#withOurCookies(args) : args;
    return Reflect.apply(this.#original[name] as (...args: unknown[]) => unknown, this.#res, passed);
  }

  /** Headers given to writeHead would replace those set before of the same name, our cookies among them. */
  #withOurCookies(args: unknown[]): unknown[] {
    const headers = args.at(-1);
    if (typeof headers !== "object" || headers === null || !this.#res.hasHeader("set-cookie")) return args;
    const pairs = Array.isArray(headers) ? pairsOf(headers) : Object.entries(headers);
    const isCookie = ([name]: readonly [string, unknown]): boolean => name.toLowerCase() === "set-cookie";
    for (const [, value] of pairs.filter(isCookie)) this.#res.appendHeader("Set-Cookie", value as string | string[]);
    const rest = pairs.filter((pair) => !isCookie(pair));
    return [...args.slice(0, -1), Array.isArray(headers) ? rest.flat() : Object.fromEntries(rest)];
  }
}

function pairsOf(list: readonly unknown[]): [string, unknown][] {
  if (Array.isArray(list[0])) return list as [string, unknown][];
  return Array.from({ length: list.length / 2 }, (_, index) => [String(list[2 * index]), list[2 * index + 1]]);
}

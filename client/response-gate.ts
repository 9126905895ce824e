// Holds a response back until its session is committed: whatever would make the headers leave is kept, in order, and done afterwards.
// Knows nothing of sessions.
//
//   before   nothing has left                               --first call, ready-->      open
//   holding  `prepare` is under way, calls are kept         --prepared-->               open
//   open     everything passes; the end asks once more      --end, not ready-->         holding
//   failed   a 500 has left instead; calls have no effect   <--prepare said no--        holding
//
// While calls are kept the response says what it would say if they had been made: `headersSent`, `writableEnded`, and no more headers.

import type { ServerResponse } from "node:http";

export interface GateEvents {
  /** Asked when something is about to leave. True: let it. */
  readonly isReady: () => boolean;
  /** What must be done first. Resolves to false when the response must not be sent as it is. Never rejects. */
  readonly prepare: (gate: ResponseGate) => Promise<boolean>;
  /** A call that was kept threw when it was made: nobody is left to catch it. */
  readonly onError: (error: unknown) => void;
}

type Method = "writeHead" | "write" | "end" | "flushHeaders";

class Call {
  readonly name: Method;
  readonly args: readonly unknown[];

  constructor(name: Method, args: readonly unknown[]) {
    this.name = name;
    this.args = args;
  }
}

const NONE: readonly string[] = [];

type State = "before" | "holding" | "open" | "failed";

/** NGHTTP2_INTERNAL_ERROR. */
const INTERNAL_ERROR = 2;
const FAILED = "The session could not be saved.\n";

export class ResponseGate {
  readonly #res: ServerResponse;
  readonly #events: GateEvents;
  readonly #original: Pick<ServerResponse, Method>;
  #state: State = "before";
  #held: Call[] = [];
  #cookies: string[] = [];
  /** Those that are among the headers by now. */
  #sent: readonly string[] = NONE;
  /** A cookie with bytes beyond ASCII: see `asBytes`. */
  #hasWideCookie = false;
  #shadow: Shadow | undefined;
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

  /** Adds a cookie to the headers that are held. Called by `prepare`. */
  addCookie(line: string): void {
    this.#cookies.push(line);
    this.#hasWideCookie ||= /[^\x20-\x7e]/.test(line);
  }

  /** Whether the headers have really left: while they are held the response itself says that they have. */
  get haveHeadersLeft(): boolean {
    return this.#shadow === undefined ? this.#res.headersSent : this.#shadow.headersSent;
  }

  /** Does the call now, or keeps it and answers what a call that has to wait answers. */
  #pass(name: Method, args: unknown[], whenHeld: unknown): never {
    const isLast = name === "end" && !this.#isEnding;
    if (this.#state === "holding" && name === "writeHead") throw headersHaveLeft("write");
    if (isLast) this.#isEnding = true;
    if (this.#state === "before" || (this.#state === "open" && isLast)) this.#ask();
    else if (isLast) this.#shadow?.end();
    if (this.#state === "open") return this.#do(name, args) as never;
    if (this.#state === "failed") return this.#pretend(name, args, whenHeld) as never;
    if (name === "write") this.#mustDrain = true;
    this.#held.push(new Call(name, args));
    return whenHeld as never;
  }

  /** The first thing to leave, and the end, ask; in between, what was changed after the headers waits for the end. */
  #ask(): void {
    if (this.#events.isReady()) this.#state = "open";
    else this.#hold();
  }

  #hold(): void {
    this.#state = "holding";
    this.#shadow = new Shadow(this.#res, this.#isEnding);
    void this.#events.prepare(this).then((isFine) => this.#release(isFine));
  }

  #release(isFine: boolean): void {
    this.#shadow?.lift();
    this.#shadow = undefined;
    this.#state = "open";
    if (!isFine) {
      this.#fail();
      return;
    }
    if (this.#cookies.length > 0) this.#sendCookies(this.#cookies.splice(0));
    for (let call = this.#held[0]; call !== undefined; call = this.#held[0]) {
      // What was changed while the calls were kept belongs to the response too.
      if (call.name === "end" && !this.#events.isReady()) {
        this.#hold();
        return;
      }
      this.#held.shift();
      if (!this.#doSafely(call)) return;
    }
    this.#drain();
  }

  #sendCookies(lines: readonly string[]): void {
    for (const line of lines) this.#res.appendHeader("Set-Cookie", line);
    this.#sent = [...this.#sent, ...lines];
  }

  #doSafely(call: Call): boolean {
    try {
      this.#do(call.name, call.args);
      return true;
    } catch (error) {
      this.#events.onError(error);
      this.#fail();
      return false;
    }
  }

  #drain(): void {
    const isDue = this.#mustDrain && !this.#res.writableEnded && !this.#res.writableNeedDrain;
    this.#mustDrain = false;
    if (isDue) this.#res.emit("drain");
  }

  /** What was going to be sent would say that all is well. */
  #fail(): void {
    const res = this.#res;
    if (res.headersSent) cut(res);
    else this.#sendFailure();
    this.#state = "failed";
    for (const call of this.#held.splice(0)) this.#pretend(call.name, call.args, undefined);
    if (this.#mustDrain) res.emit("drain");
    this.#mustDrain = false;
  }

  #sendFailure(): void {
    const res = this.#res;
    for (const name of res.getHeaderNames()) res.removeHeader(name);
    res.statusCode = 500;
    res.statusMessage = "Internal Server Error";
    res.setHeader("Content-Type", "text/plain; charset=utf-8");
    res.setHeader("Content-Length", Buffer.byteLength(FAILED));
    this.#isEnding = true;
    this.#original.end.call(res, FAILED, "utf8");
  }

  /** As if it had been done, so that whoever writes on comes to an end. */
  #pretend(name: Method, args: readonly unknown[], answer: unknown): unknown {
    const callback = args.findLast((arg) => typeof arg === "function");
    if (callback !== undefined) process.nextTick(callback as () => void);
    return name === "write" ? true : answer;
  }

  #do(name: Method, args: readonly unknown[]): unknown {
    if (this.#hasWideCookie) return this.#doAsBytes(name, args);
    return this.#call(name, name === "writeHead" ? this.#withOurCookies(args) : args);
  }

  #doAsBytes(name: Method, args: readonly unknown[]): unknown {
    const call = asBytes(new Call(name, args));
    return this.#call(call.name, call.name === "writeHead" ? this.#withOurCookies(call.args) : call.args);
  }

  #call(name: Method, args: readonly unknown[]): unknown {
    return Reflect.apply(this.#original[name] as (...args: unknown[]) => unknown, this.#res, args);
  }

  /** Headers given to writeHead replace those set before of the same name, and of a list only the last of each: ours would be lost, or theirs. */
  #withOurCookies(args: readonly unknown[]): readonly unknown[] {
    const [status, reason, last] = args;
    const hasReason = typeof reason === "string";
    const headers = hasReason ? last : (last ?? reason);
    if (this.#sent.length === 0 || typeof headers !== "object" || headers === null) return args;
    const pairs = Array.isArray(headers) ? pairsOf(headers) : Object.entries(headers);
    if (pairs === undefined) return args;
    const isCookie = ([name]: readonly [string, unknown]): boolean => name.toLowerCase() === "set-cookie";
    const theirs = pairs.filter(isCookie).flatMap(([, value]) => value as string | string[]);
    if (theirs.length > 0) this.#res.setHeader("Set-Cookie", [...this.#sent, ...theirs]);
    const rest = Object.fromEntries(gathered(pairs.filter((pair) => !isCookie(pair))));
    return hasReason ? [status, reason, rest] : [status, rest];
  }
}

/** HTTP/2 tells a stream that was cut off from one that has ended only by its code. */
function cut(res: ServerResponse & { readonly stream?: { close(code: number): void } }): void {
  if (res.stream === undefined) res.destroy();
  else res.stream.close(INTERNAL_ERROR);
}

/** node:http sends headers as Latin-1, but as UTF-8 when they go out in one piece with a string: then a byte would become two. */
function asBytes(call: Call): Call {
  const { name, args } = call;
  if (name === "flushHeaders") return { name: "write", args: [Buffer.alloc(0)] };
  const [chunk, encoding, ...rest] = args;
  if (name === "writeHead" || typeof chunk !== "string") return call;
  if (typeof encoding !== "string") return { name, args: [Buffer.from(chunk), encoding, ...rest] };
  return { name, args: [Buffer.from(chunk, encoding as BufferEncoding), ...rest] };
}

/** Undefined for a list that is none: node:http says what is wrong with it. */
function pairsOf(list: readonly unknown[]): [string, unknown][] | undefined {
  if (Array.isArray(list[0])) return list as [string, unknown][];
  if (list.length % 2 !== 0) return undefined;
  return Array.from({ length: list.length / 2 }, (_, index) => [String(list[2 * index]), list[2 * index + 1]]);
}

/** Of a name that comes several times all values, at the place and as the first one is written. */
function gathered(pairs: readonly (readonly [string, unknown])[]): [string, unknown][] {
  const byName = new Map<string, [string, unknown]>();
  for (const [name, value] of pairs) {
    const known = byName.get(name.toLowerCase());
    if (known === undefined) byName.set(name.toLowerCase(), [name, value]);
    else known[1] = [known[1], value].flat();
  }
  return [...byName.values()];
}

const TRUE: PropertyDescriptor = { value: true, configurable: true };
const FALSE: PropertyDescriptor = { value: false, configurable: true };
/** What is shown. The last one added is the first one removed: in this order an object stays as fast as it was. */
const SHOWN = ["headersSent", "writableEnded", "setHeader", "setHeaders", "appendHeader", "removeHeader"] as const;

/** What a response shows while calls of it are kept, and what it was before. */
class Shadow {
  readonly #res: ServerResponse;
  readonly #before: readonly (PropertyDescriptor | undefined)[];
  readonly #statusCode: number;

  constructor(res: ServerResponse, isEnding: boolean) {
    this.#res = res;
    this.#statusCode = res.statusCode;
    this.#before = SHOWN.map((name) =>
      Object.hasOwn(res, name) ? Object.getOwnPropertyDescriptor(res, name) : undefined,
    );
    Object.defineProperty(res, "headersSent", TRUE);
    Object.defineProperty(res, "writableEnded", isEnding ? TRUE : FALSE);
    res.setHeader = refuseHeaders;
    res.setHeaders = refuseHeaders;
    res.appendHeader = refuseHeaders;
    res.removeHeader = refuseHeaders;
  }

  get headersSent(): boolean {
    return Reflect.get(Object.getPrototypeOf(this.#res), "headersSent", this.#res) === true;
  }

  /** The end of the response is among what is kept. */
  end(): void {
    Object.defineProperty(this.#res, "writableEnded", TRUE);
  }

  lift(): void {
    const res = this.#res;
    for (let index = SHOWN.length - 1; index >= 0; index--) {
      const name = SHOWN[index] as string;
      const before = this.#before[index];
      if (before === undefined) Reflect.deleteProperty(res, name);
      else Object.defineProperty(res, name, before);
    }
    if (!res.headersSent) res.statusCode = this.#statusCode;
  }
}

function refuseHeaders(): never {
  throw headersHaveLeft("set");
}

/** The error node:http throws then. */
function headersHaveLeft(verb: string): Error {
  const error = new Error(`Cannot ${verb} headers after they are sent to the client`);
  return Object.assign(error, { code: "ERR_HTTP_HEADERS_SENT" });
}

// The outlet of a response that is not node:http's own, as packages make them that inject requests for tests. It keeps the calls of the
// response and repeats them afterwards in their order. Meanwhile the response shows what can be shown from outside: `headersSent`,
// `writableEnded`, and no more headers.

import type { ServerResponse } from "node:http";
import { CONTENT_TYPE, type Guard, type Outlet } from "./outlet.ts";

type Method = "writeHead" | "write" | "end" | "flushHeaders";

class Call {
  readonly name: Method;
  readonly args: readonly unknown[];

  constructor(name: Method, args: readonly unknown[]) {
    this.name = name;
    this.args = args;
  }
}

export class CallOutlet implements Outlet {
  readonly #res: ServerResponse;
  readonly #guard: Guard;
  readonly #original: Pick<ServerResponse, Method>;
  #state: "before" | "passing" | "holding" | "swallowing" = "before";
  #held: Call[] = [];
  #cookies: string[] = [];
  #sent: readonly string[] = [];
  #shadow: Shadow | undefined;
  #mustDrain = false;
  isEnded = false;

  constructor(res: ServerResponse, guard: Guard) {
    this.#res = res;
    this.#guard = guard;
    this.#original = { writeHead: res.writeHead, write: res.write, end: res.end, flushHeaders: res.flushHeaders };
    res.writeHead = ((...args: unknown[]) => this.#pass("writeHead", args, res)) as typeof res.writeHead;
    res.write = ((...args: unknown[]) => this.#pass("write", args, false)) as typeof res.write;
    res.end = ((...args: unknown[]) => this.#pass("end", args, res)) as typeof res.end;
    res.flushHeaders = () => this.#pass("flushHeaders", [], undefined);
  }

  get haveHeadersLeft(): boolean {
    return this.#shadow === undefined ? this.#res.headersSent : this.#shadow.headersSent;
  }

  addCookie(line: string): void {
    this.#cookies.push(line);
  }

  hold(): void {
    this.#state = "holding";
    this.#shadow = new Shadow(this.#res);
  }

  release(): void {
    this.#lift();
    this.#state = "passing";
    for (const line of this.#cookies) appendCookie(this.#res, line);
    this.#sent = [...this.#sent, ...this.#cookies.splice(0)];
    for (let call = this.#held.shift(); call !== undefined; call = this.#held.shift()) {
      try {
        this.#do(call.name, call.args);
      } catch (error) {
        this.#guard.broke(error);
        return;
      }
    }
    const isDue = this.#mustDrain && !this.#res.writableEnded && !this.#res.writableNeedDrain;
    this.#mustDrain = false;
    if (isDue) this.#res.emit("drain");
  }

  replace(text: string): void {
    const res = this.#res;
    this.#lift();
    if (this.haveHeadersLeft) res.destroy();
    else this.#sendFailure(text);
    this.#state = "swallowing";
    for (const call of this.#held.splice(0)) pretend(call.name, call.args, undefined);
    if (this.#mustDrain) res.emit("drain");
    this.#mustDrain = false;
  }

  /** Does the call now, or keeps it and answers what a call that has to wait answers. */
  #pass(name: Method, args: unknown[], whenHeld: unknown): never {
    const isLast = name === "end" && !this.isEnded;
    if (this.#state === "holding" && name === "writeHead") throw headersHaveLeft("write");
    if (isLast) this.isEnded = true;
    if (this.#state === "before" || (this.#state === "passing" && isLast)) {
      if (this.#guard.mayLeave()) this.#state = "passing";
    }
    if (this.#state === "passing") return this.#do(name, args) as never;
    if (this.#state === "swallowing") return pretend(name, args, whenHeld) as never;
    if (isLast) this.#shadow?.end();
    if (name === "write") this.#mustDrain = true;
    this.#held.push(new Call(name, args));
    return whenHeld as never;
  }

  #lift(): void {
    this.#shadow?.lift();
    this.#shadow = undefined;
  }

  #sendFailure(text: string): void {
    const res = this.#res;
    for (const name of res.getHeaderNames?.() ?? []) res.removeHeader(name);
    res.statusCode = 500;
    res.statusMessage = "Internal Server Error";
    res.setHeader("Content-Type", CONTENT_TYPE);
    res.setHeader("Content-Length", Buffer.byteLength(text));
    for (const line of this.#cookies.splice(0)) appendCookie(res, line);
    this.isEnded = true;
    this.#original.end.call(res, text, "utf8");
  }

  #do(name: Method, args: readonly unknown[]): unknown {
    const all = name === "writeHead" ? this.#withOurCookies(args) : args;
    return Reflect.apply(this.#original[name] as (...args: unknown[]) => unknown, this.#res, all);
  }

  /**
   * writeHead replaces headers of the same name that were set before, and takes only the last of a name in a list: our cookies would be lost,
   * or the application's.
   */
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

/** Answers as if the call had been done, so that an application that writes on comes to its end. */
function pretend(name: Method, args: readonly unknown[], answer: unknown): unknown {
  const callback = args.findLast((arg) => typeof arg === "function");
  if (callback !== undefined) process.nextTick(callback as () => void);
  return name === "write" ? true : answer;
}

/** Imitations of a response may lack the newer methods. */
function appendCookie(res: ServerResponse, line: string): void {
  if (typeof res.appendHeader === "function") {
    res.appendHeader("Set-Cookie", line);
    return;
  }
  const before = [(res.getHeader?.("Set-Cookie") as string | string[] | undefined) ?? []].flat();
  res.setHeader("Set-Cookie", [...before, line]);
}

/** Undefined for a list of odd length: node:http itself refuses it. */
function pairsOf(list: readonly unknown[]): [string, unknown][] | undefined {
  if (Array.isArray(list[0])) return list as [string, unknown][];
  if (list.length % 2 !== 0) return undefined;
  return Array.from({ length: list.length / 2 }, (_, index) => [String(list[2 * index]), list[2 * index + 1]]);
}

/** All values of a name that comes several times, in the place and the spelling of the first. */
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
const SHOWN = ["headersSent", "writableEnded", "setHeader", "setHeaders", "appendHeader", "removeHeader"] as const;

/** What a response shows while its calls are kept, and how it was before. */
class Shadow {
  readonly #res: ServerResponse;
  readonly #before: readonly (PropertyDescriptor | undefined)[];
  readonly #statusCode: number;
  readonly headersSent: boolean;

  constructor(res: ServerResponse) {
    this.#res = res;
    this.#statusCode = res.statusCode;
    this.headersSent = res.headersSent;
    this.#before = SHOWN.map((name) => Object.getOwnPropertyDescriptor(res, name));
    Object.defineProperty(res, "headersSent", TRUE);
    Object.defineProperty(res, "writableEnded", FALSE);
    for (const name of SHOWN.slice(2)) Object.defineProperty(res, name, { value: refuseHeaders, configurable: true });
  }

  /** The call of `end` is kept, too. */
  end(): void {
    Object.defineProperty(this.#res, "writableEnded", TRUE);
  }

  lift(): void {
    const res = this.#res;
    for (const [index, name] of SHOWN.entries()) {
      const before = this.#before[index];
      if (before === undefined) Reflect.deleteProperty(res, name);
      else Object.defineProperty(res, name, before);
    }
    if (!this.headersSent) res.statusCode = this.#statusCode;
  }
}

function refuseHeaders(): never {
  throw headersHaveLeft("set");
}

/** The error of node:http for headers that come too late. */
function headersHaveLeft(verb: string): Error {
  const error = new Error(`Cannot ${verb} headers after they are sent to the client`);
  return Object.assign(error, { code: "ERR_HTTP_HEADERS_SENT" });
}

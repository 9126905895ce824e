// The outlet of an HTTP/2 response. It keeps everything in the response's stream: `respond` waits, and so do the stream's own `_write` and
// `_final`, as they would for a slow network. So node:http2 itself counts what is written, and says when to go on.
//
// Headers are tried on a stand-in for the stream before they are kept, so that node:http2 refuses at once what it would refuse.

import { hasSubscribers } from "node:diagnostics_channel";
import type { ServerResponse } from "node:http";
import type { OutgoingHttpHeaders, ServerHttp2Stream } from "node:http2";
import { CONTENT_TYPE, type Guard, type Outlet } from "./outlet.ts";

type Done = (error?: Error | null) => void;
type Write = "_write" | "_writev";
type Respond = "respond" | "respondWithFD" | "respondWithFile";
/** Newer versions take a list of names and values too. */
type Headers = OutgoingHttpHeaders | (string | number)[];
type Method = (...args: unknown[]) => unknown;
type Methods = Readonly<Record<Respond | Write | "_final" | "end", Method>>;
type Stream = ServerHttp2Stream & { readonly headRequest: boolean };
type Http2Response = ServerResponse & { readonly stream: Stream };

/** NGHTTP2_INTERNAL_ERROR: tells a stream that was cut off from one that has ended. */
const INTERNAL_ERROR = 2;
const RESPONDED = "http2.server.stream.finish";
const NONE: readonly string[] = [];

export function isHttp2(res: ServerResponse): res is Http2Response {
  if (!("stream" in res) || typeof res.stream !== "object" || res.stream === null) return false;
  return "respond" in res.stream && typeof res.stream.respond === "function" && "_final" in res.stream;
}

interface Kept {
  respond: readonly [name: Respond, args: readonly unknown[]] | undefined;
  write: readonly [name: Write, args: readonly unknown[]] | undefined;
  final: Done | undefined;
}

export class Http2Outlet implements Outlet {
  readonly #res: Http2Response;
  readonly #stream: Stream;
  readonly #guard: Guard;
  readonly #original: Methods;
  haveHeadersLeft = false;
  #state: "passing" | "ending" | "holding" | "swallowing" = "passing";
  #cookies: readonly string[] = NONE;
  #kept: Kept = nothingKept();

  constructor(res: Http2Response, guard: Guard) {
    const { stream } = res;
    this.#res = res;
    this.#stream = stream;
    this.#guard = guard;
    const { respond, respondWithFD, respondWithFile, _write, _writev, _final } = stream as unknown as Methods;
    this.#original = { respond, respondWithFD, respondWithFile, _write, _writev, _final, end: res.end as Method };
    Object.assign(stream, {
      respond: (...args: unknown[]) => this.#respond("respond", args),
      respondWithFD: (...args: unknown[]) => this.#respond("respondWithFD", args),
      respondWithFile: (...args: unknown[]) => this.#respond("respondWithFile", args),
      _write: (...args: unknown[]) => this.#write("_write", args),
      _writev: (...args: unknown[]) => this.#write("_writev", args),
      _final: (done: Done) => this.#final(done),
    });
    res.end = ((...args: unknown[]) => this.#endWith(args)) as typeof res.end;
  }

  get isEnded(): boolean {
    return this.#res.writableEnded;
  }

  addCookie(line: string): void {
    this.#cookies = [...this.#cookies, line];
  }

  hold(): void {
    this.#state = "holding";
  }

  release(): void {
    this.#state = "passing";
    const kept = this.#takeKept();
    try {
      if (kept.respond !== undefined && this.#isOpen) this.#respondNow(...kept.respond);
    } catch (error) {
      this.#kept = kept;
      this.#guard.broke(error);
      return;
    }
    if (kept.write !== undefined) this.#call(kept.write[0], kept.write[1]);
    if (kept.final !== undefined) this.#endStream(kept.final);
  }

  replace(text: string): void {
    this.#state = "swallowing";
    const { write, final } = this.#takeKept();
    if (this.haveHeadersLeft) this.#stream.close(INTERNAL_ERROR);
    else if (this.#isOpen) this.#sendFailure(text);
    this.haveHeadersLeft = true;
    if (write !== undefined) process.nextTick(write[1].at(-1) as Done);
    if (final !== undefined) this.#endStream(final);
  }

  /** The `_final` of a stream that is gone fails in newer versions. */
  #endStream(done: Done): void {
    if (this.#stream.destroyed) process.nextTick(done);
    else this.#call("_final", [done]);
  }

  get #isOpen(): boolean {
    return !this.#stream.destroyed && !this.#stream.closed;
  }

  #call(name: keyof Methods, args: readonly unknown[]): unknown {
    return Reflect.apply(this.#original[name], this.#stream, args);
  }

  #respond(name: Respond, args: readonly unknown[]): unknown {
    if (this.#state === "swallowing" || this.#stream.headersSent || !this.#isOpen) return this.#call(name, args);
    const mayLeave = this.#state === "ending" || (this.#state === "passing" && this.#guard.mayLeave());
    if (mayLeave) return this.#respondNow(name, args);
    const tried = name === "respond" ? tryOn(this.#stream, this.#original.respond, args) : undefined;
    this.#kept.respond = [name, args];
    const show = (property: string, value: unknown): void =>
      void Object.defineProperty(this.#stream, property, { value, configurable: true });
    show("headersSent", true);
    if (tried !== undefined) show("sentHeaders", tried.sentHeaders);
    if (tried?.hasEnded === true) this.#stream.end();
    return undefined;
  }

  #respondNow(name: Respond, args: readonly unknown[]): unknown {
    const at = name === "respond" ? 0 : 1;
    const all = [...args];
    if (this.#cookies.length > 0) all[at] = this.#withCookies(args[at] as Headers | undefined);
    const answer = this.#call(name, all);
    this.haveHeadersLeft = true;
    return answer;
  }

  /** Has the response show the cookies among its headers, too. Headers that were given to the stream itself the response does not know. */
  #withCookies(headers: Headers | undefined): Headers {
    const res = this.#res;
    const cookies = this.#cookies;
    this.#cookies = NONE;
    const before = [(res.getHeader("set-cookie") as string | string[] | undefined) ?? []].flat();
    res.setHeader("set-cookie", [...before, ...cookies]);
    if (Array.isArray(headers)) return [...headers, ...cookies.flatMap((line) => ["set-cookie", line])];
    const theirs = [headers?.["set-cookie"] ?? []].flat() as string[];
    if (cookies.every((line) => theirs.includes(line))) return headers ?? {};
    return { ...headers, "set-cookie": [...theirs, ...cookies] };
  }

  #write(name: Write, args: readonly unknown[]): void {
    if (this.#state === "swallowing") {
      process.nextTick(args.at(-1) as Done);
      return;
    }
    // For an application that only writes node:http2 would respond by itself.
    if (!this.#stream.headersSent && this.#isOpen) this.#respond("respond", []);
    if (this.#state === "holding") this.#kept.write = [name, args];
    else this.#call(name, args);
  }

  #final(done: Done): void {
    if (this.#state === "passing") this.#guard.mayLeave();
    if (this.#state === "holding") this.#kept.final = done;
    else this.#endStream(done);
  }

  #endWith(args: unknown[]): unknown {
    const isFirst = this.#state === "passing" && !this.#res.writableEnded;
    if (isFirst && this.#guard.mayLeave()) this.#state = "ending";
    try {
      return Reflect.apply(this.#original.end, this.#res, args);
    } finally {
      if (this.#state === "ending") this.#state = "passing";
    }
  }

  #takeKept(): Kept {
    const kept = this.#kept;
    this.#kept = nothingKept();
    Reflect.deleteProperty(this.#stream, "sentHeaders");
    Reflect.deleteProperty(this.#stream, "headersSent");
    return kept;
  }

  #sendFailure(text: string): void {
    const stream = this.#stream;
    this.#res.statusCode = 500;
    const headers = {
      ":status": 500,
      "content-type": CONTENT_TYPE,
      "content-length": Buffer.byteLength(text),
      ...(this.#cookies.length > 0 && { "set-cookie": this.#cookies }),
    };
    this.#call("respond", [headers]);
    if (!stream.headRequest) this.#call("_write", [text, "utf8", ignore]);
    this.#call("_final", [ignore]);
  }
}

function nothingKept(): Kept {
  return { respond: undefined, write: undefined, final: undefined };
}

function ignore(): void {}

interface Tried {
  readonly sentHeaders: OutgoingHttpHeaders | undefined;
  readonly hasEnded: boolean;
}

/**
 * Does what `respond` does up to where it would hand the headers to the connection.
 *
 * @throws what `respond` would throw.
 */
function tryOn(stream: ServerHttp2Stream, respond: Method, args: readonly unknown[]): Tried | undefined {
  const symbols = Object.getOwnPropertySymbols(stream);
  const [handle, state] = ["kHandle", "state"].map((name) => symbols.find(({ description }) => description === name));
  // A subscriber of that channel would be told of the trial.
  if (handle === undefined || state === undefined || hasSubscribers(RESPONDED)) return undefined;
  let hasEnded = false;
  const standIn = Object.create(Object.getPrototypeOf(stream), {
    [handle]: { value: { respond: () => 0 } },
    [state]: { value: { ...Reflect.get(stream, state) } },
    session: { value: stream.session },
    end: {
      value: () => {
        hasEnded = true;
      },
    },
  }) as ServerHttp2Stream;
  Reflect.apply(respond, standIn, args);
  return { sentHeaders: standIn.sentHeaders, hasEnded };
}

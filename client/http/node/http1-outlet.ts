// Where the bytes of an HTTP/1 response are kept: in its own `outputData`, where node:http itself keeps those of a response that waits
// for its turn on a pipelined connection. Everything above, headers, errors, lengths, state, is done by node:http when it is called.
//
// Of node:http's insides this relies on `_writeRaw` (every byte passes it), `outputData`, `_flush` and `_onPendingData`, which are the
// same from Node 20 to 26; test/client/http/node/gate-oracle.test.ts compares what they do with a response that is not held.

import { ServerResponse } from "node:http";
import { Writable } from "node:stream";
import { CONTENT_TYPE, type Guard, type Outlet } from "./outlet.ts";

type Data = string | Uint8Array;
type Callback = ((error?: Error | null) => void) | null | undefined;

interface Kept {
  data: Data;
  encoding: BufferEncoding | null | undefined;
  callback: Callback;
}

/** What node:http has and does not declare. */
interface Insides {
  _header: string | null;
  _headerSent: boolean;
  _hasBody: boolean;
  _contentLength: number | null;
  _removedContLen: boolean;
  outputData: Kept[];
  outputSize: number;
  _writeRaw(data: Data, encoding: unknown, callback: Callback, size?: number): boolean;
  _flush(): void;
  _onPendingData(bytes: number): void;
}

type Http1Response = ServerResponse & Insides;

export function isHttp1(res: ServerResponse): res is Http1Response {
  return typeof (res as Http1Response)._writeRaw === "function";
}

/** Its methods as they are, whatever was put over them. */
const NODE = ServerResponse.prototype as Http1Response;
/** Refuses what a socket would refuse to write. */
const SOCKET = new Writable({ decodeStrings: false, write: (_chunk, _encoding, done) => done() });
const NONE: readonly string[] = [];
const nothing = (): void => undefined;

export class Http1Outlet implements Outlet {
  readonly #res: Http1Response;
  readonly #guard: Guard;
  readonly #writeRaw: Http1Response["_writeRaw"];
  readonly #end: Http1Response["end"];
  haveHeadersLeft = false;
  #state: "passing" | "ending" | "holding" | "swallowing" = "passing";
  #cookies: readonly string[] = NONE;
  /** How much of what is kept the server knows of, and how it is told. */
  #told = 0;
  #tell: Insides["_onPendingData"] = nothing;

  constructor(res: Http1Response, guard: Guard) {
    this.#res = res;
    this.#guard = guard;
    this.#writeRaw = res._writeRaw;
    this.#end = res.end;
    res._writeRaw = (data, encoding, callback, size) => this.#leave(data, encoding, callback, size);
    res.end = ((...args: unknown[]) => this.#endWith(args)) as typeof res.end;
  }

  get isEnded(): boolean {
    return this.#res.finished;
  }

  addCookie(line: string): void {
    this.#cookies = [...this.#cookies, line];
  }

  hold(): void {
    const res = this.#res;
    this.#state = "holding";
    this.#told = res.outputSize;
    this.#tell = res._onPendingData;
    // Told of each piece, the server would see room in the socket and ask for more.
    res._onPendingData = nothing;
    // Its turn on a pipelined connection comes while it is held.
    if (res.socket === null) res._flush = nothing;
  }

  release(): void {
    this.#state = "passing";
    this.haveHeadersLeft ||= this.#res._headerSent;
    if (this.#cookies.length > 0 && this.#res._headerSent) this.#putCookies();
    this.#flush();
  }

  replace(text: string): void {
    const res = this.#res;
    this.#state = "swallowing";
    if (this.haveHeadersLeft) res.destroy();
    else if (res.socket?.destroyed !== true) {
      this.haveHeadersLeft = true;
      const data = this.#makeFailure(text);
      const kept = res.outputData.map(({ callback }) => ({ data: "", encoding: null, callback }));
      res.outputData = [{ data, encoding: "latin1", callback: null }, ...kept];
      res.outputSize = data.length;
    }
    this.#flush();
  }

  #leave(data: Data, encoding: unknown, callback: Callback, size?: number): boolean {
    const res = this.#res;
    if (this.#state === "swallowing") return swallow(callback);
    if (this.#state !== "holding") {
      // What goes ahead of the headers, as 100 Continue, waits for nothing.
      const isHead = !this.haveHeadersLeft && res._headerSent;
      if (!isHead) return this.#writeRaw.call(res, data, encoding, callback, size);
      if (this.#state === "ending" || this.#guard.mayLeave()) return this.#leaveFirst(data, encoding, callback, size);
    }
    return this.#keep(data, encoding, callback);
  }

  /** A cookie may wait for headers that were not there yet when it was made. */
  #leaveFirst(data: Data, encoding: unknown, callback: Callback, size?: number): boolean {
    this.haveHeadersLeft = true;
    if (this.#cookies.length === 0) return this.#writeRaw.call(this.#res, data, encoding, callback, size);
    this.hold();
    const hasRoom = this.#keep(data, encoding, callback);
    this.release();
    return hasRoom;
  }

  /** As `_writeRaw` does it for a response whose turn has not come. */
  #keep(data: Data, encoding: unknown, callback: Callback): boolean {
    const res = this.#res;
    if (res.socket?.destroyed === true) return false;
    if (typeof encoding === "function") return this.#keep(data, null, encoding as Callback);
    if (typeof encoding === "string" && encoding !== "") SOCKET.write("", encoding as BufferEncoding);
    res.outputData.push({ data, encoding: encoding as BufferEncoding, callback });
    res.outputSize += data.length;
    return res.writableLength < res.writableHighWaterMark;
  }

  #endWith(args: unknown[]): unknown {
    const res = this.#res;
    if (res.finished || this.#state !== "passing") return Reflect.apply(this.#end, res, args);
    if (this.#guard.mayLeave()) {
      this.#state = "ending";
      try {
        return Reflect.apply(this.#end, res, args);
      } finally {
        this.#state = "passing";
      }
    }
    return this.haveHeadersLeft ? this.#endHeld(args) : Reflect.apply(this.#end, res, args);
  }

  /** Where all has left but the end, node:http takes a response for finished unless something of it waits. */
  #endHeld(args: unknown[]): unknown {
    const res = this.#res;
    res.outputData.push({ data: "", encoding: "latin1", callback: null });
    res.outputSize += 1;
    try {
      return Reflect.apply(this.#end, res, args);
    } finally {
      res.outputSize -= 1;
    }
  }

  #flush(): void {
    const res = this.#res;
    const told = this.#told;
    if (res._flush === nothing) res._flush = NODE._flush;
    if (res.socket === null) {
      res._onPendingData = this.#tell;
      this.#tell(res.outputSize - told);
    } else {
      if (res.socket.destroyed) this.#drop();
      else res._flush();
      res._onPendingData = this.#tell;
      if (told > 0) this.#tell(-told);
    }
    this.#told = 0;
  }

  /** The connection is gone, and whoever wrote is told. */
  #drop(): void {
    const res = this.#res;
    const kept = res.outputData.splice(0);
    res.outputSize = 0;
    const gone = Object.assign(new Error("Cannot call write after a stream was destroyed"), {
      code: "ERR_STREAM_DESTROYED",
    });
    for (const { callback } of kept) {
      // node:http's own would say that the response is finished.
      if (typeof callback === "function" && callback.name !== "bound onFinish") process.nextTick(callback, gone);
    }
  }

  /** The headers are there as text, at the beginning of what is kept. */
  #putCookies(): void {
    const res = this.#res;
    const header = res._header ?? "";
    const at = res.outputData.findIndex(({ data }) => typeof data === "string" && data.startsWith(header));
    const kept = res.outputData[at];
    const lines = this.#cookies.map((line) => `Set-Cookie: ${line}\r\n`).join("");
    const cookies = this.#cookies;
    this.#cookies = NONE;
    if (kept === undefined || !header.endsWith("\r\n\r\n")) return;
    const head = header.slice(0, -2);
    const rest = String(kept.data).slice(head.length);
    res.outputSize -= kept.data.length;
    if (/^[\r\n\x20-\x7e]*$/.test(lines)) kept.data = head + lines + rest;
    else {
      // In one piece with a string they would go out as UTF-8, and a byte would become two.
      const encoding = kept.encoding ?? "utf8";
      kept.data = Buffer.concat([
        Buffer.from(head, encoding),
        Buffer.from(lines, "latin1"),
        Buffer.from(rest, encoding),
      ]);
      kept.encoding = null;
    }
    res.outputSize += kept.data.length;
    this.#show(cookies, head + lines + rest.slice(0, 2));
  }

  /** Whoever looks afterwards what was sent, a log say, finds the cookie. */
  #show(cookies: readonly string[], header: string): void {
    const res = this.#res;
    res._header = null;
    const before = [(res.getHeader("Set-Cookie") as string | string[] | undefined) ?? []].flat();
    NODE.setHeader.call(res, "Set-Cookie", [...before, ...cookies]);
    res._header = header;
  }

  /** node:http makes the headers, as if no others had been made. One that streams on is told by the client, who closes. */
  #makeFailure(text: string): string {
    const res = this.#res;
    const body = res.req.method === "HEAD" ? "" : text;
    res._header = null;
    for (const name of res.getHeaderNames()) NODE.removeHeader.call(res, name);
    Object.assign(res, {
      _removedContLen: false,
      _removedTE: false,
      _removedConnection: false,
      chunkedEncoding: false,
    });
    res.strictContentLength = false;
    res._hasBody = res.req.method !== "HEAD";
    if (!res.finished) res.shouldKeepAlive = false;
    res.statusMessage = "Internal Server Error";
    NODE.writeHead.call(res, 500, { "Content-Type": CONTENT_TYPE, "Content-Length": Buffer.byteLength(text) });
    res._headerSent = true;
    return `${res._header}${body}`;
  }
}

/** As if it had been done, so that whoever writes on comes to an end. */
function swallow(callback: Callback): boolean {
  if (typeof callback === "function") process.nextTick(callback);
  return true;
}

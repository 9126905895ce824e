// The outlet of an HTTP/1 response. It keeps bytes in the response's own `outputData`, where node:http itself keeps those of a response that
// waits for its turn on a pipelined connection. node:http does everything above as ever when it is called: headers, errors, lengths, state.
//
// Of node:http's insides this relies on `_writeRaw` (every byte passes it), `outputData`, `_flush` and `_onPendingData`, which are the
// same from Node 20 to 26; test/client/http/node/gate-oracle.test.ts compares what they do with a response that is not held.

import { ServerResponse } from "node:http";
import { Writable } from "node:stream";
import { type Held, keepConnection, releaseConnection } from "./idle-connections.ts";
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

/** The methods of node:http itself, whatever others have put over them. */
const NODE = ServerResponse.prototype as Http1Response;
/** Throws what a socket would throw for an encoding. */
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
  /** How many of the kept bytes the server has counted, and how it is told of more. */
  #told = 0;
  #tell: Insides["_onPendingData"] = nothing;
  #held: Held | undefined;

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
    this.#held = keepConnection(res);
    this.#told = res.outputSize;
    this.#tell = res._onPendingData;
    // A server that is told of each piece would see room in the socket and ask for more.
    res._onPendingData = nothing;
    // Its turn on a pipelined connection may come while it is held, and must not let it go.
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
      // Lines ahead of the headers, as 100 Continue, wait for nothing.
      const isHead = !this.haveHeadersLeft && res._headerSent;
      if (!isHead) return this.#writeRaw.call(res, data, encoding, callback, size);
      if (this.#state === "ending" || this.#guard.mayLeave()) return this.#leaveFirst(data, encoding, callback, size);
    }
    return this.#keep(data, encoding, callback);
  }

  /** A cookie may have been added before the headers were made. */
  #leaveFirst(data: Data, encoding: unknown, callback: Callback, size?: number): boolean {
    this.haveHeadersLeft = true;
    if (this.#cookies.length === 0) return this.#writeRaw.call(this.#res, data, encoding, callback, size);
    this.hold();
    const hasRoom = this.#keep(data, encoding, callback);
    this.release();
    return hasRoom;
  }

  /** Does what `_writeRaw` does for a response whose turn has not come. */
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

  /** When everything but the end has left, node:http takes the response for finished unless a piece of it waits: an empty one does. */
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
    if (this.#held !== undefined) releaseConnection(this.#held);
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

  /** The connection is gone: the callbacks of all kept writes are told. */
  #drop(): void {
    const res = this.#res;
    const kept = res.outputData.splice(0);
    res.outputSize = 0;
    const gone = Object.assign(new Error("Cannot call write after a stream was destroyed"), {
      code: "ERR_STREAM_DESTROYED",
    });
    for (const { callback } of kept) {
      // node:http's own callback would say that the response is finished.
      if (typeof callback === "function" && callback.name !== "bound onFinish") process.nextTick(callback, gone);
    }
  }

  /** Puts the cookies into the headers, which are text at the beginning of the kept bytes. */
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
      // Joined to a string the cookies would go out as UTF-8, and a byte of theirs would become two.
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

  /** Has the response show the cookies among its headers, for a log that looks afterwards. */
  #show(cookies: readonly string[], header: string): void {
    const res = this.#res;
    res._header = null;
    const before = [(res.getHeader("Set-Cookie") as string | string[] | undefined) ?? []].flat();
    NODE.setHeader.call(res, "Set-Cookie", [...before, ...cookies]);
    res._header = header;
  }

  /** Has node:http make headers as if there had been none. They close the connection, which ends an application that still streams. */
  #makeFailure(text: string): string {
    const res = this.#res;
    const body = res.req.method === "HEAD" ? "" : text;
    res._header = null;
    for (const name of res.getHeaderNames()) NODE.removeHeader.call(res, name);
    if (this.#cookies.length > 0) NODE.setHeader.call(res, "Set-Cookie", this.#cookies);
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

/** Answers as if it had been written, so that an application that writes on comes to its end. */
function swallow(callback: Callback): boolean {
  if (typeof callback === "function") process.nextTick(callback);
  return true;
}

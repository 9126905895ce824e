// session(): the middleware for node:http, node:http2 and everything built on them. An exchange decides; this carries it: cookies from the
// request's headers, a gate before the response, `onError`, and an end for requests that have no response.

import type { EventEmitter } from "node:events";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Http2ServerRequest, Http2ServerResponse } from "node:http2";
import { checkPrefix } from "../../../protocol/session-id.ts";
import { bindEvents, type Carrier, carrierOf, currentContext } from "../../context.ts";
import { SESSION_CHECKS, type SessionOptions } from "../../options.ts";
import { asError, Exchange, type Incoming, type Outgoing, Site, Visit, warn } from "../exchange.ts";
import { rehearse } from "./rehearsal.ts";
import { type GateEvents, isClosed, isResponse, ResponseGate } from "./response-gate.ts";

/** As a method it may want a certain class of errors, as that of Fastify does. */
export type Next = { next(error?: unknown): unknown }["next"];
/** What stands in place of the response of an upgrade, which has none: `{}`. */
type NoResponse = Readonly<Record<string, never>>;
export type Middleware<Request = IncomingMessage | Http2ServerRequest> = (
  req: Request,
  res: ServerResponse | Http2ServerResponse | NoResponse,
  next: Next,
) => void;

const THE_CALL = "the call of next";

/**
 * Binds the static `Session` to each request. Reads the cookie, loads the session (from memory if this worker's copy is current), and
 * commits what was changed before the response headers leave. A request that comes without a response, as with `upgrade`, may have anything
 * in its place: what `next` changed is committed when it has returned.
 *
 * @throws SessionError ERR_BAD_OPTION, ERR_SOCKET_PATH for options that cannot work.
 */
export function session<Request = IncomingMessage>(
  options?: SessionOptions<Request>,
): Middleware<IncomingMessage extends Request ? Request | Http2ServerRequest : Request>;
export function session(options: SessionOptions = {}): (req: IncomingMessage, res: ServerResponse, next: Next) => void {
  const site = Site.open(options, SESSION_CHECKS);
  site.warmUp();
  rehearse(serveFor);
  return serveFor(site);
}

function serveFor(site: Site<SessionOptions>): (req: IncomingMessage, res: ServerResponse, next: Next) => void {
  return (req, res, next) => {
    if (typeof next !== "function") throw new TypeError("session() was called without next, a function to go on with.");
    // Mounted once more: the request has its session already, and its context, unless that was lost on the way.
    const known = knownExchange(site, req, res);
    if (known !== undefined) {
      if (currentContext() === known) next();
      else known.run(next);
      return;
    }
    let address: string | undefined;
    let found: Visit | Promise<Visit>;
    try {
      // A connection that has ended tells its address no more.
      address = req.socket?.remoteAddress;
      found = site.find(cookieOf(req));
    } catch (error) {
      next(error);
      return;
    }
    if (found instanceof Visit) new NodeCarrier(site, found, req, res, address).begin(next);
    else void found.then((visit) => beginLater(new NodeCarrier(site, visit, req, res, address), next));
  };
}

/** The exchange that this middleware has made of the request and its response before. */
function knownExchange(site: Site, req: IncomingMessage, res: ServerResponse): Exchange | undefined {
  const current = currentContext();
  if (current !== undefined && "incoming" in current && isNodeCarrier(current.incoming)) {
    if (current.incoming.carries(site, req, res)) return current.incoming.exchange;
  }
  const bound = typeof req === "object" && req !== null ? carrierOf(req) : undefined;
  return isNodeCarrier(bound) ? bound.within(site, res) : undefined;
}

/** Nobody waits above `next` any more. What it throws must be caught here, since it depends on a cookie whether `next` is called later. */
function beginLater(carrier: NodeCarrier, next: Next): void {
  try {
    carrier.begin(next);
  } catch (error) {
    carrier.handlerFailed(error);
  }
}

/** A stand-in for a request may have no headers. */
function cookieOf(req: IncomingMessage): string | undefined {
  const header: unknown = req.headers?.cookie;
  return typeof header === "string" ? header : undefined;
}

/** Carriers of all copies of the package: each of them meets those that others have bound to a request. */
const NODE_CARRIER: unique symbol = Symbol.for("gambas-session.node-carrier");

function isNodeCarrier(value: unknown): value is NodeCarrier {
  return typeof value === "object" && value !== null && NODE_CARRIER in value;
}

/** A request and its response of node:http. The exchange asks it about both, and the gate asks the exchange through it. */
class NodeCarrier implements Carrier, Incoming, Outgoing, GateEvents {
  readonly exchange: Exchange;
  readonly address: string | undefined;
  readonly #options: SessionOptions;
  readonly #req: IncomingMessage;
  /** A stand-in for a response has no gate. */
  readonly #res: ServerResponse;
  #gate: ResponseGate | undefined;
  /** The carrier of a middleware outside of this one, with a session of its own. */
  #outside: NodeCarrier | undefined;
  /** All of the response was sent. */
  #wasSent = false;

  constructor(
    site: Site<SessionOptions>,
    visit: Visit,
    req: IncomingMessage,
    res: ServerResponse,
    address: string | undefined,
  ) {
    this.#options = site.options;
    this.#req = req;
    this.#res = res;
    this.address = address;
    this.exchange = new Exchange(site, visit, this, this);
  }

  carries(site: Site, req: IncomingMessage, res: ServerResponse): boolean {
    if (this.exchange.site !== site) return false;
    return this.#gate === undefined ? this.#req === req : this.#res === res;
  }

  /** The exchange of this site here or further outside. Without a response there is none: each call is saved by itself. */
  within(site: Site, res: ServerResponse): Exchange | undefined {
    if (this.#gate !== undefined && this.exchange.site === site && this.#res === res) return this.exchange;
    return this.#outside?.within(site, res);
  }

  begin(next: Next): void {
    try {
      if (isResponse(this.#res)) this.#gate = this.#enter(this.#res);
      this.#bind(this.#req);
      if (this.#gate !== undefined) this.#bind(this.#res);
    } catch (error) {
      next(error);
      return;
    }
    // No end of the response will be heard of: nothing is there that could end, or it has ended already.
    const isOver = this.#gate === undefined || isClosed(this.#res);
    const answer: unknown = this.exchange.run(next);
    if (isThenable(answer))
      answer.then(
        () => isOver && this.#returned(),
        (error: unknown) => this.handlerFailed(error),
      );
    else if (isOver) this.#returned();
  }

  /** Several middlewares, each with a session of its own, share the gate of the outermost. */
  #enter(res: ServerResponse): ResponseGate {
    const bound = carrierOf(res);
    if (!isNodeCarrier(bound)) return new ResponseGate(res, this);
    this.#outside = bound;
    return bound.gate?.join(this) ?? new ResponseGate(res, this);
  }

  get [NODE_CARRIER](): true {
    return true;
  }

  /** For a carrier further inside. */
  get gate(): ResponseGate | undefined {
    return this.#gate;
  }

  #bind(emitter: IncomingMessage | ServerResponse): void {
    if (typeof emitter.emit === "function" && Object.isExtensible(emitter)) bindEvents(emitter, this);
  }

  /** Where no response ends, the changes are committed when `next` has returned. */
  #returned(): void {
    void this.exchange.saveAndEnd(this.#gate === undefined ? THE_CALL : undefined);
  }

  /** Where nobody above `next` can catch what it throws: that must neither end the process nor leave the request without an answer. */
  handlerFailed(error: unknown): void {
    if (this.#options.onError !== undefined) this.exchange.report(error);
    else warnOfHandler(error);
    const res = this.#res;
    try {
      if (this.#gate === undefined || res.writableEnded) return;
      if (res.headersSent) res.destroy();
      else {
        for (const name of res.getHeaderNames()) res.removeHeader(name);
        res.statusCode = 500;
        res.end("Internal Server Error\n");
      }
    } catch (failure) {
      warn(failure);
    }
  }

  // -- what the request says; a stand-in for one may lack headers and socket

  get prefix(): string | undefined {
    const { prefix } = this.#options;
    return typeof prefix === "function" ? checkPrefix(prefix(this.#req)) : prefix;
  }

  get isEncrypted(): boolean {
    const { socket } = this.#req;
    return Boolean(socket) && "encrypted" in socket && socket.encrypted === true;
  }

  get forwardedFor(): string | undefined {
    return joined(this.#req.headers?.["x-forwarded-for"]);
  }

  get forwardedProto(): string | undefined {
    return joined(this.#req.headers?.["x-forwarded-proto"]);
  }

  get name(): string {
    const req: { readonly method?: unknown; readonly url?: unknown; readonly originalUrl?: unknown } = this.#req;
    const [path] = textOf(req.originalUrl ?? req.url).split("?", 1);
    return `${textOf(req.method) || "a request"} ${path}`;
  }

  get tell(): ((error: Error) => unknown) | undefined {
    const { onError } = this.#options;
    return onError && ((error) => onError(error, this.#req, this.#res));
  }

  // -- how far the response is

  get headers(): Outgoing["headers"] {
    if (this.#gate === undefined) return "none";
    if (this.#gate.haveHeadersLeft) return "left";
    return this.#res.headersSent ? "written" : "open";
  }

  /** True until everything is saved: the end of the response may be under way. An upgrade has no response, even if something stands in for one. */
  get isAnswering(): boolean {
    if (this.#gate === undefined) return false;
    if (this.exchange.handle.isBusy) return true;
    const { writableEnded, destroyed, socket } = this.#res;
    if (writableEnded !== false || destroyed || socket === undefined) return false;
    return !("upgrade" in this.#req && this.#req.upgrade === true);
  }

  /** The response has ended, or was cut off. */
  noteEvent(name: "finish" | "close", emitter: EventEmitter): void {
    if (emitter !== this.#res) return;
    this.#outside?.noteEvent(name, emitter);
    if (name === "finish") this.#wasSent = true;
    else if (this.#wasSent) this.exchange.end();
    else void this.exchange.saveAndEnd();
  }

  // -- what the gate asks

  isReady(): boolean {
    return this.exchange.isReady();
  }

  prepare(): Promise<boolean> {
    return this.exchange.finish().then(({ cookies, failed }) => {
      for (const line of cookies) this.#gate?.addCookie(line);
      return failed === undefined;
    });
  }

  onBroken(error: unknown): void {
    this.exchange.report(error);
  }
}

function joined(header: string | string[] | undefined): string | undefined {
  return Array.isArray(header) ? header.join(",") : header;
}

/** With the stack: the application itself is at fault. */
function warnOfHandler(error: unknown): void {
  try {
    const { name, message, stack: detail } = asError(error);
    const text = `A request handler failed: ${message}`;
    process.emitWarning(text, { type: String(name), ...(error instanceof Error && detail ? { detail } : {}) });
  } catch {
    process.emitWarning("A request handler failed with an error that cannot be shown.");
  }
}

/** A stand-in for a request may have anything there. */
function textOf(value: unknown): string {
  return typeof value === "string" ? value : "";
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === "object" && value !== null && "then" in value && typeof value.then === "function";
}

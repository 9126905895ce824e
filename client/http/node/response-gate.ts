// Holds a response back until its session is committed. Knows nothing of sessions, and nothing of how a response is held.
//
//   passing  asked when headers or the end are about to leave    --not ready-->        holding
//   holding  `prepare` is under way, what would leave is kept    --prepared-->         passing
//            once more, when it has ended and is not ready again --prepared-->         holding
//   failed   a 500 has left instead; the rest is swallowed       <--prepare said no--  holding
//
// Meanwhile the response tells its state as if nothing held it back: Node's own code tells it, and only the bytes wait.

import { ServerResponse } from "node:http";
import { Socket } from "node:net";
import { Duplex } from "node:stream";
import { CallOutlet } from "./call-outlet.ts";
import { Http1Outlet, isHttp1 } from "./http1-outlet.ts";
import { Http2Outlet, isHttp2 } from "./http2-outlet.ts";
import type { Guard, Outlet } from "./outlet.ts";

export interface GateEvents {
  /** Asked before headers or the end leave. True: they may. */
  readonly isReady: () => boolean;
  /** Does everything that must be done first. Resolves to false when the response must not be sent as it is. Never rejects. */
  readonly prepare: () => Promise<boolean>;
  /** Kept bytes could not be sent, and nobody is left to catch the error. */
  readonly onBroken: (error: unknown) => void;
}

const UNSAVED = "The session could not be saved.\n";
const UNSENT = "The response could not be sent.\n";

export class ResponseGate implements Guard {
  /** Those of the middleware that the response goes through, or of all of them. */
  #events: GateEvents;
  readonly #outlet: Outlet;
  #state: "passing" | "holding" | "failed" = "passing";

  /** @throws TypeError for a response that cannot be held, because it is frozen. */
  constructor(res: ServerResponse, events: GateEvents) {
    this.#events = events;
    this.#outlet = outletOf(res, this);
  }

  /** The response waits for one more middleware. A gate in front of a gate would let go of bytes that the other one holds. */
  join(events: GateEvents): this {
    this.#events = bothOf(this.#events, events);
    return this;
  }

  /** Adds a cookie to headers that have not left. Called by `prepare`. */
  addCookie(line: string): void {
    this.#outlet.addCookie(line);
  }

  /** Whether the headers have really left: while they are held the response itself says that they have. */
  get haveHeadersLeft(): boolean {
    return this.#outlet.haveHeadersLeft;
  }

  mayLeave(): boolean {
    if (this.#state === "failed" || this.#events.isReady()) return true;
    this.#state = "holding";
    this.#outlet.hold();
    this.#prepare();
    return false;
  }

  broke(error: unknown): void {
    this.#events.onBroken(error);
    this.#fail(UNSENT);
  }

  /** The response goes on in a tick of its own: an error of its listeners is no rejection of this promise. */
  #prepare(): void {
    void this.#events.prepare().then((isFine) => process.nextTick(() => this.#settle(isFine)));
  }

  #settle(isFine: boolean): void {
    if (!isFine) {
      this.#fail(UNSAVED);
      return;
    }
    // Changes made while the response was held belong to it, too.
    if (this.#outlet.isEnded && !this.#events.isReady()) {
      this.#prepare();
      return;
    }
    this.#state = "passing";
    this.#outlet.release();
  }

  #fail(text: string): void {
    this.#state = "failed";
    this.#outlet.replace(text);
  }
}

/** The events of two middlewares. The inner one is told of an error: the handler has its session. */
function bothOf(outer: GateEvents, inner: GateEvents): GateEvents {
  return {
    isReady: () => outer.isReady() && inner.isReady(),
    prepare: async () => {
      const areFine = await Promise.all([outer.prepare(), inner.prepare()]);
      return !areFine.includes(false);
    },
    onBroken: inner.onBroken,
  };
}

/** Whether headers and a body can be written to it. */
export function isResponse(res: unknown): res is ServerResponse {
  if (res instanceof ServerResponse) return true;
  if (typeof res !== "object" || res === null) return false;
  return ["setHeader", "writeHead", "write", "end"].every((name) => typeof Reflect.get(res, name) === "function");
}

/** Its visitor has gone, and it has told that already. One of node:http2 says so by having no socket any more. */
export function isClosed(res: ServerResponse): boolean {
  return isHttp2(res) ? res.socket === undefined : res.closed === true;
}

/**
 * A response with a real connection keeps its bytes. Packages that inject requests for tests make connections or responses of their own, which
 * take a response for finished as soon as it says so, or end it in their own way: of these the calls are kept.
 */
function outletOf(res: ServerResponse, guard: Guard): Outlet {
  const socket = res.socket ?? res.req?.socket;
  const isNodes = Object.getPrototypeOf(res)?.end === ServerResponse.prototype.end;
  if (isHttp1(res) && (isNodes ? socket instanceof Duplex : socket instanceof Socket))
    return new Http1Outlet(res, guard);
  return isHttp2(res) ? new Http2Outlet(res, guard) : new CallOutlet(res, guard);
}

// A server that is closed while responses wait for their sessions. node:http takes a connection for idle as soon as its response was ended, and
// `close`, by which applications leave when they are asked to, cuts idle connections: what was saved would never be answered.
import { once } from "node:events";
import { createServer as createPlain, type Server, type ServerResponse } from "node:http";
import { connect as connect2, createServer as createServer2 } from "node:http2";
import { createServer as createTls } from "node:https";
import { type AddressInfo, connect, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { afterEach, describe, expect, it } from "vitest";
import { ResponseGate } from "../../../../client/http/node/response-gate.ts";

/** One that needs no certificate. */
const KEY = { ciphers: "PSK", maxVersion: "TLSv1.2" } as const;
const secret = { psk: Buffer.from("between us"), identity: "a visitor" };

type Answer = (res: ServerResponse) => void;
type Open = readonly [name: string, make: (answer: Answer) => Server, enter: (port: number) => Socket];

const HTTP: Open = [
  "node:http",
  (answer) => createPlain((_req, res) => answer(res)),
  (port) => connect(port, "127.0.0.1"),
];
const HTTPS: Open = [
  "node:https",
  (answer) => createTls({ ...KEY, pskCallback: () => secret.psk }, (_req, res) => answer(res)),
  (port) =>
    connectTls({ ...KEY, host: "127.0.0.1", port, pskCallback: () => secret, checkServerIdentity: () => undefined }),
];

setFlagsFromString("--expose-gc");
const collectGarbage = runInNewContext("gc") as () => void;
/** Whoever is free is gone after a few: Node lets go of a connection some turns after it was closed. */
const COLLECTIONS = 100;

const SAVED = /^HTTP\/1\.1 200 OK\r\n.*saved$/s;

/** A server whose responses are held until `settle` is called, in their order. */
class Holding {
  readonly responses: ServerResponse[] = [];
  readonly #settles: ((isFine: boolean) => void)[] = [];
  readonly #enter: (port: number) => Socket;
  readonly server: Server;

  constructor([, make, enter]: Open, answer: Answer = (res) => res.end("saved")) {
    this.#enter = enter;
    this.server = make((res) => {
      let isReady = false;
      const settled = new Promise<boolean>((resolve) => this.#settles.push(resolve));
      const prepare = (): Promise<boolean> => settled.finally(() => (isReady = true));
      new ResponseGate(res, { isReady: () => isReady, prepare, onBroken: () => undefined });
      answer(res);
      this.responses.push(res);
    });
    this.server.listen(0, "127.0.0.1");
  }

  /** A visitor who has sent so many requests over one connection, of which the first have met the application. */
  async visit(requests = 1, headers = ""): Promise<Visitor> {
    if (!this.server.listening) await once(this.server, "listening");
    const before = this.responses.length;
    const visitor = new Visitor(this.#enter((this.server.address() as AddressInfo).port));
    visitor.socket.write(`GET / HTTP/1.1\r\nHost: x\r\n${headers}\r\n`.repeat(requests));
    while (this.responses.length < before + requests) await once(this.server, "request");
    // The request must be over for node:http, too.
    await new Promise(setImmediate);
    return visitor;
  }

  /** What is still known of them afterwards keeps none in memory. */
  forgetResponses(): readonly WeakRef<ServerResponse>[] {
    return this.responses.splice(0).map((res) => new WeakRef(res));
  }

  settle(isFine = true): void {
    this.#settles.shift()?.(isFine);
  }
}

/** What one connection is sent until the server closes it. */
class Visitor {
  readonly socket: Socket;
  readonly received: Promise<string>;

  constructor(socket: Socket) {
    this.socket = socket;
    this.received = this.#receive();
  }

  async #receive(): Promise<string> {
    let text = "";
    for await (const chunk of this.socket.setEncoding("latin1")) text += chunk;
    return text;
  }
}

let held: Holding | undefined;

afterEach(() => {
  held?.server.close();
  held?.server.closeAllConnections();
  held = undefined;
});

describe.each([HTTP, HTTPS])("%s", (...open) => {
  it.each(["", "Connection: close\r\n"])("answers what is held when the server is closed (%j)", async (line) => {
    held = new Holding(open);
    const visitor = await held.visit(1, line);
    const closed = once(held.server, "close");
    held.server.close();
    held.settle();
    expect(await visitor.received).toMatch(SAVED);
    await closed;
  });

  it("tells of a session that could not be saved meanwhile", async () => {
    held = new Holding(open);
    const visitor = await held.visit();
    held.server.close();
    held.settle(false);
    expect(await visitor.received).toMatch(/^HTTP\/1\.1 500 .*The session could not be saved\.\n$/s);
  });

  it("closes idle connections as ever, and one that was held when its response has left", async () => {
    held = new Holding(open);
    const [idle, waiting] = [await held.visit(), await held.visit()];
    const [response] = held.responses;
    held.settle();
    await once(response as ServerResponse, "close");
    held.server.closeIdleConnections();
    expect(await idle.received).toMatch(SAVED);
    expect(waiting.socket.readableEnded).toBe(false);
    held.settle();
    expect(await waiting.received).toMatch(SAVED);
  });

  it("answers all that has come over one connection", async () => {
    held = new Holding(open);
    const visitor = await held.visit(2);
    held.server.close();
    held.settle();
    held.settle();
    expect((await visitor.received).match(/saved/g)).toHaveLength(1 + 1);
  });

  it("keeps no response in memory that has left, or whose visitor has", async () => {
    held = new Holding(open);
    const [answered, gone] = [await held.visit(), await held.visit()];
    gone.received.catch(() => undefined);
    const forgotten = held.forgetResponses();
    held.settle();
    answered.socket.end();
    gone.socket.destroy();
    held.settle();
    const isThere = (one: WeakRef<ServerResponse>): boolean => one.deref() !== undefined;
    for (let n = 0; n < COLLECTIONS && forgotten.some(isThere); n++) {
      // In a turn of its own: whatever was looked at stays until the turn is over.
      await new Promise(setImmediate);
      collectGarbage();
    }
    expect(forgotten.map(isThere)).toEqual([false, false]);
  });

  it("has the response say what it says at any other time", async () => {
    held = new Holding(open);
    await held.visit();
    const shown = (): unknown => held?.responses.map(({ finished, writableEnded }) => ({ finished, writableEnded }));
    expect(shown()).toEqual([{ finished: true, writableEnded: true }]);
    held.server.closeIdleConnections();
    expect(shown()).toEqual([{ finished: true, writableEnded: true }]);
  });

  it("waits once for a response, however often idle connections are closed meanwhile", async () => {
    held = new Holding(open);
    await held.visit();
    const [response] = held.responses;
    const waiting = (): number | undefined => response?.listenerCount("finish");
    held.server.closeIdleConnections();
    const once = waiting();
    held.server.closeIdleConnections();
    expect(waiting()).toBe(once);
  });

  it("answers a response that is ended after the server was closed, and held then", async () => {
    held = new Holding(open, (res) => void res.write("not yet "));
    const visitor = await held.visit(1, "Connection: close\r\n");
    held.server.close();
    held.responses[0]?.end("saved");
    held.settle();
    expect(await visitor.received).toMatch(/not yet .*saved/s);
  });
});

describe("node:http2", () => {
  it("answers what is held when the server is closed", async () => {
    let settle: (isFine: boolean) => void = () => undefined;
    let isReady = false;
    const server = createServer2((_req, res) => {
      const prepare = (): Promise<boolean> => new Promise((resolve) => (settle = resolve));
      new ResponseGate(res as unknown as ServerResponse, {
        isReady: () => isReady,
        prepare,
        onBroken: () => undefined,
      });
      res.end("saved");
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const client = connect2(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
    const stream = client.request({ ":path": "/" });
    await once(server, "request");
    await new Promise(setImmediate);
    const closed = once(server, "close");
    server.close();
    client.close();
    isReady = true;
    settle(true);
    let text = "";
    for await (const chunk of stream.setEncoding("utf8")) text += chunk;
    expect(text).toBe("saved");
    await closed;
  });
});

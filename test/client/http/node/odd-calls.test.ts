// session() called with anything: upgrades, stand-ins for requests and responses, what is frozen, lacks parts or throws when it is looked at.
// Nothing that a client sends decides whether the process goes on.
import { EventEmitter, once } from "node:events";
import { createServer, IncomingMessage, request, ServerResponse } from "node:http";
import { type AddressInfo, Socket } from "node:net";
import { Duplex } from "node:stream";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { session } from "../../../../client/http/node/middleware.ts";
import type { Client } from "../../../../client/index.ts";
import type { SessionOptions } from "../../../../client/options.ts";
import { Session } from "../../../../client/static/session.ts";
import type { SessionError } from "../../../../protocol/errors.ts";
import { deferred } from "../../../support/deferred.ts";
import { HttpHouse } from "../../../support/http/http-house.ts";
import { SessionHouse } from "../../../support/session-house.ts";
import { Random } from "../../../support/values/random.ts";

const UNKNOWN = "SESSION=127.0.0.1:0123456789ABCDEF01234567";
const WORDLESS = { remoteAddress: "127.0.0.1" };

let house: SessionHouse;
let worker: Client;
let bind: Loose;
let known = "";
const errors: Error[] = [];
const stray: unknown[] = [];
const noteStray = (error: unknown): void => void stray.push(error);

beforeAll(async () => {
  house = await SessionHouse.open();
  worker = house.worker();
  bind = middleware();
});
beforeEach(async () => {
  known = await makeSession();
  process.on("unhandledRejection", noteStray);
  process.on("uncaughtException", noteStray);
});
afterEach(() => {
  process.off("unhandledRejection", noteStray);
  process.off("uncaughtException", noteStray);
  errors.length = 0;
  expect(stray.splice(0)).toEqual([]);
});
afterAll(() => house.close());

async function makeSession(): Promise<string> {
  const made = worker.create({ prefix: "127.0.0.1" });
  made.set("n", 1);
  await made.save();
  return `SESSION=${made.id}`;
}

async function stored(cookie: string): Promise<unknown> {
  return (await house.worker().open(cookie.slice("SESSION=".length)))?.get("n");
}

type Loose = (req: unknown, res: unknown, next?: unknown) => void;

function middleware(options: SessionOptions = {}): Loose {
  const onError = (error: Error): void => void errors.push(error);
  return session({ ...house.options, onError, ...options }) as Loose;
}

/** Calls it, and gives what `next` got, or what was thrown at once. */
async function call(req: unknown, res: unknown, handler: () => unknown = () => undefined): Promise<unknown> {
  const got = deferred<unknown>();
  try {
    bind(req, res, (error?: unknown) => {
      got.resolve(error);
      return error === undefined ? handler() : undefined;
    });
  } catch (error) {
    return error;
  }
  return got.promise;
}

describe("a request that came without a response", () => {
  const bare = (cookie?: string): object => ({ headers: { cookie }, socket: WORDLESS, on() {}, emit() {} });

  it.each<[string, unknown]>([
    ["an empty object", {}],
    ["undefined", undefined],
    ["null", null],
    ["a socket", new Socket()],
    ["a frozen object", Object.freeze({})],
    ["text", "res"],
  ])("has its session, which can be changed and saved: %s", async (_what, res) => {
    const seen = deferred<unknown>();
    const error = await call(bare(known), res, async () => {
      Session.n = (Session.n as number) + 1;
      await Session.Save();
      seen.resolve(Session.n);
    });
    expect([error, await seen.promise, await stored(known)]).toEqual([undefined, 2, 2]);
  });

  it.each([
    ["no cookie", undefined],
    ["an unknown one", UNKNOWN],
    ["what is no id", "SESSION=../x"],
  ])("cannot have one made, and is told why: %s", async (_what, cookie) => {
    const told = deferred<SessionError>();
    const error = await call(bare(cookie), {}, () => {
      try {
        Session.n = 1;
      } catch (problem) {
        told.resolve(problem as SessionError);
      }
    });
    const { code, message } = await told.promise;
    expect([error, code]).toEqual([undefined, "ERR_HEADERS_SENT"]);
    expect(message).toMatch(/upgrade/);
  });

  it("keeps what was changed and not saved when next has returned, or what it promised is done", async () => {
    const other = await makeSession();
    await call(bare(known), {}, () => {
      Session.n = 5;
    });
    await call(bare(other), {}, async () => {
      await Promise.resolve();
      Session.n = 6;
    });
    await expect.poll(() => stored(known)).toBe(5);
    await expect.poll(() => stored(other)).toBe(6);
  });

  it("of a real upgrade has its session", async () => {
    const server = createServer();
    server.on("upgrade", (req, socket: Duplex) => {
      bind(req, {}, () => {
        socket.write(`HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n${Session.n}`);
        socket.end();
      });
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const headers = { Connection: "Upgrade", Upgrade: "x", cookie: known };
    const sent = request({ port: (server.address() as AddressInfo).port, host: "127.0.0.1", headers, agent: false });
    sent.end();
    const [, socket, head] = (await once(sent, "upgrade")) as [IncomingMessage, Socket, Buffer];
    let text = head.toString();
    for await (const chunk of socket) text += chunk;
    expect(text).toBe("1");
    server.close();
  });

  it("and no daemon answers: next is called, and whoever uses the session is told", async () => {
    const empty = await SessionHouse.open();
    await empty.stopDaemon();
    const told = deferred<unknown>();
    middleware({ ...empty.options, waitMs: 0 })(bare(UNKNOWN), {}, (error?: unknown) => {
      try {
        told.resolve([error, Session.n]);
      } catch (problem) {
        told.resolve((problem as SessionError).code);
      }
    });
    expect(await told.promise).toBe("ERR_DAEMON_UNAVAILABLE");
    await empty.close();
  });
});

it("a header that the prefix function fails at costs no visitor a page, and ends no process whose next looks at no error", async () => {
  const enter = middleware({ prefix: (req) => req.headers["x-user"] as string });
  const server = await HttpHouse.open((req, res) => {
    enter(req, res, async () => {
      Session.lang ??= "es";
      res.end(Session.Id);
    });
  });
  const prefixes: string[] = [];
  for (const headers of [{ "x-user": "ann" }, {}, { "x-user": "a b" }])
    prefixes.push((await server.ask("/", { headers })).text.slice(0, -25));
  expect(prefixes).toEqual(["ann", expect.stringMatching(/^unknown-/), expect.stringMatching(/^unknown-/)]);
  expect(errors).toHaveLength(2);
  await server.close();
});

it("a change that comes too late is told whatever the request says of itself", async () => {
  const [told, changed] = [deferred<string>(), deferred()];
  const note = (warning: Error & { code?: string }): void => {
    if (warning.code === "ERR_NOT_SAVED") told.resolve(warning.message);
  };
  process.on("warning", note);
  const odd = { method: {}, url: Object.create(null), headers: { cookie: known }, socket: WORDLESS };
  bind(odd, {}, () => setImmediate(() => setImmediate(() => changed.resolve(Session.set("late", 1)))));
  await changed.promise;
  expect(await told.promise).toContain("Session.late was changed after the call of next (a request ) was over");
  process.off("warning", note);
});

describe("what is wrong with the call", () => {
  it.each([
    ["no cookie", undefined],
    ["a known cookie", "known"],
    ["an unknown cookie", UNKNOWN],
  ])("is thrown at once where next is none, with %s", (_what, cookie) => {
    const req = { headers: { cookie: cookie === "known" ? known : cookie }, socket: WORDLESS };
    expect(() => bind(req, {})).toThrow(/without next/);
  });

  it("goes to next: no request, one that throws, a response that is frozen", async () => {
    const throwing = Object.defineProperty({}, "headers", {
      get() {
        throw new Error("do not look");
      },
    });
    const res = Object.freeze(new ServerResponse(new IncomingMessage(new Socket())));
    expect(await call(undefined, {})).toBeInstanceOf(TypeError);
    expect(String(await call(throwing, {}))).toContain("do not look");
    expect(await call({ headers: {}, socket: WORDLESS }, res)).toBeInstanceOf(TypeError);
  });
});

describe("a handler that fails is the same with a cookie and without", () => {
  it("what it throws at once reaches the caller, or is answered where the caller has gone", async () => {
    const fail = (): never => {
      throw new Error("mine");
    };
    const server = await HttpHouse.open((req, res) => {
      try {
        bind(req, res, fail);
      } catch (error) {
        res.statusCode = 500;
        res.end(String(error));
      }
    });
    for (const cookie of [undefined, known, UNKNOWN]) {
      expect((await server.ask("/", cookie === undefined ? {} : { cookie })).status).toBe(500);
    }
    expect(errors.map(({ message }) => message)).toContain("mine");
    await server.close();
  });

  it("what it rejects with is answered and told", async () => {
    const server = await HttpHouse.open((req, res) => {
      bind(req, res, async () => {
        await Promise.resolve();
        if (req.url === "/begun") res.write("begun");
        throw new Error("later");
      });
    });
    for (const cookie of [undefined, known, UNKNOWN]) {
      const ask = cookie === undefined ? {} : { cookie };
      expect((await server.ask("/", ask)).status).toBe(500);
      await expect(server.ask("/begun", ask)).rejects.toThrow();
    }
    expect(errors).toHaveLength(6);
    await server.close();
  });
});

describe("whatever a handler throws", () => {
  const unnamed = Object.assign(new Error("unnamed"), { name: 7 });
  const symbolic = Object.assign(new Error(), { message: Symbol("text") });
  it.each<[string, unknown]>([
    ["an object without a text", Object.create(null)],
    ["an error whose name is none", unnamed],
    ["an error whose text is none", symbolic],
    ["a symbol", Symbol("thrown")],
    ["nothing", undefined],
  ])("is answered, and told: %s", async (_what, thrown) => {
    const told: unknown[] = [];
    for (const onError of [undefined, (error: Error): void => void told.push(error)]) {
      const middle = session({ ...house.options, ...(onError === undefined ? {} : { onError }) });
      const server = await HttpHouse.open((req, res) => middle(req, res, () => Promise.reject(thrown)));
      for (const cookie of [known, UNKNOWN]) expect((await server.ask("/", { cookie })).status).toBe(500);
      await server.close();
    }
    expect(told).toHaveLength(2);
    expect(told.every((error) => error instanceof Error)).toBe(true);
  });

  it("in onError too", async () => {
    const onError = (): never => {
      throw Object.create(null);
    };
    const middle = session({ ...house.options, onError });
    const server = await HttpHouse.open((req, res) => middle(req, res, () => Promise.reject(new Error("mine"))));
    expect((await server.ask("/", { cookie: known })).status).toBe(500);
    await server.close();
  });
});

/** Ends by itself, whatever becomes of its bytes, as the responses of light-my-request do. */
class Injected extends ServerResponse {
  readonly #chunks: unknown[] = [];

  get text(): string {
    return this.#chunks.join("");
  }

  override end(chunk?: unknown): this {
    if (typeof chunk === "string") this.#chunks.push(chunk);
    super.end();
    this.emit("injected", { text: this.text, cookies: this.getHeader("set-cookie") });
    return this;
  }
}

describe("a response of a class of its own", () => {
  it("ends after the commit, with the cookie", async () => {
    const req = new IncomingMessage(Object.assign(new EventEmitter(), WORDLESS) as unknown as Socket);
    const res = new Injected(req);
    const injected = once(res, "injected");
    await call(req, res, () => {
      Session.n = 7;
      res.end("page");
      expect([res.headersSent, res.writableEnded]).toEqual([true, true]);
    });
    const [{ text, cookies }] = (await injected) as [{ text: string; cookies: string[] }];
    expect(text).toBe("page");
    expect(await stored(String(cookies).split(";")[0] ?? "")).toBe(7);
  });

  it("whose connection is an imitation is not finished before the commit", async () => {
    const written: string[] = [];
    const nothing = (): void => undefined;
    const write = (data: string, _encoding: unknown, done?: () => void): boolean => {
      written.push(data);
      done?.();
      return true;
    };
    const socket = { _writableState: {}, writable: true, on: nothing, removeListener: nothing, cork: nothing };
    const res = new ServerResponse(new IncomingMessage(WORDLESS as unknown as Socket));
    res.assignSocket({ ...socket, uncork: nothing, destroy: nothing, write } as unknown as Socket);
    const finished = once(res, "finish");
    await call(res.req, res, () => {
      Session.n = 7;
      res.end("page");
      expect([res.finished, res.headersSent, written]).toEqual([false, true, []]);
    });
    await finished;
    const cookie = String(res.getHeader("set-cookie")).split(";")[0] ?? "";
    expect([res.finished, written.join("").endsWith("page"), await stored(cookie)]).toEqual([true, true, 7]);
  });

  it("may lack everything but what a response must have", async () => {
    const done = deferred<unknown[]>();
    const headers: Record<string, unknown> = {};
    const res = {
      setHeader: (name: string, value: unknown) => Object.assign(headers, { [name]: value }),
      writeHead: () => res,
      write: () => true,
      end: (text: string) => done.resolve([text, headers["Set-Cookie"]]),
    };
    await call({ headers: {}, socket: WORDLESS }, res, () => {
      Session.n = 8;
      res.end("mock");
    });
    const [text, cookies] = await done.promise;
    expect([text, await stored(String(cookies).split(";")[0] ?? "")]).toEqual(["mock", 8]);
  });
});

describe("whatever it is called with", () => {
  const nothing = (): void => undefined;
  /** Undefined may be among them. */
  const pick = <T>(random: Random, choices: readonly T[]): T => choices[random.below(choices.length)] as T;
  const hostile = new Proxy(nothing, {
    get: () => {
      throw new Error("hostile");
    },
  });
  const cookies = (): readonly unknown[] => [
    undefined,
    known,
    UNKNOWN,
    "SESSION=",
    "SESSION=%",
    "=;;=",
    5,
    ["SESSION=x"],
    {},
  ];
  const stream = (): Duplex => new Duplex({ read: nothing, write: (_chunk, _encoding, done) => done() });

  function oddRequest(random: Random): unknown {
    const headers = pick<unknown>(random, [{ cookie: pick(random, cookies()) }, { cookie: hostile }, null]);
    const socket = pick(random, [WORDLESS, new Socket(), stream(), null, 5, {}]);
    const real = Object.assign(new IncomingMessage(new Socket()), { headers });
    const emit = pick(random, [nothing, undefined, 5]);
    return pick(random, [
      { headers, socket, emit },
      { headers, socket },
      Object.freeze({ headers, socket, emit }),
      real,
      null,
      5,
      hostile,
    ]);
  }

  /** What it does by itself about a mistake of the handler's is not asked here. */
  const heard = <T extends EventEmitter>(emitter: T): T => emitter.on("error", nothing);

  function oddResponse(random: Random, req: unknown): unknown {
    const made = (): ServerResponse =>
      heard(new ServerResponse(req instanceof IncomingMessage ? req : new IncomingMessage(new Socket())));
    const assigned = (): ServerResponse => {
      const res = made();
      res.assignSocket(stream() as Socket);
      return res;
    };
    const parts = { setHeader: nothing, writeHead: nothing, write: nothing, end: nothing };
    const none = [undefined, null, {}, [], 5, "res", heard(new Socket()), heard(stream()), hostile, Object.freeze({})];
    const some = [parts, Object.freeze(parts), made(), assigned(), assigned().destroy(), assigned().end()];
    return pick<unknown>(random, [...none, ...some, Object.freeze(made()), new Proxy(assigned(), {})]);
  }

  function oddHandler(random: Random, res: unknown): () => unknown {
    const use = (): void => {
      Session.n = random.below(100);
    };
    const answer = (): unknown => (res as ServerResponse).end("x");
    const fail = (): never => {
      throw new Error("handler");
    };
    const later = async (): Promise<void> => {
      await Promise.resolve();
      pick(random, [use, answer, fail])();
    };
    const abort = (): unknown => (res as ServerResponse).destroy?.();
    const both = (): unknown => [use(), answer(), abort()];
    return pick(random, [nothing, use, answer, fail, later, abort, both, (): unknown => Session.n]);
  }

  it.each(Array.from({ length: 10 }, (_, group) => group))(
    "seeds of group %i: next is called once, or it throws",
    async (group) => {
      for (let seed = group * 60; seed < group * 60 + 60; seed++) {
        const random = new Random(seed);
        const req = oddRequest(random);
        const res = oddResponse(random, req);
        const handler = oddHandler(random, res);
        let calls = 0;
        const called = deferred();
        try {
          bind(req, res, (error?: unknown) => {
            calls += 1;
            called.resolve();
            return error === undefined ? handler() : undefined;
          });
        } catch (error) {
          expect([seed, calls, String(error)]).toEqual([seed, 1, expect.anything()]);
        }
        await called.promise;
        await new Promise((resolve) => setImmediate(resolve));
        expect([seed, calls]).toEqual([seed, 1]);
      }
    },
  );
});

describe("a client that goes away", () => {
  it.each(["before the session is there", "while it is saved", "when it has been saved"])("%s", async (when) => {
    const gone = deferred();
    const asked = deferred();
    const server = await HttpHouse.open((req, res) => {
      res.once("close", gone.resolve);
      if (when.startsWith("before")) req.socket.destroy();
      bind(req, res, () => {
        Session.n = 9;
        if (when.startsWith("while")) req.socket.destroy();
        res.end("x", () => req.socket.destroy());
        asked.resolve();
      });
    });
    const fresh = await makeSession();
    const sent = server.begin("/", { cookie: fresh });
    sent.on("error", () => undefined);
    sent.end();
    await asked.promise;
    await gone.promise;
    await expect.poll(() => stored(fresh)).toBe(9);
    await server.close();
  });
});

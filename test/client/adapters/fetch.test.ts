// withSession() for handlers of Request and Response: what comes in, what is returned, and a body that is read later.
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type FetchOptions, withSession } from "../../../client/adapters/fetch.ts";
import type { Client } from "../../../client/index.ts";
import { Session } from "../../../client/static/session.ts";
import { deferred } from "../../support/deferred.ts";
import { SessionHouse } from "../../support/session-house.ts";

const TOO_BIG = "x".repeat(2_000_000);
const SHOP = "https://shop.example";

let house: SessionHouse;
let worker: Client;
let told: Error[];

beforeAll(async () => {
  house = await SessionHouse.open({ maxSessionBytes: 1_000_000 });
  worker = house.worker();
});
beforeEach(() => {
  told = [];
});
afterAll(() => house.close());

type Handler = (request: Request) => Response | Promise<Response>;

function serve(handler: Handler, options: FetchOptions = {}): (request: Request) => Promise<Response> {
  return withSession(handler, { ...house.options, onError: (error) => void told.push(error), ...options });
}

function ask(path: string, cookie?: string, headers: Record<string, string> = {}): Request {
  return new Request(`${SHOP}${path}`, { headers: cookie === undefined ? headers : { ...headers, cookie } });
}

function make(entries: Record<string, unknown>, prefix?: string): Promise<string> {
  return house.make(entries, prefix);
}

function stored(id: string, key: string): Promise<unknown> {
  return house.stored(id, key);
}

function cookieOf(response: Response): string {
  return response.headers.getSetCookie().at(-1)?.split(";", 1)[0] ?? "";
}

const begin: Handler = () => {
  Session.n = 1;
  return new Response(null);
};

describe("a handler with a session", () => {
  it("counts from request to request by the cookie that it gives", async () => {
    const count = serve(async () => {
      await Promise.resolve();
      Session.n = Number(Session.n ?? 0) + 1;
      return Response.json(Session.n, { status: 201, headers: { "Set-Cookie": "theme=dark" } });
    });
    const first = await count(ask("/"));
    const [theirs, mine] = first.headers.getSetCookie();
    expect([first.status, theirs, mine]).toEqual([201, "theme=dark", expect.stringMatching(/^SESSION=.*;Secure$/)]);
    const second = await count(ask("/", cookieOf(first)));
    expect([await first.json(), await second.json(), second.headers.getSetCookie()]).toEqual([1, 2, ["theme=dark"]]);
  });

  it("connects with its first request, since a build loads it, too; and once, however often it is loaded", async () => {
    const connections = async (): Promise<number> => (await worker.status()).connections;
    const before = await connections();
    const load = (): ((request: Request) => Promise<Response>) => serve(begin, { cacheBytes: 1_000_000 });
    const first = load();
    expect(await connections()).toBe(before);
    await first(ask("/"));
    expect(await connections()).toBe(before + 1);
    await Promise.all([load()(ask("/")), load()(ask("/"))]);
    expect(await connections()).toBe(before + 1);
    await serve(begin, { cacheBytes: 2_000_000 })(ask("/"));
    expect(await connections()).toBe(before + 2);
  });

  it("knows its session by a cookie that the framework has encoded, and adopts nothing else", async () => {
    const id = await make({ user: "ann" });
    const zone = await make({ user: "bob" }, "fe80::1%eth0");
    const who = serve(() => new Response(String(Session.user)));
    const seen = async (cookie: string): Promise<string> => (await who(ask("/", cookie))).text();
    expect(await seen(`theme=%3A%; SESSION=${encodeURIComponent(id)}; a=b`)).toBe("ann");
    expect(await seen(`SESSION=${encodeURIComponent(id).toLowerCase()}`)).toBe("undefined");
    expect([await seen(`SESSION=${zone}`), await seen(`SESSION=${encodeURIComponent(zone)}`)]).toEqual(["bob", "bob"]);
    for (const hostile of [`x%3B${id}`, `../session/${id}`, `${id}\0`, `SESSION=${id}`]) {
      expect(await seen(`SESSION=${encodeURIComponent(hostile)}`)).toBe("undefined");
    }
  });

  it("that uses none answers with the very response, if that has no body", async () => {
    const own = new Response(null, { status: 204 });
    expect(await serve(() => own)(ask("/"))).toBe(own);
  });

  it("may answer with headers that cannot be changed", async () => {
    const id = await make({ n: 1 });
    const leave = serve(async () => {
      await Session.Abandon();
      return Response.redirect(`${SHOP}/`, 302);
    });
    const reply = await leave(ask("/leave", `SESSION=${id}`));
    expect([reply.status, reply.headers.getSetCookie()]).toEqual([302, [expect.stringContaining("SESSION=;expires=")]]);
  });

  it("answers 500 where the session could not be saved, and lets go of the body", async () => {
    const cancelled = deferred<unknown>();
    const fail = serve(() => {
      Session.big = TOO_BIG;
      return new Response(new ReadableStream({ cancel: cancelled.resolve }));
    });
    const reply = await fail(ask("/"));
    expect([reply.status, reply.headers.getSetCookie()]).toEqual([500, []]);
    expect(await reply.text()).toBe("The session could not be saved.\n");
    await cancelled.promise;
    expect(told).toEqual([expect.objectContaining({ code: "ERR_TOO_LARGE" })]);
  });

  it("answers that 500 with the cookie of a session that has got another id before", async () => {
    const begun = await serve(() => {
      Session.n = 1;
      return new Response();
    })(ask("/"));
    const fail = serve(async () => {
      await Session.Regenerate();
      Session.big = TOO_BIG;
      return new Response("all is well");
    });
    const reply = await fail(ask("/", cookieOf(begun)));
    expect(reply.status).toBe(500);
    expect(cookieOf(reply)).toMatch(/^SESSION=/);
    expect(cookieOf(reply)).not.toBe(cookieOf(begun));
  });

  it("is kept apart from others that run at the same time", async () => {
    const [a, b] = [await make({ user: "ann" }), await make({ user: "bob" })];
    const gate = deferred();
    const who = serve(async () => {
      await gate.promise;
      return new Response(String(Session.user));
    });
    const replies = [who(ask("/", `SESSION=${a}`)), who(ask("/", `SESSION=${b}`)), who(ask("/"))];
    gate.resolve();
    const texts = await Promise.all((await Promise.all(replies)).map((reply) => reply.text()));
    expect(texts).toEqual(["ann", "bob", "undefined"]);
  });

  it("is given every further argument", async () => {
    const show = withSession(
      async (_request: Request, { params }: { params: Promise<{ id: string }> }, last: number) => {
        return new Response(`${(await params).id} ${last}`);
      },
      house.options,
    );
    expect(await (await show(ask("/"), { params: Promise.resolve({ id: "x" }) }, 3)).text()).toBe("x 3");
  });

  it("takes the Request out of what frameworks give in its place", async () => {
    const ofEvent = withSession(({ req }: { req: Request }) => new Response(req.url), house.options);
    const ofContext = withSession((context: { request: Request }, next: () => Response) => {
      Session.path = new URL(context.request.url).pathname;
      return next();
    }, house.options);
    expect(await (await ofEvent({ req: ask("/event") })).text()).toBe(`${SHOP}/event`);
    const reply = await ofContext({ request: ask("/context") }, () => new Response("next"));
    expect([await reply.text(), cookieOf(reply)]).toEqual(["next", expect.stringMatching(/^SESSION=/)]);
  });

  it("says what is wrong when there is no Request, or no Response", async () => {
    const count = serve(() => "text" as unknown as Response);
    for (const nothing of [{}, undefined, null, "/"])
      await expect(count(nothing as Request)).rejects.toThrow("was called without a Request");
    await expect(count(ask("/"))).rejects.toThrow("has returned no Response");
  });
});

describe("the client's address", () => {
  it("is what the option says", async () => {
    const reply = await serve(begin, { address: (request) => request.headers.get("x-real-ip") ?? undefined })(
      ask("/", undefined, { "x-real-ip": "203.0.113.9" }),
    );
    expect(cookieOf(reply)).toMatch(/^SESSION=203\.0\.113\.9:/);
  });

  it("is what a proxy says that is trusted, and nothing where none is", async () => {
    const request = (): Request => ask("/", undefined, { "x-forwarded-for": "203.0.113.7" });
    expect(cookieOf(await serve(begin, { trustProxy: true })(request()))).toMatch(/^SESSION=203\.0\.113\.7:/);
    expect(cookieOf(await serve(begin)(request()))).toMatch(/^SESSION=:?[0-9A-F]{24}$/);
  });

  it("is not asked for where there is a prefix", async () => {
    expect(cookieOf(await serve(begin, { prefix: "shop" })(ask("/")))).toMatch(/^SESSION=shop:/);
    const prefix = (request: Request): string => new URL(request.url).pathname.slice(1);
    expect(cookieOf(await serve(begin, { prefix })(ask("/ann")))).toMatch(/^SESSION=ann:/);
    expect(cookieOf(await serve(begin, { prefix })(ask("/a/b")))).toMatch(/^SESSION=unknown-[0-9a-f]{16}:/);
    expect(told.map(({ message }) => message)).toEqual([expect.stringContaining("failed for GET /a/b")]);
  });
});

describe("what a handler throws", () => {
  const thrower =
    (thrown: unknown): Handler =>
    () => {
      Session.n = 1;
      throw thrown;
    };

  it.each([
    [
      "Next.js",
      Object.assign(new Error("NEXT_REDIRECT"), { digest: "NEXT_REDIRECT;replace;/a;b?c=1;307;" }),
      307,
      "/a;b?c=1",
    ],
    ["SvelteKit", { status: 303, location: "/next" }, 303, "/next"],
  ])("as a redirect of %s is one, with the cookie", async (_name, thrown, status, location) => {
    const reply = await serve(thrower(thrown))(ask("/"));
    expect([reply.status, reply.headers.get("location")]).toEqual([status, location]);
    expect(await stored(cookieOf(reply).slice("SESSION=".length), "n")).toBe(1);
  });

  it("as a Response is thrown on, with the cookie", async () => {
    const thrown: unknown = await serve(thrower(Response.redirect(`${SHOP}/next`, 302)))(ask("/")).catch(
      (error) => error,
    );
    expect(thrown).toBeInstanceOf(Response);
    expect(await stored(cookieOf(thrown as Response).slice("SESSION=".length), "n")).toBe(1);
  });

  it.each([new Error("mine"), { status: 404, location: 3 }, { digest: "NEXT_HTTP_ERROR_FALLBACK;404" }, "text", null])(
    "otherwise is thrown on when the changes are saved: %o",
    async (thrown) => {
      const id = await make({ n: 0 });
      await expect(serve(thrower(thrown))(ask("/", `SESSION=${id}`))).rejects.toBe(thrown);
      expect(await stored(id, "n")).toBe(1);
    },
  );
});

describe("a body that is read later", () => {
  const encoder = new TextEncoder();

  it("is made in the context of its request, chunk by chunk, and saved before it ends", async () => {
    const id = await make({ n: 1 });
    const show = serve(() => {
      let chunk = 0;
      const body = new ReadableStream({
        pull(controller) {
          chunk += 1;
          Session.n = chunk;
          if (chunk === 3) controller.close();
          else controller.enqueue(encoder.encode(`${Session.n} `));
        },
      });
      return new Response(body);
    });
    const reply = await show(ask("/", `SESSION=${id}`));
    expect(await reply.text()).toBe("1 2 ");
    expect(await stored(id, "n")).toBe(3);
  });

  it("begins no session, as its cookie would come too late", async () => {
    const seen = deferred<unknown>();
    const show = serve(() => {
      const pull = (controller: ReadableStreamDefaultController): void => {
        try {
          Session.n = 1;
        } catch (error) {
          seen.resolve(error);
        }
        controller.close();
      };
      return new Response(new ReadableStream({ pull }, { highWaterMark: 0 }));
    });
    await (await show(ask("/"))).text();
    expect(await seen.promise).toMatchObject({ code: "ERR_HEADERS_SENT" });
  });

  it("that nobody reads to its end is cancelled in its context, and what was changed is saved", async () => {
    const id = await make({ n: 1 });
    const show = serve(() => {
      const cancel = (): void => Session.set("n", "cancelled");
      const pull = (controller: ReadableStreamDefaultController): void => controller.enqueue(encoder.encode("on "));
      return new Response(new ReadableStream({ pull, cancel }));
    });
    await (await show(ask("/", `SESSION=${id}`))).body?.cancel();
    expect(await stored(id, "n")).toBe("cancelled");
  });

  it("that breaks off does so for its reader, and what was changed is saved", async () => {
    const id = await make({ n: 1 });
    const show = serve(() => {
      const pull = (): void => {
        Session.n = "broken";
        throw new Error("mine");
      };
      return new Response(new ReadableStream({ pull }, { highWaterMark: 0 }));
    });
    const reply = await show(ask("/", `SESSION=${id}`));
    await expect(reply.text()).rejects.toThrow("mine");
    expect(await stored(id, "n")).toBe("broken");
  });

  it("whose last changes cannot be saved does not come to an end", async () => {
    const id = await make({ n: 1 });
    const show = serve(() => {
      const pull = (controller: ReadableStreamDefaultController): void => {
        Session.n = TOO_BIG;
        controller.close();
      };
      return new Response(new ReadableStream({ pull }, { highWaterMark: 0 }));
    });
    const reply = await show(ask("/", `SESSION=${id}`));
    await expect(reply.text()).rejects.toMatchObject({ code: "ERR_TOO_LARGE" });
    expect(told).toHaveLength(1);
  });

  it("that nobody reads at all, as that for HEAD, leaves nothing unsaved", async () => {
    const id = await make({ n: 1 });
    const show = serve(() => {
      Session.n = 2;
      return new Response("text");
    });
    await show(ask("/", `SESSION=${id}`));
    expect(await stored(id, "n")).toBe(2);
  });
});

describe("options that cannot work", () => {
  it.each<[object, string]>([
    [{ address: "10.0.0.1" }, "The option address must be a function"],
    [{ prefix: 3 }, "The option prefix must be text or a function"],
    [{ prefix: "a b" }, "prefix"],
    [{ unique: true }, "The option unique needs address, prefix or trustProxy"],
    [{ onError: true }, "The option onError must be a function"],
    [{ cookieName: "a;b" }, "cookieName"],
  ])("are refused by name: %o", (options, text) => {
    expect(() => serve(() => new Response(null), options)).toThrow(text);
  });
});

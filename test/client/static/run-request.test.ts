// A session for code that has a request and no context: upgrades and sockets, whose request has no response, and callbacks of pools.
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { type IncomingMessage, ServerResponse } from "node:http";
import { connect as connectSocket, type Socket } from "node:net";
import { afterAll, afterEach, beforeAll, describe, expect, expectTypeOf, it } from "vitest";
import type { Client } from "../../../client/index.ts";
import { type Handle, Session, session, sessionOf } from "../../../client/index.ts";
import { SessionError } from "../../../protocol/errors.ts";
import { deferred } from "../../support/deferred.ts";
import { HttpHouse } from "../../support/http/http-house.ts";
import { SessionHouse } from "../../support/session-house.ts";

type Handler = (req: IncomingMessage, res: ServerResponse) => unknown;

let house: SessionHouse;
let other: SessionHouse;
let bind: ReturnType<typeof session>;
let worker: Client;
const servers: HttpHouse[] = [];
const sockets: Socket[] = [];

beforeAll(async () => {
  [house, other] = [await SessionHouse.open(), await SessionHouse.open()];
  worker = house.worker();
  // The first one of the process: so it is the client of Session.Run, too.
  bind = session(house.options);
});
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await Promise.all(servers.splice(0).map((server) => server.close()));
});
afterAll(async () => {
  await house.close();
  await other.close();
});

async function make(entries: Record<string, unknown>, client = worker): Promise<string> {
  const handle = client.create({ prefix: "10.0.0.1" });
  for (const [key, value] of Object.entries(entries)) handle.set(key, value);
  await handle.save();
  return handle.id ?? "";
}

async function stored(id: string, key: string): Promise<unknown> {
  return (await house.worker().open(id))?.get(key);
}

async function serve(handler: Handler): Promise<HttpHouse> {
  const server = await HttpHouse.open((req, res) => {
    Promise.resolve(handler(req, res)).catch((error: unknown) => {
      res.statusCode = 500;
      res.end(error instanceof SessionError ? error.code : String(error));
    });
  });
  servers.push(server);
  return server;
}

/** A server whose upgrades are answered with what `onUpgrade` makes of them, as a line of JSON. */
async function serveUpgrades(onUpgrade: (req: IncomingMessage) => unknown): Promise<HttpHouse> {
  const server = await serve((_req, res) => res.end("no upgrade"));
  server.server.on("upgrade", (req, socket) => {
    Promise.resolve(onUpgrade(req)).then(
      (answer) => socket.end(`${JSON.stringify(answer)}\n`),
      (error: unknown) => socket.end(`${JSON.stringify(error instanceof SessionError ? error.code : String(error))}\n`),
    );
  });
  return server;
}

/** What a browser sends to open a WebSocket, and what the server answers. */
async function upgrade(server: HttpHouse, cookie?: string): Promise<unknown> {
  const socket = connectSocket(server.port, "127.0.0.1");
  sockets.push(socket);
  const lines = ["GET /chat HTTP/1.1", "Host: x", "Connection: Upgrade", "Upgrade: websocket"];
  socket.write([...lines, ...(cookie === undefined ? [] : [`Cookie: ${cookie}`]), "", ""].join("\r\n"));
  const chunks: Buffer[] = [];
  socket.on("data", (chunk) => chunks.push(chunk));
  await once(socket, "end");
  return JSON.parse(Buffer.concat(chunks).toString());
}

describe("Session.Run({ request })", () => {
  it("is the session of an upgrade, read and changed, and committed when it resolves", async () => {
    const id = await make({ user: "ann", n: 1 });
    const server = await serveUpgrades(async (request) => {
      const seen = await Session.Run({ request }, async () => {
        await Session.Transaction(() => {
          Session.n = Number(Session.n) + 1;
        });
        Session.set("last", "socket");
        return [Session.Id, Session.user, Session.n];
      });
      return [...seen, await stored(id, "last"), await stored(id, "n")];
    });
    expect(await upgrade(server, `x=1; SESSION=${id}`)).toEqual([id, "ann", 2, "socket", 2]);
  });

  it("finds it by the rules of session(): the last cookie whose session exists, GBSESSIONID after SESSION", async () => {
    const [a, b] = [await make({ user: "ann" }), await make({ user: "bob" })];
    const stale = "10.0.0.1:0123456789ABCDEF01234567";
    const server = await serveUpgrades((request) => Session.Run({ request }, () => Session.Id));
    expect(await upgrade(server, `SESSION=${a}; SESSION=${b}; SESSION=${stale}; SESSION=`)).toBe(b);
    expect(await upgrade(server, `SESSION=rubbish; GBSESSIONID=${a}`)).toBe(a);
    expect(await upgrade(server, `SESSION=${stale}`)).toBeNull();
    expect(await upgrade(server)).toBeNull();
  });

  it("reads the cookie that is named, where no session() has seen the request", async () => {
    const id = await make({ user: "ann" });
    const named = await serveUpgrades((request) => Session.Run({ request, cookieName: "sid" }, () => Session.Id));
    expect(await upgrade(named, `sid=${id}`)).toBe(id);
    expect(await upgrade(named, `SESSION=${id}`)).toBeNull();
  });

  it("creates none: an error says why, nothing is left, and what there is stays usable", async () => {
    const server = await serveUpgrades((request) =>
      Session.Run({ request }, async () => {
        const errors: unknown[] = [];
        const refused = (action: () => unknown): Promise<unknown> =>
          Promise.resolve()
            .then(action)
            .catch((error: SessionError) => errors.push([error.code, error.what]));
        await refused(() => Session.set("a", 1));
        await refused(() => Session.Transaction(() => Session.set("a", 1)));
        const id = Session.Id;
        return { errors, id, keys: Session.Keys };
      }),
    );
    const why =
      "A session cannot be created in Session.Run({ request }), because no response would bring its cookie to the browser.";
    const refusal = ["ERR_HEADERS_SENT", why];
    expect(await upgrade(server)).toEqual({ errors: [refusal, refusal], id: null, keys: [] });
    const id = await make({ user: "ann" });
    const ended = await serveUpgrades((request) =>
      Session.Run({ request }, async () => {
        await Session.Abandon();
        Session.a = 1;
      }),
    );
    expect(await upgrade(ended, `SESSION=${id}`)).toBe("ERR_HEADERS_SENT");
    expect(house.has(id)).toBe(false);
  });

  it("drops what it changed when its function fails, and sees others' writes each time", async () => {
    const id = await make({ n: 1 });
    const server = await serveUpgrades(async (request) => {
      const failed = Session.Run({ request }, () => {
        Session.n = 2;
        throw new Error("no");
      });
      await expect(failed).rejects.toThrow("no");
      const first = await Session.Run({ request }, () => Session.n);
      const handle = await house.worker().open(id);
      handle?.set("n", 3);
      await handle?.save();
      const second = await Session.Run({ request }, () => Session.n);
      await house.worker().abandon(id);
      return [first, second, await Session.Run({ request }, () => [Session.Id, Session.n ?? "none"])];
    });
    expect(await upgrade(server, `SESSION=${id}`)).toEqual([1, 3, [null, "none"]]);
  });

  it("says so where the session cannot be read", async () => {
    const id = await make({ n: 1 });
    writeFileSync(house.pathOf(id), "nonsense");
    const server = await serveUpgrades((request) => Session.Run({ request }, () => Session.n));
    expect(await upgrade(server, `SESSION=${id}`)).toBe("ERR_UNREADABLE");
  });

  it("inside a transaction on the same session is part of it", async () => {
    const id = await make({ n: 1 });
    const server = await serveUpgrades((request) =>
      Session.Run({ request }, () =>
        Session.Transaction(async () => {
          await Session.Run({ request }, () => {
            Session.n = 5;
          });
          return [Session.n, await stored(id, "n")];
        }),
      ),
    );
    expect(await upgrade(server, `SESSION=${id}`)).toEqual([5, 1]);
    expect(await stored(id, "n")).toBe(5);
  });

  it("has the cookie name and the root of the session() that has seen the request", async () => {
    const client = other.worker();
    const id = await make({ user: "ann" }, client);
    const elsewhere = session({ ...other.options, cookieName: "sid" });
    const [ended, kept] = [deferred(), [] as IncomingMessage[]];
    const server = await serve((req, res) =>
      elsewhere(req, res, () => {
        kept.push(req);
        res.on("close", ended.resolve);
        res.end(String(Session.user));
      }),
    );
    expect((await server.ask("/", { cookie: `sid=${id}` })).text).toBe("ann");
    await ended.promise;
    const [request] = kept;
    if (request === undefined) throw new Error("no request came");
    const seen = await Session.Run({ request }, () => {
      Session.later = true;
      return Session.Id;
    });
    expect(seen).toBe(id);
    expect((await other.worker().open(id))?.get("later")).toBe(true);
  });

  it("of a request that is still answered is its own context: a callback of a pool has lost nothing", async () => {
    const queued = deferred();
    let callback: () => Promise<void> = () => Promise.resolve();
    const server = await serve((req, res) =>
      bind(req, res, () => {
        Session.before = 1;
        callback = async () => {
          const id = await Session.Run({ request: req }, () => {
            Session.after = Number(Session.before) + 1;
            return Session.Id;
          });
          res.end(JSON.stringify([id, await stored(id ?? "", "after")]));
        };
        queued.resolve();
      }),
    );
    const answer = server.ask("/");
    await queued.promise;
    // Called from here, where there is no context.
    await callback();
    const reply = await answer;
    const [id, after] = JSON.parse(reply.text);
    expect([reply.cookie, after]).toEqual([`SESSION=${id}`, 2]);
  });

  it("of a request whose session is only being made is that session", async () => {
    const over = deferred<unknown>();
    const server = await serve((req, res) =>
      bind(req, res, () => {
        Session.before = 1;
        res.end("done");
        over.resolve(Session.Run({ request: req }, () => Session.set("after", 2)));
      }),
    );
    const reply = await server.ask("/");
    await over.promise;
    const id = reply.cookie.slice("SESSION=".length);
    expect([await stored(id, "before"), await stored(id, "after")]).toEqual([1, 2]);
  });

  it("of an upgrade that went through session() with a response that leads nowhere is that of its cookie", async () => {
    const id = await make({ n: 1 });
    const server = await serveUpgrades(
      (request) =>
        new Promise((resolve) => {
          bind(request, new ServerResponse(request), () => {
            resolve(Session.Run({ request }, () => [Session.Id, Session.n, sessionOf(request)?.id]));
          });
        }),
    );
    expect(await upgrade(server, `SESSION=${id}`)).toEqual([id, 1, id]);
    const creating = await serveUpgrades(
      (request) =>
        new Promise((resolve) => {
          bind(request, new ServerResponse(request), () => {
            resolve(Session.Run({ request }, () => Session.set("a", 1)));
          });
        }),
    );
    expect(await upgrade(creating)).toBe("ERR_HEADERS_SENT");
  });

  it("of a request that is answered already is the session it ended with, and creates none", async () => {
    const [ended, kept] = [deferred(), [] as IncomingMessage[]];
    const server = await serve((req, res) =>
      bind(req, res, () => {
        kept.push(req);
        if (req.url === "/in") Session.user = "ann";
        res.on("close", ended.resolve);
        res.end(Session.Id ?? "");
      }),
    );
    const { text: id } = await server.ask("/in");
    await ended.promise;
    await server.ask("/");
    const [signed, plain] = kept;
    if (signed === undefined || plain === undefined) throw new Error("no request came");
    await expect.poll(() => sessionOf(plain) !== undefined && plain.destroyed).toBe(true);
    expect(await Session.Run({ request: signed }, () => [Session.Id, Session.user])).toEqual([id, "ann"]);
    const creation = Session.Run({ request: plain }, () => Session.set("a", 1));
    await expect(creation).rejects.toThrow(expect.objectContaining({ code: "ERR_HEADERS_SENT" }));
  });

  it("of a request that ended what it could not read is the session it began instead", async () => {
    const id = await make({ n: 1 });
    writeFileSync(house.pathOf(id), "nonsense");
    const [ended, kept] = [deferred(), [] as IncomingMessage[]];
    const server = await serve((req, res) =>
      bind(req, res, async () => {
        kept.push(req);
        res.on("close", ended.resolve);
        await Session.Abandon();
        Session.n = 2;
        res.end(Session.Id);
      }),
    );
    const { text } = await server.ask("/", { cookie: `SESSION=${id}` });
    await ended.promise;
    const [request] = kept;
    if (request === undefined) throw new Error("no request came");
    expect(await Session.Run({ request }, () => [Session.Id, Session.n])).toEqual([text, 2]);
  });

  it("takes a handshake that has nothing of a request but its headers", async () => {
    const id = await make({ user: "ann" });
    const handshake = { headers: { cookie: `SESSION=${id}`, host: "x" }, address: "10.0.0.1" };
    expect(await Session.Run({ request: handshake }, () => Session.user)).toBe("ann");
  });
});

describe("sessionOf", () => {
  it("is the handle of a request that session() has seen, from anywhere", async () => {
    const entered = deferred();
    const seen: [IncomingMessage, ServerResponse][] = [];
    const server = await serve((req, res) => {
      expect(sessionOf(req)).toBeUndefined();
      bind(req, res, () => {
        seen.push([req, res]);
        entered.resolve();
      });
    });
    const id = await make({ user: "ann" });
    const reply = server.ask("/", { cookie: `SESSION=${id}` });
    await entered.promise;
    // No context here.
    expect(() => Session.user).toThrow(expect.objectContaining({ code: "ERR_NO_SESSION_CONTEXT" }));
    const [[req, res] = []] = seen;
    if (req === undefined || res === undefined) throw new Error("no request came");
    const handle = sessionOf(req);
    expectTypeOf(handle).toEqualTypeOf<Handle | undefined>();
    expect([handle?.id, handle?.get("user")]).toEqual([id, "ann"]);
    handle?.set("user", "bob");
    res.end("done");
    await reply;
    expect(await stored(id, "user")).toBe("bob");
  });

  it("is undefined for whatever else there is", async () => {
    const server = await serve((req, res) =>
      res.end(String([req, res, {}].every((one) => sessionOf(one) === undefined))),
    );
    expect((await server.ask("/")).text).toBe("true");
    for (const value of [undefined, null, "x", 5, [], {}, { headers: {} }, new Request("http://x/")]) {
      expect(sessionOf(value as object)).toBeUndefined();
    }
  });

  it("of a response is undefined, and that of the last of two middlewares counts", async () => {
    const second = session({ ...other.options, cookieName: "sid" });
    const id = await make({ n: 1 }, other.worker());
    const server = await serve((req, res) =>
      bind(req, res, () =>
        second(req, res, () => res.end(JSON.stringify([sessionOf(res) === undefined, sessionOf(req)?.id]))),
      ),
    );
    expect(JSON.parse((await server.ask("/", { cookie: `sid=${id}` })).text)).toEqual([true, id]);
  });
});

// Several workers that serve one session at once.
import { describe, expect, it } from "vitest";
import { session as expressSession } from "../../../../client/express/drop-in.ts";
import { session } from "../../../../client/http/node/middleware.ts";
import { Session } from "../../../../client/static/session.ts";
import { deferred } from "../../../support/deferred.ts";
import {
  type Handler,
  house,
  makeSession,
  openSite,
  serve,
  setAndShow,
  stored,
  worker,
} from "../../../support/http/session-site.ts";

openSite();

describe("a worker that has just started", () => {
  it.each([
    ["session()", () => session(house.options)],
    ["the drop-in for express-session", () => expressSession(house.options)],
  ])("is connected by %s before its first request", async (_, call) => {
    const { connections } = await worker.status();
    call();
    await expect.poll(async () => (await worker.status()).connections).toBe(connections + 1);
  });
});

describe("several workers at once", () => {
  it("requests of one session that change different keys lose nothing", async () => {
    const id = await makeSession({ a: 1 });
    const workers = [await serve(setAndShow), await serve(setAndShow)];
    const cookie = `SESSION=${id}`;
    await Promise.all(Array.from({ length: 40 }, (_, n) => workers[n % 2]?.ask(`/?k${n}=${n}`, { cookie })));
    const all = JSON.parse((await workers[0]?.ask("/", { cookie }))?.text ?? "{}").entries;
    expect(Object.keys(all).length).toBe(41);
  });

  it("transactions of one session are exact", async () => {
    const id = await makeSession({ n: 0 });
    const count: Handler = async (_req, res) => {
      const mine = await Session.Transaction(() => {
        const next = (Session.n as number) + 1;
        Session.n = next;
        return next;
      });
      res.end(String(mine));
    };
    const workers = [await serve(count), await serve(count)];
    const cookie = `SESSION=${id}`;
    const replies = await Promise.all(Array.from({ length: 40 }, (_, n) => workers[n % 2]?.ask("/", { cookie })));
    expect(new Set(replies.map((reply) => reply?.text)).size).toBe(40);
    expect(await stored(id, "n")).toBe(40);
  });

  it("two requests of one worker never share an object", async () => {
    const id = await makeSession({ cart: { n: 0 } });
    const both = [deferred(), deferred()];
    let turn = 0;
    const server = await serve(async (_req, res) => {
      const mine = turn++;
      const cart = Session.cart as { n: number };
      cart.n += 1;
      both[mine]?.resolve();
      await Promise.all(both.map(({ promise }) => promise));
      const seen = cart.n;
      Session.Modified = false;
      res.end(String(seen));
    });
    const cookie = `SESSION=${id}`;
    const replies = await Promise.all([server.ask("/", { cookie }), server.ask("/", { cookie })]);
    expect(replies.map((reply) => reply.text)).toEqual(["1", "1"]);
  });
});

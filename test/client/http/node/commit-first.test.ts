// Nothing of a response leaves before its session is committed.
import { Readable } from "node:stream";
import { describe, expect, it } from "vitest";
import { Session } from "../../../../client/static/session.ts";
import { deferred } from "../../../support/deferred.ts";
import { readReply } from "../../../support/http/http-house.ts";
import {
  GONE,
  type Handler,
  holdTurn,
  house,
  idOf,
  makeSession,
  openSite,
  serve,
  setAndShow,
  show,
  stored,
  untilHeld,
} from "../../../support/http/session-site.ts";

openSite();

describe("the commit comes before the headers", () => {
  it("a redirect never outruns its session, in any worker", async () => {
    const [one, two] = [await serve(setAndShow), await serve(show)];
    for (let n = 0; n < 30; n++) {
      const first = await one.ask(`/?n=${n}`);
      const second = await two.ask("/", { cookie: first.cookie });
      expect(JSON.parse(second.text).entries).toEqual({ n: String(n) });
    }
  });

  it.each<[string, Handler]>([
    ["end", (_req, res) => res.end("done")],
    [
      "writeHead and end",
      (_req, res) => {
        res.writeHead(302, { Location: "/next" });
        res.end("done");
      },
    ],
    ["writeHead alone first", (_req, res) => void res.writeHead(200).end("done")],
    [
      "write",
      (_req, res) => {
        res.write("do");
        res.end("ne");
      },
    ],
    [
      "flushHeaders",
      (_req, res) => {
        res.flushHeaders();
        res.end("done");
      },
    ],
    ["pipe", (_req, res) => void Readable.from(["do", "ne"]).pipe(res)],
  ])("nothing leaves before a slow commit is done: %s", async (_name, finish) => {
    const id = await makeSession({ a: 1 });
    const server = await serve((req, res) => {
      Session.set("a", 2);
      finish(req, res);
    });
    const letGo = await holdTurn(id);
    const sent = server.begin("/", { cookie: `SESSION=${id}` });
    let hasAnswer = false;
    sent.once("response", () => {
      hasAnswer = true;
    });
    sent.end();
    const reply = readReply(sent);
    await untilHeld(server);
    expect([hasAnswer, await stored(id, "a")]).toEqual([false, 1]);
    await letGo();
    expect((await reply).text).toBe("done");
    expect(await stored(id, "a")).toBe(2);
  });

  it("what is changed between the first write and the end is committed before the end", async () => {
    const id = await makeSession({ a: 1 });
    const server = await serve(async (_req, res) => {
      Session.set("a", 2);
      await new Promise<void>((written) => res.write("one", () => written()));
      Session.set("b", 3);
      res.end("two");
    });
    const reply = await server.ask("/", { cookie: `SESSION=${id}` });
    expect([reply.text, await stored(id, "a"), await stored(id, "b")]).toEqual(["onetwo", 2, 3]);
  });

  it("also when the end comes while the first commit is still under way", async () => {
    const [isHeld, hasEnded] = [deferred(), deferred()];
    const id = await makeSession({ a: 1 });
    const server = await serve(async (_req, res) => {
      Session.set("a", 2);
      res.write("one");
      await isHeld.promise;
      Session.set("b", 3);
      res.end("two");
      hasEnded.resolve();
    });
    const letGo = await holdTurn(id);
    const reply = server.ask("/", { cookie: `SESSION=${id}` });
    await untilHeld(server);
    isHeld.resolve();
    await hasEnded.promise;
    await letGo();
    expect((await reply).text).toBe("onetwo");
    expect([await stored(id, "a"), await stored(id, "b")]).toEqual([2, 3]);
  });

  it("changes after the headers of a request that had only read are committed before its end", async () => {
    const id = await makeSession({ a: 1 });
    const server = await serve(async (_req, res) => {
      res.write(String(Session.a));
      Session.a = 2;
      await new Promise((resolve) => setImmediate(resolve));
      res.end("!");
    });
    const reply = await server.ask("/", { cookie: `SESSION=${id}` });
    expect([reply.text, await stored(id, "a")]).toEqual(["1!", 2]);
  });

  it("a save or an end that was begun and not awaited is waited for", async () => {
    const id = await makeSession({ a: 1 });
    const server = await serve((_req, res) => {
      void Session.Abandon();
      res.end("bye");
    });
    const letGo = await holdTurn(id);
    const reply = server.ask("/", { cookie: `SESSION=${id}` });
    await untilHeld(server);
    expect(house.has(id)).toBe(true);
    await letGo();
    expect((await reply).setCookies).toEqual([`SESSION=;${GONE};path=/;httponly;SameSite=Lax`]);
    expect(house.has(id)).toBe(false);
  });

  it("Save inside the handler is in the file when it resolves", async () => {
    const server = await serve(async (_req, res) => {
      Session.a = 1;
      await Session.Save();
      res.end(String(house.fileOf(Session.Id ?? "").length === Session.Size));
    });
    const reply = await server.ask("/");
    expect([reply.text, reply.setCookies.length]).toEqual(["true", 1]);
  });

  it("Path is right in the very first request of a worker", async () => {
    const server = await serve((_req, res) => {
      Session.a = 1;
      res.end(Session.Path);
    });
    const reply = await server.ask("/");
    expect(reply.text).toBe(house.pathOf(idOf(reply)));
  });
});

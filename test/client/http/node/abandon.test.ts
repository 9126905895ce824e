// Abandon in a request: the cookie goes, too.
import { writeFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { Session } from "../../../../client/static/session.ts";
import {
  errors,
  filesNow,
  GONE,
  house,
  idOf,
  makeSession,
  openSite,
  serve,
  worker,
} from "../../../support/http/session-site.ts";

openSite();

describe("Abandon", () => {
  it("removes the cookie with the path it was set with", async () => {
    const server = await serve(
      async (req, res) => {
        if (req.url === "/make") Session.a = 1;
        else await Session.Abandon();
        res.end();
      },
      { cookiePath: "/deep" },
    );
    const other = await serve(async (_req, res) => {
      await Session.Abandon();
      res.end();
    });
    const made = await server.ask("/make");
    const ended = await other.ask("/", { cookie: made.cookie });
    expect(ended.setCookies).toEqual([`SESSION=;${GONE};path=/deep;httponly;SameSite=Lax`]);
    expect(house.has(idOf(made))).toBe(false);
  });

  it("removes it with its right path though the request chose another before", async () => {
    const server = await serve(async (req, res) => {
      if (req.url === "/make") Session.a = 1;
      else {
        Session.CookiePath = "/elsewhere";
        await Session.Abandon();
      }
      res.end();
    });
    const made = await server.ask("/make");
    const ended = await server.ask("/", { cookie: made.cookie });
    expect(ended.setCookies).toEqual([`SESSION=;${GONE};path=/;httponly;SameSite=Lax`]);
  });

  it("and a new session in one response: the new cookie takes the place of the old", async () => {
    const id = await makeSession({ a: 1 });
    const server = await serve(async (_req, res) => {
      await Session.Abandon();
      Session.b = 2;
      res.end(Session.Id);
    });
    const reply = await server.ask("/", { cookie: `SESSION=${id}` });
    expect(reply.setCookies).toEqual([`SESSION=${reply.text};path=/;httponly;SameSite=Lax`]);
    expect([house.has(id), house.has(reply.text)]).toEqual([false, true]);
  });

  it("without a session sends nothing", async () => {
    const server = await serve(async (_req, res) => {
      await Session.Abandon();
      res.end();
    });
    expect((await server.ask("/")).setCookies).toEqual([]);
  });

  it("of a session made in the same request sends nothing and leaves nothing", async () => {
    const before = filesNow().length;
    const server = await serve(async (_req, res) => {
      Session.a = 1;
      await Session.Abandon();
      res.end();
    });
    expect((await server.ask("/")).setCookies).toEqual([]);
    expect(filesNow().length).toBe(before);
  });

  it("a path that a Gambas program left, and no header can hold, does not break the response", async () => {
    const handle = worker.create();
    handle.set("a", 1);
    await handle.save();
    const id = handle.id ?? "";
    // "/\r\n;" and beyond in place of the cookie path at the end of the file.
    const image = house.fileOf(id);
    const path = Buffer.from("/é\r\nX-Evil: 1;q");
    writeFileSync(house.pathOf(id), Buffer.concat([image.subarray(0, -1), Buffer.of(path.length), path]));
    const server = await serve(async (_req, res) => {
      await Session.Abandon();
      res.end("bye");
    });
    const reply = await server.ask("/", { cookie: `SESSION=${id}` });
    expect([reply.status, reply.text, reply.headers["x-evil"]]).toEqual([200, "bye", undefined]);
    expect(reply.setCookies.length).toBe(1);
    expect(house.has(id)).toBe(false);
  });

  it("a session that ended elsewhere while this request changed it: the cookie goes, nothing comes back", async () => {
    const id = await makeSession({ a: 1 });
    const server = await serve(async (_req, res) => {
      Session.a = 2;
      await house.worker().abandon(id);
      res.end("done");
    });
    const reply = await server.ask("/", { cookie: `SESSION=${id}` });
    expect(reply.setCookies).toEqual([`SESSION=;${GONE};path=/;httponly;SameSite=Lax`]);
    expect(errors).toEqual([expect.objectContaining({ code: "ERR_SESSION_GONE" })]);
    expect(house.has(id)).toBe(false);
  });

  it("Load finds out too, and the cookie goes", async () => {
    const id = await makeSession({ a: 1 });
    const server = await serve(async (_req, res) => {
      await house.worker().abandon(id);
      await Session.Load();
      res.end(String(Session.Id));
    });
    const reply = await server.ask("/", { cookie: `SESSION=${id}` });
    expect([reply.text, reply.setCookies]).toEqual(["null", [`SESSION=;${GONE};path=/;httponly;SameSite=Lax`]]);
  });
});

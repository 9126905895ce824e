// A session that begins when the headers have left.
import { describe, expect, it } from "vitest";
import { Session } from "../../../../client/static/session.ts";
import type { SessionError } from "../../../../protocol/errors.ts";
import { filesNow, makeSession, openSite, serve, stored } from "../../../support/http/session-site.ts";

openSite();

describe("a session that cannot be created any more", () => {
  it("ERR_HEADERS_SENT after the headers have left, and nothing is made", async () => {
    const server = await serve(async (_req, res) => {
      res.write("begun ");
      try {
        Session.a = 1;
      } catch (error) {
        res.end(`${(error as SessionError).code} ${Session.Id}`);
      }
    });
    const before = filesNow();
    expect((await server.ask("/")).text).toBe("begun ERR_HEADERS_SENT null");
    expect(filesNow()).toEqual(before);
  });

  it("also while the headers wait for another session's end", async () => {
    const id = await makeSession({ a: 1 });
    let code = "no error";
    const server = await serve(async (_req, res) => {
      void Session.Abandon();
      res.end("ended");
      try {
        Session.b = 1;
      } catch (error) {
        code = (error as SessionError).code;
      }
    });
    await server.ask("/", { cookie: `SESSION=${id}` });
    expect(code).toBe("ERR_HEADERS_SENT");
  });

  it("changing a session there is works still", async () => {
    const id = await makeSession({ a: 1 });
    const server = await serve(async (_req, res) => {
      res.flushHeaders();
      Session.a = 2;
      res.end("ok");
    });
    expect((await server.ask("/", { cookie: `SESSION=${id}` })).text).toBe("ok");
    expect(await stored(id, "a")).toBe(2);
  });
});

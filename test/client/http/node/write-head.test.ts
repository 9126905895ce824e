// Headers that the application gives to writeHead, beside our cookies.
import { describe, expect, it } from "vitest";
import { Session } from "../../../../client/static/session.ts";
import { idOf, openSite, serve } from "../../../support/http/session-site.ts";

openSite();

describe("headers given to writeHead", () => {
  it.each<[string, readonly unknown[], Record<string, string | string[]>]>([
    ["and nothing after them", [201, { "Set-Cookie": "a=b" }, undefined], { cookies: ["a=b"] }],
    ["with a reason", [201, "Fine", { "Set-Cookie": ["a=b", "c=d"] }], { cookies: ["a=b", "c=d"] }],
    [
      "as a list that names one twice",
      [201, ["X-A", "1", "X-A", "2", "Set-Cookie", "a=b"]],
      { cookies: ["a=b"], "x-a": "1, 2" },
    ],
  ])("%s go out beside our cookie", async (_what, args, expected) => {
    const server = await serve((_req, res) => {
      Session.a = 1;
      Reflect.apply(res.writeHead, res, args);
      res.end();
    });
    const reply = await server.ask("/");
    expect(reply.status).toBe(201);
    expect(idOf(reply)).toMatch(/^127/);
    const { cookies, ...others } = expected;
    expect(reply.setCookies.filter((line) => !line.startsWith("SESSION="))).toEqual(cookies);
    expect(reply.headers).toMatchObject(others);
  });

  it("replace cookies that were set before, as without a session", async () => {
    const server = await serve((req, res) => {
      if (req.url === "/used") Session.a = 1;
      res.setHeader("Set-Cookie", ["sid=old"]);
      res.writeHead(200, { "Set-Cookie": "sid=new" });
      res.end();
    });
    expect((await server.ask("/")).setCookies).toEqual(["sid=new"]);
    const { setCookies } = await server.ask("/used");
    expect(setCookies).toEqual(["sid=new", expect.stringMatching(/^SESSION=/)]);
  });
});

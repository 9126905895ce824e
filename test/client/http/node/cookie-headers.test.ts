// Cookie headers of every kind, as browsers and others send them.
import type { ServerResponse } from "node:http";
import { describe, expect, it } from "vitest";
import { Session } from "../../../../client/static/session.ts";
import {
  filesNow,
  HEX,
  house,
  idOf,
  makeSession,
  openSite,
  serve,
  setAndShow,
  show,
} from "../../../support/http/session-site.ts";

openSite();

describe("cookie headers of every kind", () => {
  it("find the session, or none, as Gambas would; nothing is opened or left", async () => {
    const id = await makeSession({ a: "1" });
    const server = await serve(show);
    const before = filesNow();
    const cases: [string, boolean][] = [
      [`SESSION=${id}`, true],
      [`a=b; SESSION=${id}; c=d`, true],
      [`a=b;SESSION=${id};c=d`, true],
      [`SESSION=x; SESSION=${id}`, true],
      [`SESSION=${id}=x`, true],
      [`;;; SESSION=${id};;`, true],
      [`SESSION=${id}; SESSION=x`, true],
      [`SESSION=${id}; SESSION=`, true],
      [`session=${id}`, false],
      [`SESSION =${id}`, false],
      [`SESSION= ${id}`, false],
      [`SESSION="${id}"`, false],
      [`SESSION=${encodeURIComponent(id)}`, false],
      [`SESSION=${id.toLowerCase()}`, false],
      [`XSESSION=${id}`, false],
      [`SESSION=${id}.lock`, false],
      [`SESSION=../session/${id}`, false],
      [`SESSION=./${id}`, false],
      [`SESSION=/etc/passwd`, false],
      [`SESSION=..`, false],
      [`SESSION=%00${id}`, false],
      [`SESSION=127.0.0.1:${HEX}`, false],
      [`SESSION=${"x".repeat(8000)}:${HEX}`, false],
      [`SESSION=${Buffer.from("日本").toString("latin1")}:${HEX}`, false],
      [`SESSION=\xff\xfe:${HEX}`, false],
      ["SESSION", false],
      ["=", false],
      [";", false],
      [`a=b, SESSION=${id}`, false],
    ];
    for (const [cookie, isFound] of cases) {
      const reply = await server.ask("/", { cookie });
      expect([cookie, reply.status, reply.setCookies, JSON.parse(reply.text).id]).toEqual([
        cookie,
        200,
        [],
        isFound ? id : null,
      ]);
    }
    expect(filesNow()).toEqual(before);
  });

  it.each<[string, (res: ServerResponse) => void]>([
    ["end with text", (res) => void res.end("é")],
    ["end with encoded text", (res) => void res.end("c3a9", "hex")],
    ["end with bytes", (res) => void res.end(Buffer.from("é"))],
    [
      "write",
      (res) => {
        res.write("é");
        res.end();
      },
    ],
    [
      "write with a length",
      (res) => {
        res.setHeader("Content-Length", 2);
        res.write("é", "utf8");
        res.end();
      },
    ],
    [
      "flushHeaders",
      (res) => {
        res.flushHeaders();
        res.end("é");
      },
    ],
    ["writeHead", (res) => void res.writeHead(200).end("é")],
  ])("an id that is not ASCII goes out and comes back: %s", async (_name, finish) => {
    const server = await serve(
      (req, res) => {
        if (req.url === "/show") show(req, res);
        else {
          Session.a = 1;
          finish(res);
        }
      },
      { prefix: "日本é" },
    );
    const first = await server.ask("/");
    expect(first.text).toBe("é");
    const read = await server.ask("/show", { cookie: first.cookie });
    expect(JSON.parse(read.text).entries).toEqual({ a: 1 });
    expect(JSON.parse(read.text).id).toMatch(/^日本é:/);
  });

  it("an unknown id is never adopted: the session made instead has another", async () => {
    const server = await serve(setAndShow);
    const unknown = `127.0.0.1:${HEX}`;
    const reply = await server.ask("/?a=1", { cookie: `SESSION=${unknown}` });
    expect(idOf(reply)).not.toBe(unknown);
    expect([house.has(unknown), house.has(`${unknown}.lock`)]).toEqual([false, false]);
  });

  it("neither is an expired one, whose file goes", async () => {
    const server = await serve(setAndShow);
    const id = await makeSession({ a: "old" });
    house.makeOlder(id, 86_400_000);
    const reply = await server.ask("/?b=1", { cookie: `SESSION=${id}` });
    expect(JSON.parse(reply.text).entries).toEqual({ b: "1" });
    expect(idOf(reply)).not.toBe(id);
    expect(house.has(id)).toBe(false);
  });
});

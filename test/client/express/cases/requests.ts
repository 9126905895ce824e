// What a request finds in `req.session`, and what of it is there when its response has arrived.
import { expect } from "vitest";
import { attributesOf, count, sidOf } from "../kinds.ts";
import type { Case } from "./case.ts";

const ended: readonly (readonly [string, number | undefined, readonly string[]])[] = [
  ["a response that is ended at once", undefined, ["saved"]],
  ["an empty response", 0, []],
  ["a response that is written in pieces", undefined, ["sav", "ed"]],
  ["a response whose length is told", 5, ["saved"]],
];

export const REQUESTS: readonly Case[] = [
  [
    "leaves a request alone that has a session already",
    async (open) => {
      const place = await open({
        setup: (req) => Object.assign(req, { session: { own: true } }),
        respond: (req, res) => res.end(String(req.session.own)),
      });
      const reply = await place.ask();
      expect([reply.text, reply.setCookies]).toEqual(["true", []]);
    },
  ],
  [
    "creates a session",
    async (open) => {
      const place = await open({ respond: count });
      const reply = await place.ask();
      expect(attributesOf(reply).name).toBe("connect.sid");
      expect(await place.sessions.count()).toBe(1);
    },
  ],
  [
    "loads the session that the cookie names",
    async (open) => {
      const place = await open({ respond: count });
      const { cookie } = await place.ask();
      expect((await place.ask("/", { cookie })).text).toBe("2");
      expect((await place.ask("/", { cookie })).text).toBe("3");
    },
  ],
  [
    "creates a session for each visitor",
    async (open) => {
      const place = await open({ respond: count });
      const replies = await Promise.all([place.ask(), place.ask()]);
      expect(replies.map(({ text }) => text)).toEqual(["1", "1"]);
      expect(await place.sessions.count()).toBe(2);
    },
  ],
  [
    "answers a request whose url is empty",
    async (open) => {
      const place = await open({ setup: (req) => Object.assign(req, { url: "" }) });
      const reply = await place.ask();
      expect([reply.status, attributesOf(reply).name]).toEqual([200, "connect.sid"]);
    },
  ],
  [
    "lets an application end its response twice",
    async (open) => {
      const place = await open({
        respond: (_req, res) => {
          res.setHeader("Content-Type", "text/plain");
          res.end("once");
          res.end();
        },
      });
      const reply = await place.ask();
      expect([reply.text, reply.headers["content-type"]]).toEqual(["once", "text/plain"]);
    },
  ],
  [
    "lets an application end its response with null",
    async (open) => {
      const place = await open({ respond: (_req, res) => res.end(null) });
      expect(await place.ask()).toMatchObject({ status: 200, text: "" });
    },
  ],
  [
    "lists the keys and the cookie, and nothing else",
    async (open) => {
      const place = await open({
        respond: (req, res) => {
          Object.assign(req.session, { first: 1, second: "b" });
          const listed: string[] = [];
          for (const key in req.session) listed.push(key);
          res.end([Object.keys(req.session).sort(), listed.sort()].join("|"));
        },
      });
      expect((await place.ask()).text).toBe("cookie,first,second|cookie,first,second");
    },
  ],
  [
    "keeps its methods where an application has replaced one by a value",
    async (open) => {
      const place = await open({
        respond: (req, res) => {
          const kind = typeof req.session.regenerate;
          if (req.url === "/break") Object.assign(req.session, { regenerate: "nope", kept: 1 });
          res.end(`${kind} ${String(req.session.kept)}`);
        },
      });
      const { cookie } = await place.ask("/break");
      expect((await place.ask("/", { cookie })).text).toMatch(/^function/);
    },
  ],
  [
    "saves nothing under an id that is no text",
    async (open) => {
      const place = await open({
        respond: (req, res) => {
          Object.assign(req, { sessionID: () => "x" });
          req.session.key = 1;
          res.end();
        },
      });
      expect((await place.ask()).setCookies).toEqual([]);
      expect(await place.sessions.count()).toBe(0);
    },
  ],
  ...ended.map(([what, length, pieces]): Case => {
    return [
      `has saved the session when ${what} has arrived`,
      async (open) => {
        const place = await open({
          respond: (req, res) => {
            req.session.hit = true;
            if (length !== undefined) res.setHeader("Content-Length", length);
            for (const piece of pieces.slice(0, -1)) res.write(piece);
            res.end(pieces.at(-1));
          },
        });
        const reply = await place.ask();
        expect(reply.text).toBe(pieces.join(""));
        expect(await place.sessions.values(sidOf(reply))).toMatchObject({ hit: true });
      },
    ];
  }),
  [
    "prolongs the life of a session with each use",
    async (open) => {
      const place = await open({ respond: (req, res) => res.end(String(req.session.cookie.originalMaxAge)) });
      const reply = await place.ask();
      const expiry = async (): Promise<number> => {
        const { cookie } = (await place.sessions.values(sidOf(reply))) as { cookie: { expires: Date | string } };
        return new Date(cookie.expires).getTime();
      };
      const before = await expiry();
      place.passTime(5_000);
      expect((await place.ask("/", { cookie: reply.cookie })).text).toBe("60000");
      await expect.poll(expiry).toBeGreaterThanOrEqual(before + 4_000);
    },
  ],
  [
    "begins another session where that of the cookie is gone",
    async (open) => {
      const place = await open({ respond: count });
      const first = await place.ask();
      await place.sessions.clear();
      const second = await place.ask("/", { cookie: first.cookie });
      expect(second.text).toBe("1");
      expect(sidOf(second)).not.toBe(sidOf(first));
    },
  ],
  [
    "begins another session where that of the cookie has expired, which is gone for good",
    async (open) => {
      const place = await open({ options: { cookie: { maxAge: 2_000 } }, respond: count });
      const first = await place.ask();
      place.passTime(4_000);
      expect(await place.sessions.values(sidOf(first))).toBeUndefined();
      const second = await place.ask("/", { cookie: first.cookie });
      expect(second.text).toBe("1");
      expect(sidOf(second)).not.toBe(sidOf(first));
    },
  ],
  [
    "adopts no id that it has not given itself",
    async (open) => {
      const place = await open({ respond: count });
      const { text, setCookies } = await place.ask("/", { cookie: "connect.sid=place:000000000000000000000000" });
      expect([text, setCookies.length]).toEqual(["1", 1]);
      expect(await place.sessions.values("place:000000000000000000000000")).toBeUndefined();
    },
  ],
  [
    "knows no session by a cookie that was changed on its way",
    async (open) => {
      const place = await open({ respond: count });
      const first = await place.ask();
      const changed = first.cookie.replace(/.{3}$/, "AAA");
      const second = await place.ask("/", { cookie: changed });
      expect(second.text).toBe("1");
      expect(sidOf(second)).not.toBe(sidOf(first));
    },
  ],
  [
    "answers with the error where a session cannot be read",
    async (open) => {
      const place = await open({ respond: count });
      const reply = await place.ask();
      await place.damage(sidOf(reply));
      expect((await place.ask("/", { cookie: reply.cookie })).status).toBe(500);
    },
  ],
  [
    "works where write and end of the response were replaced before",
    async (open) => {
      const place = await open({
        setup: (_req, res) => replaceCalls(res),
        respond: (req, res) => {
          req.session.hit = true;
          res.write("hello, ");
          res.end("world");
        },
      });
      expect(await place.ask()).toMatchObject({ status: 200, text: "hello, world" });
    },
  ],
  [
    "works where write and end of the response are replaced afterwards",
    async (open) => {
      const place = await open({
        respond: (req, res) => {
          replaceCalls(res);
          req.session.hit = true;
          res.write("hello, ");
          res.end("world");
        },
      });
      const reply = await place.ask();
      expect(reply).toMatchObject({ status: 200, text: "hello, world" });
      expect(await place.sessions.values(sidOf(reply))).toMatchObject({ hit: true });
    },
  ],
  [
    "lets Node refuse headers of a response that was ended",
    async (open) => {
      let thrown: unknown;
      const place = await open({
        respond: (_req, res) => {
          res.end();
          try {
            res.setHeader("Content-Length", "3");
          } catch (error) {
            thrown = error;
          }
        },
      });
      expect((await place.ask()).status).toBe(200);
      expect(thrown).toMatchObject({ code: "ERR_HTTP_HEADERS_SENT" });
    },
  ],
];

/** As a middleware does that counts bytes, say. */
function replaceCalls(res: { write: unknown; end: unknown }): void {
  for (const name of ["write", "end"] as const) {
    const call = res[name] as (...args: unknown[]) => unknown;
    res[name] = function (this: unknown, ...args: unknown[]): unknown {
      return Reflect.apply(call, this, args);
    };
  }
}

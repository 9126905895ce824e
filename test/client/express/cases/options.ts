// What the options of express-session do.
import { expect } from "vitest";
import { attributesOf, count, type Handler, sidOf } from "../kinds.ts";
import type { Case } from "./case.ts";

const HTTPS = { "x-forwarded-proto": "https" };
const saysSecure: Handler = (req) => Object.assign(req, { secure: req.headers["x-secure"] === "yes" });
const setsUser: Handler = (req, res) => {
  req.session.user = "bob";
  res.end();
};

/** Whether a cookie is sent that is for HTTPS alone. */
function secureCase(
  sentence: string,
  options: Record<string, unknown>,
  headers: Record<string, string>,
  isSent: boolean,
): Case {
  return [
    sentence,
    async (open) => {
      const place = await open({ setup: saysSecure, options: { ...options, cookie: { secure: true } } });
      expect((await place.ask("/", { headers })).setCookies.length).toBe(isSent ? 1 : 0);
    },
  ];
}

function autoCase(
  sentence: string,
  options: Record<string, unknown>,
  headers: Record<string, string>,
  isSecure: boolean,
): Case {
  return [
    sentence,
    async (open) => {
      const cookie = { secure: "auto", sameSite: "auto" };
      const place = await open({ setup: saysSecure, options: { ...options, cookie } });
      const attributes = attributesOf(await place.ask("/", { headers }));
      expect("secure" in attributes).toBe(isSecure);
      expect(attributes.samesite).toBe(isSecure ? "None" : "Lax");
    },
  ];
}

function pathCase(path: string, isSent: boolean, mounted = false): Case {
  return [
    `with a cookie for /foo/bar ${isSent ? "sends it" : "does without a session"} at ${path}${mounted ? " of a router at /foo" : ""}`,
    async (open) => {
      const place = await open({
        options: { cookie: { path: "/foo/bar" } },
        setup: (req) => {
          if (mounted && req.url.startsWith("/foo"))
            Object.assign(req, { originalUrl: req.url, url: req.url.slice(4) });
        },
        respond: (req, res) => res.end(typeof req.session),
      });
      const reply = await place.ask(path);
      expect([reply.setCookies.length, reply.text]).toEqual(isSent ? [1, "object"] : [0, "undefined"]);
    },
  ];
}

/** The number of sessions and cookies after one request that sets nothing, or a key. */
function beginCase(
  sentence: string,
  options: Record<string, unknown>,
  respond: Handler | undefined,
  sessions: number,
): Case {
  return [
    sentence,
    async (open) => {
      const place = await open({ options, ...(respond && { respond }) });
      expect((await place.ask()).setCookies.length).toBe(sessions);
      expect(await place.sessions.count()).toBe(sessions);
    },
  ];
}

/** How often the second of two equal requests writes. */
function writeCase(sentence: string, options: Record<string, unknown>, respond: Handler, writes: number): Case {
  return [
    sentence,
    async (open) => {
      const place = await open({ options, respond });
      const { cookie } = await place.ask();
      const before = await place.sessions.writes();
      await place.ask("/", { cookie });
      expect((await place.sessions.writes()) - before).toBe(writes);
    },
  ];
}

function secretCase(sentence: string, secret: unknown): Case {
  return [
    sentence,
    async (open) => {
      const place = await open({ options: { secret }, respond: count });
      const { cookie } = await place.ask();
      expect((await place.ask("/", { cookie })).text).toBe("2");
    },
  ];
}

function refusedCase(sentence: string, options: Record<string, unknown>, words: RegExp): Case {
  return [
    sentence,
    async (open) => {
      await expect(open({ options })).rejects.toThrow(words);
    },
  ];
}

export const OPTIONS: readonly Case[] = [
  secureCase("with proxy believes X-Forwarded-Proto", { proxy: true }, HTTPS, true),
  secureCase(
    "with proxy believes the first of several in X-Forwarded-Proto",
    { proxy: true },
    { "x-forwarded-proto": "https,http" },
    true,
  ),
  secureCase("with proxy and no header sends no cookie that is for HTTPS", { proxy: true }, {}, false),
  secureCase("with proxy: false does not believe X-Forwarded-Proto", { proxy: false }, HTTPS, false),
  secureCase("with proxy: false does not ask req.secure", { proxy: false }, { "x-secure": "yes" }, false),
  secureCase("without proxy does not believe X-Forwarded-Proto", {}, HTTPS, false),
  secureCase("without proxy asks req.secure", {}, { "x-secure": "yes" }, true),
  autoCase("with secure: auto and proxy makes the cookie one for HTTPS", { proxy: true }, HTTPS, true),
  autoCase("with secure: auto and no proxy does not by X-Forwarded-Proto", { proxy: false }, HTTPS, false),
  [
    "tells cookies from the request where the option is a function",
    async (open) => {
      const cookie = (req: { url: string }): object => ({
        path: req.url === "/a" ? "/a" : "/",
        httpOnly: req.url === "/a",
      });
      const place = await open({ options: { cookie } });
      expect(attributesOf(await place.ask("/a"))).toEqual({ name: "connect.sid", path: "/a", httponly: "" });
      expect(attributesOf(await place.ask("/b"))).toEqual({ name: "connect.sid", path: "/" });
    },
  ],
  pathCase("/", false),
  pathCase("/foo/bar", true),
  pathCase("/foo/bar/baz", true),
  pathCase("/foo/bar", true, true),
  pathCase("/foo/foo/bar", false, true),

  refusedCase("refuses a genid that is no function", { genid: "bogus" }, /genid.*must/),
  ...["apple", "%", "/foo"].map((sid): Case => {
    return [
      `takes the id ${JSON.stringify(sid)} of genid`,
      async (open) => {
        const place = await open({
          options: { genid: () => sid },
          respond: (req, res) => {
            req.session.count = Number(req.session.count ?? 0) + 1;
            res.end(`${req.sessionID} ${req.session.id} ${req.session.count}`);
          },
        });
        const { text, cookie } = await place.ask();
        expect(text).toBe(`${sid} ${sid} 1`);
        expect((await place.ask("/", { cookie })).text).toBe(`${sid} ${sid} 2`);
      },
    ];
  }),
  [
    "gives genid the request",
    async (open) => {
      const place = await open({
        options: { genid: (req: { url: string }) => req.url },
        respond: (req, res) => res.end(req.sessionID),
      });
      expect((await place.ask("/of/this")).text).toBe("/of/this");
    },
  ],
  ...["name", "key"].map((option): Case => {
    return [
      `names the cookie by ${option}`,
      async (open) => {
        const place = await open({ options: { [option]: "session_id" }, respond: count });
        const reply = await place.ask();
        expect(attributesOf(reply).name).toBe("session_id");
        expect((await place.ask("/", { cookie: reply.cookie })).text).toBe("2");
      },
    ];
  }),

  [
    "without rolling sends no cookie again for a session that was not changed",
    async (open) => {
      const place = await open({ respond: setsUser });
      const { cookie } = await place.ask();
      expect((await place.ask("/", { cookie })).setCookies).toEqual([]);
    },
  ],
  [
    "with rolling sends the cookie with each response",
    async (open) => {
      const place = await open({ options: { rolling: true }, respond: setsUser });
      const { cookie } = await place.ask();
      expect(attributesOf(await place.ask("/", { cookie })).name).toBe("connect.sid");
    },
  ],
  [
    "with rolling sends a cookie that expires later, also in a response that is slow",
    async (open) => {
      const place = await open({
        options: { rolling: true },
        respond: (req, res) => {
          req.session.user = "bob";
          res.write("hello, ");
          setImmediate(() => res.end("world"));
        },
      });
      const first = await place.ask();
      place.passTime(3_000);
      const second = await place.ask("/", { cookie: first.cookie });
      const [before = "", after = ""] = [first, second].map((reply) => attributesOf(reply).expires);
      expect(Date.parse(after) - Date.parse(before)).toBeGreaterThanOrEqual(3_000);
    },
  ],
  beginCase("with rolling alone begins no session", { rolling: true, saveUninitialized: false }, undefined, 0),
  beginCase("with rolling and saveUninitialized begins a session", { rolling: true }, undefined, 1),
  beginCase(
    "with rolling begins a session that holds something",
    { rolling: true, saveUninitialized: false },
    setsUser,
    1,
  ),
  beginCase(
    "begins a session for everybody where saveUninitialized is not told",
    { saveUninitialized: undefined },
    undefined,
    1,
  ),
  beginCase("with saveUninitialized begins a session for everybody", {}, undefined, 1),
  beginCase(
    "without saveUninitialized begins no session that holds nothing",
    { saveUninitialized: false },
    undefined,
    0,
  ),
  beginCase(
    "without saveUninitialized begins a session that holds something",
    { saveUninitialized: false },
    setsUser,
    1,
  ),

  writeCase("with resave writes a session that was not changed", {}, setsUser, 1),
  writeCase("writes a session that was not changed where resave is not told", { resave: undefined }, setsUser, 1),
  writeCase("without resave does not write a session that was not changed", { resave: false }, setsUser, 0),
  writeCase("without resave writes a session that was changed", { resave: false }, count, 1),
  writeCase(
    "takes a member that is called cookie for a change",
    { resave: false },
    (req, res) => {
      const user = (req.session.user ?? {}) as { cookie?: number };
      req.session.user = user;
      user.cookie = (user.cookie ?? 0) + 1;
      res.end();
    },
    1,
  ),

  refusedCase("refuses an empty list of secrets", { secret: [] }, /secret/),
  [
    "answers with an error where no secret is told",
    async (open) => {
      const place = await open({ options: { secret: undefined } });
      expect((await place.ask()).status).toBe(500);
    },
  ],
  [
    "takes the secret from req.secret",
    async (open) => {
      const place = await open({
        options: { secret: undefined },
        setup: (req) => Object.assign(req, { secret: "a secret" }),
      });
      expect((await place.ask()).status).toBe(200);
    },
  ],
  secretCase("takes text for a secret", "awesome cat"),
  secretCase("takes bytes for a secret", Buffer.from("00112233445566778899", "hex")),
  secretCase("takes several secrets", ["new", "old"]),

  refusedCase("refuses an unset that it does not know", { unset: "bogus" }, /unset.*must/),
  ...(["keep", "destroy", undefined] as const).map((unset): Case => {
    return [
      `${unset === "destroy" ? "ends" : "keeps"} a session that is set to null, with unset: ${unset}`,
      async (open) => {
        const place = await open({
          options: { unset },
          respond: (req, res) => {
            const number = Number(req.session.count ?? 0) + 1;
            req.session.count = number;
            if (req.url === "/null") Object.assign(req, { session: null });
            res.end(String(number));
          },
        });
        const first = await place.ask();
        expect((await place.ask("/null", { cookie: first.cookie })).text).toBe("2");
        expect(await place.sessions.count()).toBe(unset === "destroy" ? 0 : 1);
        if (unset !== "destroy") expect(await place.sessions.values(sidOf(first))).toMatchObject({ count: 1 });
      },
    ];
  }),
  [
    "sends no cookie where a session is unset before it was one",
    async (open) => {
      const place = await open({
        options: { unset: "destroy" },
        respond: (req, res) => {
          Object.assign(req, { session: null });
          res.end();
        },
      });
      expect((await place.ask()).setCookies).toEqual([]);
      expect(await place.sessions.count()).toBe(0);
    },
  ],
];

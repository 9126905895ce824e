// `req.session.cookie`, and the cookie of the response.
import { expect } from "vitest";
import { attributesOf, count, type Handler } from "../kinds.ts";
import type { Case } from "./case.ts";

/** The attributes of the cookie after a handler. */
function attributesCase(
  sentence: string,
  cookie: object,
  respond: Handler | undefined,
  expected: Record<string, string | undefined>,
): Case {
  return [
    sentence,
    async (open) => {
      const place = await open({ options: { cookie, proxy: true }, ...(respond && { respond }) });
      const attributes = attributesOf(await place.ask("/admin", { headers: { "x-forwarded-proto": "https" } }));
      const shown = Object.fromEntries(Object.keys(expected).map((name) => [name, attributes[name]]));
      expect(shown).toEqual(expected);
    },
  ];
}

/** How long the cookie of a second request lives, in ms. */
function lifeCase(sentence: string, maxAge: number | undefined, expected: number): Case {
  return [
    sentence,
    async (open) => {
      const place = await open({
        options: { cookie: { maxAge: 2_000 } },
        respond: (req, res) => {
          if (req.url === "/change" && maxAge !== undefined) req.session.cookie.maxAge = maxAge;
          count(req, res);
        },
      });
      const { cookie } = await place.ask();
      const { expires = "" } = attributesOf(await place.ask("/change", { cookie }));
      const seconds = Math.floor(Date.now() / 1000);
      expect(Math.abs(Date.parse(expires) / 1000 - seconds - expected / 1000)).toBeLessThanOrEqual(1);
    },
  ];
}

const ends =
  (change: Handler): Handler =>
  (req, res) => {
    change(req, res);
    res.end();
  };

export const COOKIES: readonly Case[] = [
  attributesCase(
    "takes what an application changes in it",
    {},
    ends((req) => Object.assign(req.session.cookie, { httpOnly: false, secure: true })),
    { httponly: undefined, secure: "" },
  ),
  attributesCase("lasts until the browser ends", {}, undefined, { expires: undefined, path: "/", httponly: "" }),
  attributesCase(
    "is as the options say it, but for what an application changes",
    { httpOnly: false, path: "/admin", priority: "high", secure: true, sameSite: true, domain: "example.org" },
    ends((req) => Object.assign(req.session.cookie, { secure: false })),
    {
      httponly: undefined,
      path: "/admin",
      priority: "High",
      secure: undefined,
      samesite: "Strict",
      domain: "example.org",
    },
  ),
  attributesCase("is not partitioned by itself", {}, undefined, { partitioned: undefined }),
  attributesCase("is not partitioned by false", { partitioned: false }, undefined, { partitioned: undefined }),
  attributesCase("is partitioned by true", { partitioned: true, secure: true }, undefined, { partitioned: "" }),
  attributesCase("is partitioned also where it is not for HTTPS alone", { partitioned: true }, undefined, {
    partitioned: "",
  }),
  attributesCase("has no SameSite unless it is told", {}, undefined, { samesite: undefined }),
  attributesCase(
    "expires at the date that an application says",
    {},
    ends((req) => {
      req.session.cookie.expires = new Date(0);
    }),
    { expires: "Thu, 01 Jan 1970 00:00:00 GMT" },
  ),
  ...[null, false].map((none) =>
    attributesCase(
      `lasts until the browser ends by expires = ${none}`,
      { maxAge: 5_000 },
      ends((req) => Object.assign(req.session.cookie, { expires: none })),
      { expires: undefined },
    ),
  ),
  attributesCase("lasts until the browser ends by the option expires: false", { expires: false }, undefined, {
    expires: undefined,
  }),
  [
    "is sent once where it lasts until the browser ends, whether the session is changed or not",
    async (open) => {
      const place = await open({
        options: { cookie: { path: "/admin" } },
        respond: (req, res) => (req.url === "/admin/change" ? count(req, res) : res.end()),
      });
      const { cookie } = await place.ask("/admin/first");
      expect((await place.ask("/admin", { cookie })).setCookies).toEqual([]);
      expect((await place.ask("/admin/change", { cookie })).setCookies).toEqual([]);
    },
  ],
  [
    "is sent again with each change where it lives for a time, and only then",
    async (open) => {
      const place = await open({ respond: (req, res) => (req.url === "/" ? count(req, res) : res.end()) });
      const { cookie } = await place.ask();
      const sent: number[] = [];
      for (const url of ["/", "/read", "/"]) sent.push((await place.ask(url, { cookie })).setCookies.length);
      expect(sent).toEqual([1, 0, 1]);
    },
  ],
  [
    "is sent without a date by expires = false, to a browser that had one",
    async (open) => {
      const place = await open({
        respond: (req, res) => {
          if (req.url === "/forget") Object.assign(req.session.cookie, { expires: false });
          count(req, res);
        },
      });
      const { cookie } = await place.ask();
      const reply = await place.ask("/forget", { cookie });
      expect(reply.setCookies).toHaveLength(1);
      expect(attributesOf(reply).expires).toBeUndefined();
      expect(await place.ask("/", { cookie })).toMatchObject({
        text: "3",
        setCookies: [expect.not.stringMatching(/expires/i)],
      });
    },
  ],
  [
    "stays as an application has changed it, for the requests to come",
    async (open) => {
      const place = await open({
        options: { rolling: true },
        respond: (req, res) => {
          if (req.url === "/login") Object.assign(req.session.cookie, { maxAge: 86_400_000, sameSite: "strict" });
          count(req, res);
        },
      });
      const { cookie } = await place.ask("/login");
      place.passTime(600_000);
      const reply = await place.ask("/", { cookie });
      expect(reply.text).toBe("2");
      expect(attributesOf(reply)).toMatchObject({ samesite: "Strict" });
      expect(Date.parse(attributesOf(reply).expires ?? "")).toBeGreaterThan(Date.now() + 86_000_000);
    },
  ],
  [
    "tells originalMaxAge, the same for all requests",
    async (open) => {
      const place = await open({ respond: (req, res) => res.end(String(req.session.cookie.originalMaxAge)) });
      const first = await place.ask();
      place.passTime(1_000);
      const second = await place.ask("/", { cookie: first.cookie });
      expect([first.text, second.text]).toEqual(["60000", "60000"]);
    },
  ],
  [
    "tells in JSON what express-session tells",
    async (open) => {
      const place = await open({
        options: { cookie: {} },
        respond: (req, res) => res.end(JSON.stringify(req.session)),
      });
      expect(JSON.parse((await place.ask()).text)).toEqual({
        cookie: { originalMaxAge: null, expires: null, httpOnly: true, path: "/" },
      });
    },
  ],
  lifeCase("lives as long as maxAge says, from the response on", undefined, 2_000),
  lifeCase("lives as long as an application says", 5_000, 5_000),
  lifeCase("lives longer than old clocks can count", 3_000_000_000, 3_000_000_000),
  ...[false, true].map((isEncrypted): Case => {
    return [
      isEncrypted ? "is sent over HTTPS where it is for HTTPS" : "is not sent over HTTP where it is for HTTPS",
      async (open) => {
        const place = await open({
          options: { cookie: { secure: true } },
          setup: (req) => Object.assign(req.socket, { encrypted: isEncrypted }),
        });
        expect((await place.ask()).setCookies.length).toBe(isEncrypted ? 1 : 0);
      },
    ];
  }),
  [
    "with a date that is none is told to next",
    async (open) => {
      const place = await open({ options: { cookie: { expires: new Date(Number.NaN) } } });
      expect((await place.ask()).status).toBe(200);
      expect(place.late.length).toBe(1);
    },
  ],
  ...(["setHeader", "writeHead"] as const).map((call): Case => {
    return [
      `leaves cookies alone that an application sets by ${call}`,
      async (open) => {
        const place = await open({
          respond: (_req, res) => {
            if (call === "setHeader") res.setHeader("Set-Cookie", "previous=value");
            else res.writeHead(200, { "Set-Cookie": "previous=value" });
            res.end();
          },
        });
        const { setCookies } = await place.ask();
        expect(setCookies.map((line) => line.split("=", 1)[0])).toEqual(["previous", "connect.sid"]);
      },
    ];
  }),
];

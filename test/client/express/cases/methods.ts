// What the methods of `req.session` do.
import { expect } from "vitest";
import { count, type Handler, type Request, sidOf } from "../kinds.ts";
import type { Case } from "./case.ts";

/** Saves by hand, and then answers. */
const savesByHand: Handler = (req, res) => {
  req.session.hit = true;
  req.session.save((error) => res.end(error === undefined || error === null ? "saved" : error.message));
};

function singleWriteCase(sentence: string, options: Record<string, unknown>, respond: Handler): Case {
  return [
    sentence,
    async (open) => {
      const place = await open({ options, respond });
      const before = await place.sessions.writes();
      const { text } = await place.ask();
      expect([text, (await place.sessions.writes()) - before]).toEqual(["saved", 1]);
    },
  ];
}

/** The session of a request is cleared away while it runs, and then loaded again so many times. */
function reloadCase(sentence: string, times: number): Case {
  return [
    sentence,
    async (open) => {
      const messages: string[] = [];
      const place = await open({
        respond: (req, res) => {
          req.session.active = true;
          if (req.url === "/") res.end();
          else void place.sessions.clear().then(() => reload(req, times, messages, () => res.end(messages.join())));
        },
      });
      const { cookie } = await place.ask();
      await place.ask("/again", { cookie });
      expect(messages.length).toBe(times);
      for (const message of messages) expect(message).toMatch(/^failed to load session/);
    },
  ];
}

function reload(req: Request, times: number, messages: string[], done: () => void): void {
  req.session.reload((error) => {
    messages.push(String(error?.message));
    if (messages.length === times) done();
    else reload(req, times, messages, done);
  });
}

export const METHODS: readonly Case[] = [
  [
    "persists what requests have set, one after the other",
    async (open) => {
      const place = await open({ respond: count });
      const { cookie } = await place.ask();
      for (const text of ["2", "3", "4"]) expect((await place.ask("/", { cookie })).text).toBe(text);
    },
  ],
  [
    "destroy leaves no session, and sends no cookie of one that was none yet",
    async (open) => {
      const place = await open({
        respond: (req, res) => req.session.destroy((error) => res.end(`${error ?? "done"} ${String(req.session)}`)),
      });
      const reply = await place.ask();
      expect([reply.text, reply.setCookies]).toEqual(["done undefined", []]);
    },
  ],
  [
    "destroy ends the session for good",
    async (open) => {
      const place = await open({
        respond: (req, res) => (req.url === "/out" ? req.session.destroy(() => res.end()) : count(req, res)),
      });
      const first = await place.ask();
      await place.ask("/out", { cookie: first.cookie });
      expect(await place.sessions.count()).toBe(0);
      expect((await place.ask("/", { cookie: first.cookie })).text).toBe("1");
    },
  ],
  [
    "regenerate puts an empty session with another id in place of the one before, which keeps its values for who holds it",
    async (open) => {
      const place = await open({
        respond: (req, res) => {
          const { session: before, sessionID } = req;
          if (req.url !== "/again") return count(req, res);
          return before.regenerate((error) => {
            const { session } = req;
            const isOther = session !== before && session.id !== before.id && session.id === req.sessionID;
            res.end(
              JSON.stringify([error ?? null, isOther, before.id === sessionID, before.count, session.count ?? null]),
            );
          });
        },
      });
      const first = await place.ask();
      const second = await place.ask("/again", { cookie: first.cookie });
      expect(JSON.parse(second.text)).toEqual([null, true, true, 1, null]);
      expect(sidOf(second)).not.toBe(sidOf(first));
      expect(await place.sessions.values(sidOf(first))).toBeUndefined();
      expect(await place.sessions.values(sidOf(second))).toBeDefined();
    },
  ],
  [
    "regenerate lets the new session take over what the one before held",
    async (open) => {
      const place = await open({
        respond: (req, res) => {
          const { session: before } = req;
          if (req.url !== "/in") return res.end(JSON.stringify([req.session.cart, req.session.user]));
          before.cart = ["tea"];
          return before.regenerate(() => {
            for (const key in before) if (!(key in req.session)) req.session[key] = before[key];
            req.session.user = "bob";
            req.session.save(() => res.end());
          });
        },
      });
      const { cookie } = await place.ask("/in");
      expect((await place.ask("/", { cookie })).text).toBe('[["tea"],"bob"]');
    },
  ],
  [
    "reload shows what another request has saved meanwhile",
    async (open) => {
      const place = await open({
        respond: async (req, res) => {
          req.session.url = req.url;
          if (req.url !== "/slow") return res.end();
          await place.ask("/other", { cookie: String(req.headers.cookie) });
          return req.session.reload(() => res.end(String(req.session.url)));
        },
      });
      const { cookie } = await place.ask();
      expect((await place.ask("/slow", { cookie })).text).toBe("/other");
    },
  ],
  reloadCase("reload tells that the session is gone", 1),
  reloadCase("reload tells it however often it is asked", 20),
  [
    "save has the session saved when it calls back",
    async (open) => {
      const place = await open({
        respond: (req, res) => {
          req.session.hit = true;
          req.session.save(async () => res.end(JSON.stringify((await place.sessions.values(req.session.id))?.hit)));
        },
      });
      expect((await place.ask()).text).toBe("true");
    },
  ],
  singleWriteCase("save leaves nothing to be written at the end", {}, savesByHand),
  singleWriteCase(
    "save leaves nothing to be written without saveUninitialized",
    { saveUninitialized: false },
    savesByHand,
  ),
  singleWriteCase("save leaves nothing to be written after a reload", {}, (req, res) => {
    req.session.hit = true;
    req.session.reload(() => savesByHand(req, res));
  }),
  [
    "touch prolongs the life of the cookie",
    async (open) => {
      const place = await open({
        options: { resave: false },
        respond: (req, res) => {
          const before = Number(req.session.cookie.expires);
          place.passTime(1_500);
          req.session.touch();
          res.end(String(Number(req.session.cookie.expires) - before));
        },
      });
      expect(Number((await place.ask()).text)).toBeGreaterThanOrEqual(1_500);
    },
  ],
  [
    "twenty requests at once that push different keys lose none of them",
    async (open) => {
      const place = await open({
        respond: async (req, res) => {
          await new Promise(setImmediate);
          req.session[req.url] = true;
          res.end();
        },
      });
      const first = await place.ask("/0");
      const urls = Array.from({ length: 20 }, (_, index) => `/${index}`);
      await Promise.all(urls.map((url) => place.ask(url, { cookie: first.cookie })));
      expect(Object.keys((await place.sessions.values(sidOf(first))) ?? {})).toEqual(expect.arrayContaining(urls));
    },
  ],
  [
    "does without sessions while the store says that it is not connected",
    async (open) => {
      let store: Request["sessionStore"] | undefined;
      const place = await open({
        respond: (req, res) => {
          store = req.sessionStore ?? store;
          res.end(typeof req.session);
        },
      });
      expect((await place.ask()).text).toBe("object");
      store?.emit("disconnect");
      expect((await place.ask()).text).toBe("undefined");
      store?.emit("connect");
      expect((await place.ask()).text).toBe("object");
    },
  ],
  [
    "reads the id from req.cookies, as cookie-parser has it",
    async (open) => {
      const place = await open({
        respond: count,
        setup: (req) => {
          const [, value = ""] = String(req.headers.cookie ?? "").split("=");
          Object.assign(req, { cookies: { "connect.sid": decodeURIComponent(value) } });
          delete req.headers.cookie;
        },
      });
      const { cookie } = await place.ask();
      expect((await place.ask("/", { cookie })).text).toBe("2");
    },
  ],
];

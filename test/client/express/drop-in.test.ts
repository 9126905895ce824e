// What the drop-in has beyond express-session: the static Session beside it, values with their types, and options that are refused.
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Cookie, type ExpressSessionOptions, session } from "../../../client/adapters/express-session.ts";
import { Session, sessionOf } from "../../../client/index.ts";
import { SessionHouse } from "../../support/session-house.ts";
import { type Application, type Handler, type LooseSession, Place } from "./kinds.ts";

let house: SessionHouse;
const places: Place[] = [];
beforeEach(async () => {
  house = await SessionHouse.open();
});
afterEach(async () => {
  await Promise.all(places.splice(0).map((place) => place.close()));
  await house.close();
});

async function open(application: Application): Promise<Place> {
  const place = await Place.open("drop-in", house, {
    ...application,
    options: { saveUninitialized: false, ...application.options },
  });
  places.push(place);
  return place;
}

/** Answers with what a function makes of the session, as JSON. */
function tells(make: (session: LooseSession, url: string) => unknown): Handler {
  return (req, res) => res.end(JSON.stringify(make(req.session, req.url)));
}

async function valuesOf(place: Place, cookie: string): Promise<unknown> {
  const { cookie: _, ...values } = (await place.sessions.values(cookie.slice("connect.sid=".length))) ?? {};
  return values;
}

describe("req.session", () => {
  it("shows what the static Session shows, both ways, in the same request", async () => {
    const place = await open({
      respond: (req, res) => {
        req.session.a = { list: [1] };
        Session.b = 2;
        (Session.a as { list: number[] }).list.push(2);
        const isSame = Session.a === req.session.a && sessionOf(req)?.get("b") === 2;
        res.end(
          JSON.stringify([isSame, req.session.b, "b" in req.session, Session.Keys, Session.Id === req.sessionID]),
        );
      },
    });
    const { text, cookie } = await place.ask();
    expect(JSON.parse(text)).toEqual([true, 2, true, ["a", "b"], true]);
    expect(await valuesOf(place, cookie)).toEqual({ a: { list: [1, 2] }, b: 2 });
  });

  it("has the id already that the session gets when it begins", async () => {
    const place = await open({
      respond: (req, res) => {
        const before = req.session.id;
        if (req.url === "/begin") req.session.n = 1;
        res.end(`${before} ${req.session.id === before && req.sessionID === before}`);
      },
    });
    const [none, begun] = [await place.ask("/"), await place.ask("/begin")];
    expect(none.text).toMatch(/^place-\d+:[0-9A-F]{24} true$/);
    expect(none.setCookies).toEqual([]);
    expect(begun.text).toBe(`${begun.cookie.slice("connect.sid=".length)} true`);
  });

  it("keeps dates, bytes and shared objects what they are", async () => {
    const shared = { n: 1 };
    const values = { at: new Date(5), bytes: Buffer.from("ab"), pair: [shared, shared] };
    const place = await open({
      respond: (req, res) => {
        Object.assign(req.session, values);
        res.end();
      },
    });
    const { cookie } = await place.ask();
    expect(await valuesOf(place, cookie)).toEqual(values);
  });

  it("holds what no session can hold as JSON would, as it is at the end of the request", async () => {
    class User {
      name = "al";
      toJSON(): object {
        return { said: this.name };
      }
    }
    const place = await open({
      respond: tells((given) => {
        const user = new User();
        given.user = user;
        user.name = "bob";
        given.options = { retry: undefined };
        (given.options as Record<string, unknown>).call = () => 1;
        (given.options as Record<string, unknown>).since = new Date(Number.NaN);
        given.list = [Symbol("x"), new Set([1]), 2];
        given.call = () => 1;
        return [given.user === user, typeof (given.options as Record<string, unknown>).call];
      }),
    });
    const { text, cookie } = await place.ask();
    expect(JSON.parse(text)).toEqual([true, "function"]);
    expect(await valuesOf(place, cookie)).toEqual({
      user: { said: "bob" },
      options: { since: null },
      list: [null, {}, 2],
    });
  });

  it("is copied, listed, compared and emptied as any object", async () => {
    const place = await open({
      respond: tells((given) => {
        Object.assign(given, { a: 1, b: 2, c: 3 });
        delete given.a;
        Object.defineProperty(given, "d", { value: 4, enumerable: true });
        const { cookie: _, ...copy } = given;
        return [copy, Object.keys(given), Object.hasOwn(given, "a"), "b" in given, "id" in given, given.toString()];
      }),
    });
    expect(JSON.parse((await place.ask()).text)).toEqual([
      { b: 2, c: 3, d: 4 },
      ["cookie", "b", "c", "d"],
      false,
      true,
      true,
      "[object Object]",
    ]);
  });

  it("loses no key where requests at once change others, and removes the cookie of a session that it destroys", async () => {
    const place = await open({
      respond: (req, res) => {
        if (req.url === "/out") return req.session.destroy(() => res.end());
        req.session[req.url] = true;
        return res.end();
      },
    });
    const { cookie } = await place.ask("/first");
    const urls = Array.from({ length: 20 }, (_, index) => `/${index}`);
    await Promise.all(urls.map((url) => place.ask(url, { cookie })));
    expect(Object.keys((await valuesOf(place, cookie)) as object).sort()).toEqual([...urls, "/first"].sort());
    const { setCookies } = await place.ask("/out", { cookie });
    expect(setCookies).toEqual(["connect.sid=; Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT; HttpOnly"]);
  });

  it("finds other sessions in its store by the ids that applications have made", async () => {
    const place = await open({
      options: { genid: () => "user/1" },
      respond: tells((given) => Object.assign(given, { n: 1 }).id),
    });
    let ended: unknown;
    const other = await open({
      respond: (req, res) => {
        const store = req.sessionStore as unknown as {
          destroy(sid: string, done: (error?: unknown) => void): void;
        };
        store.destroy("user/1", (error) => {
          ended = error;
          res.end();
        });
      },
    });
    const { text, cookie } = await place.ask();
    expect(JSON.parse(text)).toBe("user/1");
    expect(cookie).toMatch(/^connect\.sid=sid__user_2F1:[0-9A-F]{24}$/);
    await other.ask();
    expect(ended).toBeFalsy();
    expect(await house.worker().open(cookie.slice("connect.sid=".length))).toBeUndefined();
  });
});

describe("its options", () => {
  it.each([
    [{ saveUninitialised: false }, "saveUninitialized was probably meant"],
    [{ store: {} }, "gambas-session/store"],
    [{ cookie: { maxage: 1 } }, "maxAge was probably meant"],
    [{ cookie: { maxAge: "1h" } }, "maxAge of the cookie"],
    [{ maxAge: 5 }, "cookie.maxAge, in milliseconds"],
    [{ name: "a b" }, "a token"],
    [{ idleExitMS: 5 }, "idleExitMs was probably meant"],
    [{ cookie: { sameSite: "none" } }, "the option secure must be true, not false"],
    [{ cookie: { sameSite: "None", secure: false } }, "the option secure must be true, not false"],
    [{ cookie: { partitioned: true } }, "the option secure must be true"],
    [{ cookie: { domain: "https://example.com" } }, "without scheme and port"],
    [{ name: "__Host-sid", cookie: { secure: true, domain: "example.com" } }, "domain must be left out"],
    [{ cookie: { expires: "tomorrow" } }, "a Date, null or false"],
  ])("are refused: %j", (options, words) => {
    expect(() => session(options as ExpressSessionOptions)).toThrow(words);
  });

  it.each([
    { sameSite: "none", secure: "auto", partitioned: true },
    { sameSite: "none", secure: true },
    { domain: "127.0.0.1" },
    { domain: "" },
    { domain: ".example.com", expires: false },
  ] as const)("may make a cookie that browsers take: %j", (cookie) => {
    expect(session({ ...house.options, cookie })).toBeInstanceOf(Function);
  });

  it("are not the only ones to tell when it expires: what an application sets is refused, too, if it is no date", () => {
    const cookie = new Cookie();
    expect(() => Object.assign(cookie, { expires: "tomorrow" })).toThrow(TypeError);
    expect(() => Object.assign(cookie, { expires: 3_600_000 })).toThrow("The expires of a cookie is a Date");
  });
});

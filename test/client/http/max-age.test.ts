// Cookies that outlive the browser: by an option of the application, or by what one session says.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Site } from "../../../client/http/exchange.ts";
import type { CookieMaxAge, Handle } from "../../../client/index.ts";
import type { HttpOptions } from "../../../client/options.ts";
import { Session } from "../../../client/static/session.ts";
import { MAX_AGE_KEY } from "../../../protocol/image/image.ts";
import { SessionHouse } from "../../support/session-house.ts";

let house: SessionHouse;

beforeAll(async () => {
  house = await SessionHouse.open();
});
afterAll(() => house.close());

function open(options?: HttpOptions): Site {
  return house.site(options);
}

interface Visited {
  readonly id: string;
  /** What the cookie says of its age; undefined where none was sent. */
  readonly age: string | undefined;
  readonly wasReady: boolean;
}

async function visit(site: Site, id: string, fn: (own: Handle) => unknown): Promise<Visited> {
  const exchange = await site.begin({ address: "10.0.0.1", ...(id === "" ? {} : { cookie: `SESSION=${id}` }) });
  await exchange.run(() => fn(exchange.handle));
  const wasReady = exchange.isReady();
  const { cookies, failed } = await exchange.finish();
  exchange.end();
  expect(failed).toBeUndefined();
  expect(cookies.length).toBeLessThanOrEqual(1);
  const [line] = cookies;
  return { id: exchange.handle.id ?? "", age: line && (/max-age=[^;]*/.exec(line)?.[0] ?? "none"), wasReady };
}

const begin = (site: Site, fn: (own: Handle) => unknown = () => undefined): Promise<Visited> =>
  visit(site, "", (own) => {
    own.set("a", 1);
    return fn(own);
  });
const read = (own: Handle): unknown => own.get("a");
const say = (maxAge: CookieMaxAge | null) => (own: Handle) => {
  own.cookieMaxAge = maxAge;
};

/** As if nobody had used the session for a while. */
function rest(id: string): void {
  house.makeOlder(id, 5_000);
}

describe("the cookie", () => {
  it("has no age as a rule, and ends with the browser", async () => {
    expect((await begin(open())).age).toBe("none");
  });

  it("says its age in seconds, and as a date for clients that know no better", async () => {
    const beforeMs = Date.now();
    const exchange = await open({ maxAge: 3600 }).begin({ address: "10.0.0.1" });
    exchange.handle.set("a", 1);
    const [line = ""] = (await exchange.finish()).cookies;
    const [, date = ""] = /^[^;]*;expires=([^;]*);max-age=3600;path=\/;httponly;SameSite=Lax$/.exec(line) ?? [];
    expect(new Date(date).getTime()).toBeGreaterThanOrEqual(Math.floor(beforeMs / 1000) * 1000 + 3_600_000);
    expect(new Date(date).getTime()).toBeLessThanOrEqual(Date.now() + 3_600_000);
  });

  it("lives as long as its session where that is asked for", async () => {
    expect((await begin(open({ maxAge: "timeout", timeout: 90 }))).age).toBe("max-age=90");
    expect((await begin(open({ maxAge: "timeout" }), (own) => Object.assign(own, { timeout: 7.5 }))).age).toBe(
      "max-age=8",
    );
  });

  it("has no larger age than old clients can read", async () => {
    expect((await begin(open({ maxAge: 1e12 }))).age).toBe("max-age=2147483647");
  });

  it("has the age that its session says before the option's", async () => {
    const site = open({ maxAge: 60 });
    expect((await begin(site, say(600))).age).toBe("max-age=600");
    expect((await begin(site, say(null))).age).toBe("none");
    expect((await begin(open(), say("timeout"))).age).toBe("max-age=86400");
  });
});

describe("a session in use keeps its cookie", () => {
  it("which is sent again when the time stamp is renewed, and not otherwise", async () => {
    const site = open({ maxAge: 60 });
    const { id } = await begin(site);
    expect(await visit(site, id, read)).toMatchObject({ age: undefined, wasReady: true });
    rest(id);
    expect(await visit(site, id, read)).toMatchObject({ age: "max-age=60", wasReady: false });
  });

  it("which is sent again with each commit", async () => {
    const site = open({ maxAge: 60 });
    const { id } = await begin(site);
    expect((await visit(site, id, (own) => own.set("a", 2))).age).toBe("max-age=60");
    expect((await visit(site, id, (own) => own.transaction((inner) => inner.set("a", 3)))).age).toBe("max-age=60");
  });

  it("which is not sent by a request that does not use it", async () => {
    const site = open({ maxAge: 60 });
    const { id } = await begin(site);
    rest(id);
    expect(await visit(site, id, () => undefined)).toMatchObject({ age: undefined, wasReady: true });
  });

  it("without any age, and then it is never sent again", async () => {
    const site = open();
    const { id } = await begin(site);
    rest(id);
    expect(await visit(site, id, read)).toMatchObject({ age: undefined, wasReady: true });
    expect((await visit(site, id, (own) => own.set("a", 2))).age).toBeUndefined();
  });

  it("whose life time follows that of the session", async () => {
    const site = open({ maxAge: "timeout" });
    const { id } = await begin(site);
    const other = await visit(site, id, (own) => Object.assign(own, { timeout: 120 }));
    expect(other.age).toBe("max-age=120");
  });
});

describe("Session.CookieMaxAge", () => {
  it("is kept by the session, in every worker", async () => {
    const { id } = await begin(open(), say(600));
    const other = open();
    expect(await visit(other, id, (own) => expect(own.cookieMaxAge).toBe(600))).toMatchObject({ age: undefined });
    rest(id);
    expect((await visit(other, id, read)).age).toBe("max-age=600");
  });

  it("that is changed is told to the browser at once", async () => {
    const site = open();
    const { id } = await begin(site);
    expect((await visit(site, id, say(600))).age).toBe("max-age=600");
    expect((await visit(site, id, say(600))).age).toBe("max-age=600");
    expect((await visit(site, id, say("timeout"))).age).toBe("max-age=86400");
    expect((await visit(site, id, say(null))).age).toBe("none");
    rest(id);
    expect((await visit(site, id, read)).age).toBeUndefined();
  });

  it("null is kept where the option says otherwise, and takes no room where it does not", async () => {
    const site = open({ maxAge: 60 });
    const { id } = await begin(site, say(null));
    rest(id);
    expect((await visit(site, id, read)).age).toBeUndefined();
    const plain = await begin(open());
    await visit(open(), plain.id, say(null));
    expect(house.fileOf(plain.id).includes(MAX_AGE_KEY)).toBe(false);
  });

  it("that was dropped again is not told", async () => {
    const site = open();
    const { id } = await begin(site);
    const dropped = await visit(site, id, (own) => {
      own.cookieMaxAge = 600;
      own.isModified = false;
    });
    expect(dropped).toMatchObject({ age: undefined, wasReady: true });
  });

  it("may be said in a transaction, and before there is a session", async () => {
    const site = open();
    const inside = await visit(site, "", (own) =>
      own.transaction((inner) => {
        inner.cookieMaxAge = 70;
        inner.set("a", 1);
      }),
    );
    expect(inside.age).toBe("max-age=70");
    const before = await visit(site, "", async (own) => {
      own.cookieMaxAge = 80;
      await own.transaction((inner) => inner.set("a", 1));
    });
    expect(before.age).toBe("max-age=80");
    rest(before.id);
    expect((await visit(open(), before.id, read)).age).toBe("max-age=80");
    expect((await visit(site, before.id, (own) => own.transaction(say(90)))).age).toBe("max-age=90");
  });

  it("is no key: it is not listed, not read and not written by index", async () => {
    const { id } = await begin(open(), say(600));
    await Session.Run({ id }, () => {
      expect([Session.CookieMaxAge, Session.Keys, { ...Session }]).toEqual([600, ["a"], { a: 1 }]);
      expect([Session.Exist(MAX_AGE_KEY), Session.get(MAX_AGE_KEY), Session.TypeOf(MAX_AGE_KEY)]).toEqual([
        false,
        undefined,
        undefined,
      ]);
      expect(() => Session.set(MAX_AGE_KEY, 1)).toThrow(expect.objectContaining({ code: "ERR_BAD_KEY" }));
      expect(() => Session.delete(MAX_AGE_KEY)).toThrow(expect.objectContaining({ code: "ERR_BAD_KEY" }));
    });
  });

  it.each([0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, "60", "session", true, {}])("is not %o", async (value) => {
    const handle = house.worker().create();
    expect(() => say(value as number)(handle)).toThrow(expect.objectContaining({ code: "ERR_BAD_OPTION" }));
    expect(handle.cookieMaxAge).toBeNull();
  });
});

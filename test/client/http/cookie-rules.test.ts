// The rules by which browsers drop a cookie without a word: here they are said at start.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Site } from "../../../client/http/exchange.ts";
import type { HttpOptions } from "../../../client/options.ts";
import { SessionHouse } from "../../support/session-house.ts";

let house: SessionHouse;

beforeAll(async () => {
  house = await SessionHouse.open();
});
afterAll(() => house.close());

function open(options: HttpOptions): Site {
  return house.site(options);
}

/** The attributes of the cookie of a new session whose path is `path`. */
async function attributesOf(options: HttpOptions, path = ""): Promise<string> {
  const exchange = await open(options).begin({ address: "10.0.0.1" });
  if (path !== "") exchange.handle.cookiePath = path;
  exchange.handle.set("a", 1);
  const { cookies } = await exchange.finish();
  exchange.end();
  expect(cookies).toHaveLength(1);
  return cookies[0]?.replace(/^[^;]*/, "") ?? "";
}

describe("a cookie that browsers would drop is refused at start", () => {
  it.each<[HttpOptions, RegExp]>([
    [{ sameSite: "None" }, /sameSite None that is not Secure: the option secure must be true, not "auto"/],
    [{ sameSite: "none", secure: false }, /the option secure must be true, not false/],
    [{ partitioned: true }, /partitioned that is not Secure/],
    [{ cookieName: "__Secure-sid" }, /begins with __Secure- that is not Secure/],
    [{ cookieName: "__Host-sid" }, /begins with __Host- that is not Secure/],
    [{ cookieName: "__host-sid" }, /begins with __host- that is not Secure/],
    [{ cookieName: "__Host-sid", secure: true, cookiePath: "/app" }, /the option cookiePath must be "\/"/],
    [{ cookieName: "__Host-sid", secure: true, domain: "example.com" }, /the option domain must be left out/],
  ])("%o", (options, words) => {
    expect(() => open(options)).toThrow(
      expect.objectContaining({ code: "ERR_BAD_OPTION", message: expect.stringMatching(words) }),
    );
  });
});

describe("a cookie that they take is sent", () => {
  it.each<[HttpOptions, string]>([
    [{ sameSite: "strict" }, ";path=/;httponly;SameSite=Strict"],
    [{ sameSite: "LAX" as "Lax" }, ";path=/;httponly;SameSite=Lax"],
    [{ sameSite: "none", secure: true }, ";path=/;httponly;SameSite=None;Secure"],
    [{ partitioned: true, secure: true }, ";path=/;httponly;SameSite=Lax;Secure;Partitioned"],
    [{ partitioned: false }, ";path=/;httponly;SameSite=Lax"],
    [{ domain: "Example.com" }, ";path=/;domain=example.com;httponly;SameSite=Lax"],
    [{ domain: ".example.com", cookiePath: "/a" }, ";path=/a;domain=example.com;httponly;SameSite=Lax"],
    [{ domain: "bücher.example" }, ";path=/;domain=xn--bcher-kva.example;httponly;SameSite=Lax"],
    [{ domain: "localhost" }, ";path=/;domain=localhost;httponly;SameSite=Lax"],
    [{ cookieName: "__Secure-sid", secure: true }, ";path=/;httponly;SameSite=Lax;Secure"],
    [{ cookieName: "__Host-sid", secure: true }, ";path=/;httponly;SameSite=Lax;Secure"],
  ])("%o", async (options, attributes) => {
    expect(await attributesOf(options)).toBe(attributes);
  });

  it("a __Host- cookie has the path /, whatever its session says", async () => {
    expect(await attributesOf({ cookieName: "__Host-sid", secure: true }, "/deep")).toBe(
      ";path=/;httponly;SameSite=Lax;Secure",
    );
  });

  it("its removal says the same of domain, path and partition", async () => {
    const site = open({ domain: "example.com", cookiePath: "/a", partitioned: true, secure: true, maxAge: 60 });
    const first = await site.begin({ address: "10.0.0.1" });
    first.handle.set("a", 1);
    await first.finish();
    first.end();
    const next = await site.begin({ cookie: `SESSION=${first.handle.id}` });
    await next.run(() => next.handle.abandon());
    expect((await next.finish()).cookies).toEqual([
      "SESSION=;expires=Thu, 01 Jan 1970 00:00:00 GMT;path=/a;domain=example.com;httponly;SameSite=Lax;Secure;Partitioned",
    ]);
  });
});

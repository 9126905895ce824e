// The static Session outside every context.
import { inspect } from "node:util";
import { afterEach, describe, expect, it } from "vitest";
import { Session } from "../../../client/static/session.ts";
import { SessionError } from "../../../protocol/errors.ts";
import { codeOf, house, makeSession, openHouse } from "../../support/static-house.ts";

openHouse();

describe("outside every context", () => {
  afterEach(() => {
    Session.Prefix = "";
    Session.Unique = false;
    Session.CookiePath = "";
    Session.Timeout = 86_400;
  });

  it.each<[string, () => unknown]>([
    ["Id", () => Session.Id],
    ["Keys", () => Session.Keys],
    ["Modified", () => Session.Modified],
    [
      "Modified =",
      () => {
        Session.Modified = false;
      },
    ],
    ["Path", () => Session.Path],
    ["Size", () => Session.Size],
    ["Abandon", () => Session.Abandon()],
    ["Exist", () => Session.Exist("a")],
    ["Load", () => Session.Load()],
    ["Save", () => Session.Save()],
    ["get", () => Session.get("a")],
    ["set", () => Session.set("a", 1)],
    ["delete", () => Session.delete("a")],
    ["TypeOf", () => Session.TypeOf("a")],
    ["Transaction", () => Session.Transaction(() => 1)],
    ["[key]", () => Session.a],
    [
      "[key] =",
      () => {
        Session.a = 1;
      },
    ],
    [
      "delete [key]",
      () => {
        delete Session.a;
      },
    ],
    ["in", () => "a" in Session],
  ])("%s throws ERR_NO_SESSION_CONTEXT and says what to do", async (_name, use) => {
    const error = await Promise.resolve()
      .then(use)
      .then(
        () => undefined,
        (problem: unknown) => problem,
      );
    expect(error).toBeInstanceOf(SessionError);
    expect(error).toMatchObject({ code: "ERR_NO_SESSION_CONTEXT", name: "SessionError" });
    expect((error as Error).message).toMatch(/session\(\).*Session\.Run/);
  });

  it("Prefix is that of the sessions made from now on", async () => {
    Session.Prefix = "shop";
    expect(Session.Prefix).toBe("shop");
    const id = await makeSession({ a: 1 });
    expect(id).toMatch(/^shop:[0-9A-F]{24}$/);
  });

  it("Prefix refuses what no id can hold, and stays", async () => {
    Session.Prefix = "good";
    for (const bad of ["a/b", "a b", "a;b", "a=b", "a,b", "a\0b", 'a"b', "a\\b", "x".repeat(200), "\ud800"]) {
      expect(
        await codeOf(() => {
          Session.Prefix = bad;
        }),
      ).toBe("ERR_BAD_OPTION");
    }
    expect(Session.Prefix).toBe("good");
  });

  it("Timeout is that of the sessions made from now on", async () => {
    Session.Timeout = 120;
    expect(Session.Timeout).toBe(120);
    const id = await makeSession({ a: 1 });
    expect((await house.worker().open(id))?.timeout).toBe(120);
    expect(
      await codeOf(() => {
        Session.Timeout = Number.NaN;
      }),
    ).toBe("ERR_BAD_OPTION");
    expect(Session.Timeout).toBe(120);
  });

  it("CookiePath is that of the sessions made from now on", async () => {
    Session.CookiePath = "/app";
    expect(Session.CookiePath).toBe("/app");
    const id = await makeSession({ a: 1 });
    expect((await house.worker().open(id))?.cookiePath).toBe("/app");
  });

  it("CookiePath refuses what would end a cookie's attribute or its line", async () => {
    for (const bad of ["/a;b", "/a\r\nX: y", "/\0", "/é", 5 as unknown as string]) {
      expect(
        await codeOf(() => {
          Session.CookiePath = bad;
        }),
      ).toBe("ERR_BAD_OPTION");
    }
    expect(Session.CookiePath).toBe("");
  });

  it("Unique is that of the sessions made from now on", async () => {
    Session.Prefix = "lonely";
    const first = await makeSession({ a: 1 });
    Session.Unique = true;
    expect(Session.Unique).toBe(true);
    const second = await makeSession({ a: 2 });
    expect([house.has(first), house.has(second)]).toEqual([false, true]);
  });

  it('Type is "file"; what is unknown, not there, or too late is refused and changes nothing', async () => {
    const setType = (type: unknown): void => {
      Session.Type = type as string;
    };
    expect(Session.Type).toBe("file");
    setType("FILE");
    for (const bad of ["paper", "memory", " file", 5n, null])
      expect(() => setType(bad)).toThrow(/Unknown session type/);
    // What Gambas takes "" for.
    for (const other of ["sqlite", "SQLite", ""])
      expect(() => setType(other)).toThrow(/cannot become "sqlite": sessions of type "file" are in use/);
    expect(() => setType("redis")).toThrow(/cannot become "redis": sessions of type "file" are in use/);
    expect(await codeOf(() => setType("redis"))).toBe("ERR_BAD_OPTION");
    expect(Session.Type).toBe("file");
  });

  it("says nothing and throws nothing to those who only look at it", async () => {
    const awaited = await (Session as unknown);
    expect(awaited === Session).toBe(true);
    expect(inspect(Session)).toEqual(expect.any(String));
    expect(`${Object.prototype.toString.call(Session)}`).toBe("[object Object]");
    expect(JSON.stringify(Session)).toBe("{}");
    expect(Object.keys(Session)).toEqual([]);
    expect(Session.then).toBeUndefined();
  });
});

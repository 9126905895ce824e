// Session.Run with an id, or with none.
import { readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { Session } from "../../../client/static/session.ts";
import { codeOf, house, idNow, makeSession, openHouse } from "../../support/static-house.ts";

openHouse();

describe("Run", () => {
  it("resolves to the result, after the commit", async () => {
    const id = await Session.Run({}, async () => {
      Session.a = 1;
      await Promise.resolve();
      return idNow();
    });
    expect(house.has(id)).toBe(true);
    expect((await house.worker().open(id))?.get("a")).toBe(1);
  });

  it("an error in fn goes on, and what was not saved is dropped", async () => {
    const id = await makeSession({ a: 1 });
    const failing = Session.Run({ id }, () => {
      Session.a = 2;
      throw new RangeError("mine");
    });
    await expect(failing).rejects.toThrow(new RangeError("mine"));
    expect(await Session.Run({ id }, () => Session.a)).toBe(1);
  });

  it("an unknown id gives an empty context, and is not adopted", async () => {
    const unknown = `10.0.0.1:${"0123456789ABCDEF01234567"}`;
    const made = await Session.Run({ id: unknown }, () => {
      expect([Session.Id, Session.Keys]).toEqual([null, []]);
      Session.a = 1;
      return idNow();
    });
    expect(made).not.toBe(unknown);
    expect([house.has(unknown), house.has(`${unknown}.lock`), house.has(made)]).toEqual([false, false, true]);
  });

  it("hostile ids open nothing and leave nothing", async () => {
    const hex = "0123456789ABCDEF01234567";
    const good = await makeSession({ secret: 1 });
    writeFileSync(join(house.root, `outside:${hex}`), house.fileOf(good));
    const names = (): string[] => readdirSync(house.root, { recursive: true, encoding: "utf8" }).sort();
    const before = names();
    const ids = [
      `../outside:${hex}`,
      `../session/${good}`,
      `./${good}`,
      `/${hex}`,
      `/etc/passwd`,
      `a/b:${hex}`,
      `a\0b:${hex}`,
      `${good}\0`,
      `${good}.lock`,
      `${good}\n`,
      ` ${good}`,
      `${good.toLowerCase()}`,
      `${good}0`,
      `${"x".repeat(10_000)}:${hex}`,
      `${"é".repeat(100)}:${hex}`,
      `\ud800:${hex}`,
      `日本:${hex}`,
      "",
      ".",
      "..",
      ":",
      hex,
      "_",
      "__proto__",
      `a;b:${hex}`,
    ];
    for (const id of ids) {
      expect(await Session.Run({ id }, () => [Session.Id, Session.secret])).toEqual([null, undefined]);
    }
    for (const id of [null, undefined]) expect(await Session.Run({ id: id as null }, () => Session.Id)).toBeNull();
    expect(names()).toEqual(before);
  });

  it.each<[unknown, RegExp]>([
    ["abc", /options of Session.Run must be an object, not "abc"/],
    [5, /must be an object, not 5/],
    [[], /must be an object, not an array/],
    [() => 1, /must be an object, not a function/],
    [{ id: 5 }, /option id of Session.Run must be the id of a session, or null, not 5/],
    [{ id: {} }, /option id /],
    [{ id: true }, /option id /],
    [{ Id: "a" }, /no option "Id"; id was probably meant/],
    [{ __proto__: null, toString: 1 }, /no option "toString"/],
    [{ remoteAddress: 5 }, /option remoteAddress .* must be an IP address, not 5/],
    [{ remoteAddress: "localhost" }, /must be an IP address, not "localhost"/],
    [{ remoteAddress: "../../etc" }, /must be an IP address/],
    [{ request: "GET /" }, /option request .* must be a request with its headers/],
    [{ request: null }, /option request /],
    [{ request: {} }, /option request /],
    [{ request: new Request("http://x/") }, /option request /],
    [{ request: { headers: { cookie: ["a=1"] } } }, /option request /],
    [{ request: { headers: {} }, id: "a" }, /id of a session or a request, not both/],
    [{ request: { headers: {} }, cookieName: "" }, /option cookieName /],
    [{ cookieName: 1 }, /option cookieName /],
  ])("refuses options that cannot be meant: %j", async (options, message) => {
    const run = Session.Run(options as object, () => "ran");
    await expect(run).rejects.toThrow(expect.objectContaining({ code: "ERR_BAD_OPTION" }));
    await expect(run).rejects.toThrow(message);
  });

  it("refuses what is no function, and takes an address with its port", async () => {
    await expect(Session.Run({}, undefined as never)).rejects.toThrow(/must be a function, not undefined/);
    const id = await Session.Run({ remoteAddress: "[2001:db8::7]:80" }, () => {
      Session.a = 1;
      return Session.Id;
    });
    expect(id).toMatch(/^2001:db8::7:[0-9A-F]{24}$/);
    expect(await Session.Run({ remoteAddress: "" }, () => Session.Prefix)).toBe("");
  });

  it("contexts side by side do not mix", async () => {
    const ids = await Promise.all(Array.from({ length: 20 }, (_, n) => makeSession({ n })));
    const seen = await Promise.all(
      ids.map((id, n) =>
        Session.Run({ id }, async () => {
          for (let step = 0; step < 5; step++) {
            expect([Session.Id, Session.n]).toEqual([id, n]);
            Session.set(`step${step}`, n * 100 + step);
            if (step % 2 === 0) await Session.Save();
            else await new Promise((resolve) => setImmediate(resolve));
          }
          return Session.step4;
        }),
      ),
    );
    expect(seen).toEqual(ids.map((_, n) => n * 100 + 4));
    for (const [n, id] of ids.entries()) expect(await Session.Run({ id }, () => Session.step0)).toBe(n * 100);
  });

  it("a Run inside a Run has its own session and gives the outer one back", async () => {
    const [a, b] = [await makeSession({ n: "a" }), await makeSession({ n: "b" })];
    await Session.Run({ id: a }, async () => {
      expect(await Session.Run({ id: b }, () => Session.n)).toBe("b");
      expect(Session.n).toBe("a");
    });
  });

  it("only reading refreshes the stamp, at most once a second", async () => {
    const id = await makeSession({ a: 1 });
    const bytes = house.fileOf(id);
    await Session.Run({ id }, () => Session.a);
    expect(house.fileOf(id)).toEqual(bytes);
    house.makeOlder(id, 5000);
    const before = house.startupOf(id);
    await Session.Run({ id }, () => Session.a);
    expect(house.startupOf(id)).toBeGreaterThan(before + 4000);
    expect(house.fileOf(id).subarray(8)).toEqual(bytes.subarray(8));
  });

  it("not using the session leaves the stamp alone", async () => {
    const id = await makeSession({ a: 1 });
    house.makeOlder(id, 5000);
    const bytes = house.fileOf(id);
    await Session.Run({ id }, () => 1);
    expect(house.fileOf(id)).toEqual(bytes);
  });

  it("a damaged file is reported, left as it is, and harms nobody else", async () => {
    const [bad, good] = [await makeSession({ a: 1 }), await makeSession({ a: 2 })];
    const torn = house.fileOf(bad).subarray(0, 25);
    writeFileSync(house.pathOf(bad), torn);
    await Session.Run({ id: bad }, async () => {
      expect(await codeOf(() => Session.a)).toBe("ERR_UNREADABLE");
      expect(await codeOf(() => Session.set("a", 1))).toBe("ERR_UNREADABLE");
    });
    expect(house.fileOf(bad)).toEqual(torn);
    expect(await Session.Run({ id: good }, () => Session.a)).toBe(2);
  });

  it("a session whose file is damaged can be abandoned", async () => {
    const id = await makeSession({ a: 1 });
    writeFileSync(house.pathOf(id), "torn");
    await Session.Run({ id }, async () => {
      await Session.Abandon();
      expect(Session.Id).toBeNull();
      Session.a = 2;
    });
    expect(house.has(id)).toBe(false);
  });
});

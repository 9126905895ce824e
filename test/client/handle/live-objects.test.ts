// Objects that were read from a session, or set in it, and are changed after a transaction or a Load: saved where that can be, else told.
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { connect } from "../../../client/connect.ts";
import { Session } from "../../../client/static/session.ts";
import { typed } from "../../../protocol/value/value.ts";
import { deferred } from "../../support/deferred.ts";
import { SessionHouse } from "../../support/session-house.ts";

let house: SessionHouse;
let id: string;

beforeAll(async () => {
  house = await SessionHouse.open();
  await connect(house.options);
});
afterAll(() => house.close());
beforeEach(async () => {
  id = await Session.Run({ remoteAddress: "10.0.0.1" }, () => {
    Session.cart = ["a"];
    Session.box = typed("Short[]", [1, 2]);
    Session.n = 0;
    return Session.Id as string;
  });
});

function cart(): string[] {
  return Session.cart as string[];
}

function stored(key = "cart"): Promise<unknown> {
  return Session.Run({ id }, () => Session.get(key));
}

function run<T>(fn: () => Promise<T>): Promise<T> {
  return Session.Run({ id }, fn);
}

const later = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe("an object of a transaction is live after it:", () => {
  it.each<[string, () => string[] | Promise<string[]>]>([
    ["that it read", () => cart()],
    [
      "that it changed",
      () => {
        cart().push("t");
        return cart();
      },
    ],
    [
      "that it set",
      () => {
        const list = ["t"];
        Session.cart = list;
        return list;
      },
    ],
    ["that it took its time for", () => later().then(() => cart())],
    ["that a part of it read", () => Session.Transaction(() => cart())],
    ["that a Run of its session read", () => Session.Run({ id }, () => cart())],
  ])("one %s", async (_what, fn) => {
    await run(async () => {
      const list = await Session.Transaction(fn);
      list.push("after");
      expect([Session.Modified, Session.cart]).toEqual([true, list]);
    });
    expect(((await stored()) as string[]).at(-1)).toBe("after");
  });

  it("of a session that it has made", async () => {
    id = await Session.Run({ remoteAddress: "10.0.0.2" }, async () => {
      const list = await Session.Transaction(() => {
        const made = [1];
        Session.cart = made;
        return made;
      });
      list.push(2);
      return Session.Id as string;
    });
    expect(await stored()).toEqual([1, 2]);
  });

  it("through a client, and through any number of transactions", async () => {
    const handle = await house.worker().open(id);
    if (handle === undefined) throw new Error("no session");
    const list = await handle.transaction((session) => session.get("cart") as string[]);
    for (const name of ["b", "c", "d"]) {
      list.push(name);
      await handle.transaction((session) => session.set("n", name));
    }
    expect(await stored()).toEqual(["a", "b", "c", "d"]);
    expect(handle.get("cart")).toBe(list);
  });

  it("with its exact types", async () => {
    await run(async () => {
      const box = await Session.Transaction(() => Session.box as number[]);
      box.push(3);
    });
    await Session.Run({ id }, () => expect([Session.box, Session.TypeOf("box")]).toEqual([[1, 2, 3], "Short[]"]));
  });

  it("and so is one that is part of two keys", async () => {
    await run(async () => {
      const shared = await Session.Transaction(() => {
        const one = { v: 1 };
        Session.p = one;
        Session.q = one;
        return one;
      });
      shared.v = 2;
    });
    expect([await stored("p"), await stored("q")]).toEqual([{ v: 2 }, { v: 2 }]);
  });

  it("but not what a later one, that shared its lease, has changed: that is told", async () => {
    const [held, letGo] = [deferred(), deferred()];
    const first = run(() =>
      Session.Transaction(() => {
        held.resolve();
        return letGo.promise;
      }),
    );
    await held.promise;
    const one = run(async () => {
      const list = await Session.Transaction(() => cart());
      await second;
      list.push("lost");
    });
    const second = run(() => Session.Transaction(() => void cart().push("second")));
    letGo.resolve();
    await Promise.all([first, second]);
    // Where each had a lease of its own, the object was what is stored when its transaction ended.
    const outcome = await one.catch((error) => error.code);
    expect(["ERR_STALE_OBJECT", undefined]).toContain(outcome);
  });
});

describe("an object read before a transaction", () => {
  it.each<[string, () => unknown]>([
    ["that changes another key", () => Session.set("n", 1)],
    ["that reads the same key", () => [...cart()]],
    ["that fails", () => Promise.reject(new Error("on purpose"))],
    [
      "that changes the same key and fails",
      () => {
        cart().push("no");
        throw new Error("on purpose");
      },
    ],
  ])("%s stays live", async (_what, fn) => {
    await run(async () => {
      const list = cart();
      await Session.Transaction(fn).catch(() => undefined);
      list.push("after");
    });
    expect(await stored()).toEqual(["a", "after"]);
  });

  it("and one of it that both look at the same: whichever is changed counts", async () => {
    for (const pick of [0, 1]) {
      await run(async () => {
        const both = [cart(), await Session.Transaction(() => cart())] as const;
        both[pick]?.push(`${pick}`);
        await Session.Save();
        expect(Session.cart).toBe(both[pick]);
      });
    }
    expect(await stored()).toEqual(["a", "0", "1"]);
  });

  it("that has changed it: a change of the old one is told, once, and undoes nothing", async () => {
    await run(async () => {
      const old = cart();
      await Session.Transaction(() => void cart().push("t"));
      old.push("old");
      expect(Session.Modified).toBe(true);
      await expect(Session.Save()).rejects.toMatchObject({
        code: "ERR_STALE_OBJECT",
        message: expect.stringContaining('"cart"'),
      });
      cart().push("new");
      await Session.Save();
    });
    expect(await stored()).toEqual(["a", "t", "new"]);
  });

  it.each<[string, () => Promise<unknown>]>([
    ["the end of a Run", () => Promise.resolve()],
    ["the next transaction", () => Session.Transaction(() => 1)],
  ])("that has changed it: %s says so", async (_what, next) => {
    const failing = run(async () => {
      const old = cart();
      await Session.Transaction(() => Session.set("cart", ["t"]));
      old.push("old");
      await next();
    });
    await expect(failing).rejects.toMatchObject({ code: "ERR_STALE_OBJECT" });
    expect(await stored()).toEqual(["t"]);
  });

  it("that has changed it, but is not changed itself, is nobody's trouble", async () => {
    await run(async () => {
      const old = cart();
      await Session.Transaction(() => void cart().push("t"));
      expect([old, Session.Modified]).toEqual([["a"], false]);
    });
  });
});

describe("an object that is set again is no lost one", () => {
  it.each<[string, (box: string[]) => unknown]>([
    ["after a transaction with it has failed", () => Session.set("cart", "nothing")],
    ["in a transaction", () => undefined],
  ])("%s", async (how, before) => {
    await run(async () => {
      const box = ["a"];
      const failing = Session.Transaction(() => {
        Session.cart = box;
        throw new Error("once");
      });
      await expect(failing).rejects.toThrow("once");
      before(box);
      box.push("b");
      if (how === "in a transaction") await Session.Transaction(() => Session.set("cart", box));
      else Session.cart = box;
      await Session.Save();
      box.push("c");
    });
    expect(await stored()).toEqual(["a", "b", "c"]);
  });

  it("after it was dropped", async () => {
    await run(async () => {
      const box = ["a"];
      Session.cart = box;
      Session.Modified = false;
      box.push("b");
      Session.cart = box;
    });
    expect(await stored()).toEqual(["a", "b"]);
  });

  it("nor one that the session holds all the while", async () => {
    await run(async () => {
      const box = cart();
      const failing = Session.Transaction(() => {
        Session.cart = box;
        throw new Error("once");
      });
      await expect(failing).rejects.toThrow("once");
      box.push("b");
    });
    expect(await stored()).toEqual(["a", "b"]);
  });
});

describe("an object is not lost without a word", () => {
  it("where its transaction has failed", async () => {
    const failing = run(async () => {
      let list: string[] = [];
      const mine = Session.Transaction(() => {
        list = cart();
        list.push("t");
        throw new Error("on purpose");
      });
      await mine.catch(() => undefined);
      list.push("lost");
    });
    await expect(failing).rejects.toMatchObject({ code: "ERR_STALE_OBJECT" });
    expect(await stored()).toEqual(["a"]);
  });

  it("where its part of a transaction has failed", async () => {
    const failing = run(() =>
      Session.Transaction(async () => {
        let list: string[] = [];
        const part = Session.Transaction(() => {
          list = cart();
          list.push("part");
          throw new Error("on purpose");
        });
        await part.catch(() => undefined);
        list.push("lost");
      }),
    );
    await expect(failing).rejects.toMatchObject({ code: "ERR_STALE_OBJECT" });
    expect(await stored()).toEqual(["a"]);
  });

  it.each<[string, () => void | Promise<void>]>([
    ["Load", () => Session.Load()],
    [
      "Modified = false",
      () => {
        Session.Modified = false;
      },
    ],
  ])("after %s: a change of it counts as long as it is what is stored", async (_what, drop) => {
    await run(async () => {
      const list = cart();
      await drop();
      list.push("after");
    });
    expect(await stored()).toEqual(["a", "after"]);
    const failing = run(async () => {
      const list = cart();
      list.push("dropped");
      await drop();
      expect(Session.Modified).toBe(false);
      list.push("lost");
    });
    await expect(failing).rejects.toMatchObject({ code: "ERR_STALE_OBJECT" });
    expect(await stored()).toEqual(["a", "after"]);
  });

  it("unless it was replaced, or its session has ended", async () => {
    await run(async () => {
      const old = cart();
      Session.cart = ["other"];
      old.push("nobody's");
      await Session.Save();
      const last = cart();
      await Session.Abandon();
      last.push("nobody's");
      await Session.Save();
    });
    expect(house.has(id)).toBe(false);
  });
});

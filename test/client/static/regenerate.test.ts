// Session.Regenerate: the same session under another id, for after a sign-in.
import { writeFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { Session } from "../../../client/static/session.ts";
import { typed } from "../../../client/typed.ts";
import { startupMs } from "../../../protocol/image/image.ts";
import { prefixOf } from "../../../protocol/session-id.ts";
import { deferred } from "../../support/deferred.ts";
import { codeOf, house, ID, idNow, makeSession, openHouse } from "../../support/static-house.ts";

openHouse();

/** Its new id. */
async function regenerate(id: string): Promise<string> {
  return Session.Run({ id }, async () => {
    await Session.Regenerate();
    return idNow();
  });
}

function shown(id: string): Promise<unknown> {
  return Session.Run({ id }, () => (Session.Id === null ? null : { ...Session }));
}

describe("Regenerate", () => {
  it("gives the session another id of the same prefix, and of the old one nothing is left", async () => {
    const id = await makeSession({ a: 1 });
    const next = await Session.Run({ id }, async () => {
      await Session.Regenerate();
      expect([Session.a, Session.Modified, Session.Path]).toEqual([1, false, house.pathOf(idNow())]);
      return idNow();
    });
    expect(next).toMatch(ID);
    expect([next === id, prefixOf(next)]).toEqual([false, prefixOf(id)]);
    expect([house.has(id), house.has(`${id}.lock`), house.has(next)]).toEqual([false, false, true]);
    expect([await shown(id), await shown(next)]).toEqual([null, { a: 1 }]);
  });

  it("keeps every byte of the file but the time, objects that are one, life time and path", async () => {
    const shared = { n: 1 };
    const id = await makeSession({ f: typed("Float", 4), s: typed("Short[]", [1, 2]), one: [shared], two: shared });
    await Session.Run({ id }, () => {
      Session.Timeout = 777;
      Session.CookiePath = "/deep";
    });
    const before = house.fileOf(id);
    const next = await regenerate(id);
    const after = house.fileOf(next);
    expect(after.subarray(8).equals(before.subarray(8))).toBe(true);
    expect(startupMs(after)).toBeGreaterThanOrEqual(startupMs(before));
    await Session.Run({ id: next }, () => {
      expect([Session.TypeOf("f"), Session.TypeOf("s"), Session.Timeout]).toEqual(["Float", "Short[]", 777]);
      expect((Session.one as unknown[])[0]).toBe(Session.two);
    });
  });

  it("takes along what is not saved yet, objects changed in place included, and they stay live", async () => {
    const id = await makeSession({ cart: [1], n: 1, gone: true });
    const next = await Session.Run({ id }, async () => {
      const cart = Session.cart as number[];
      cart.push(2);
      Session.n = 5;
      delete Session.gone;
      Session.Timeout = 99;
      await Session.Regenerate();
      expect([Session.Modified, Session.cart]).toEqual([false, cart]);
      cart.push(3);
      return idNow();
    });
    expect(await shown(next)).toEqual({ cart: [1, 2, 3], n: 5 });
    expect(await Session.Run({ id: next }, () => Session.Timeout)).toBe(99);
  });

  it("does nothing without a session, and saves one that has just begun", async () => {
    await Session.Run({}, async () => {
      await Session.Regenerate();
      expect([Session.Id, Session.Modified]).toEqual([null, false]);
      Session.a = 1;
      const first = idNow();
      await Session.Regenerate();
      expect([idNow() === first, house.has(first), house.has(idNow()), Session.a]).toEqual([false, false, true, 1]);
    });
  });

  it("a slower request with the old id hears that it is gone, and so does everybody who waits for it", async () => {
    const id = await makeSession({ a: 1 });
    const [other, begun, end] = [house.worker(), deferred<void>(), deferred<void>()];
    const slow = Session.Run({ id }, async () => {
      Session.slow = 1;
      begun.resolve();
      await end.promise;
      return codeOf(() => Session.Save());
    });
    await begun.promise;
    let waiting: Promise<string> | undefined;
    const next = await Session.Run({ id }, async () => {
      await Session.Transaction(async () => {
        await Session.Regenerate();
        waiting = codeOf(() => other.transaction(id, () => 1));
        expect([idNow(), (await other.open(id))?.id]).toEqual([id, id]);
      });
      return idNow();
    });
    end.resolve();
    expect([await waiting, await slow]).toEqual(["ERR_SESSION_GONE", "ERR_SESSION_GONE"]);
    expect([await shown(next), house.has(id)]).toEqual([{ a: 1 }, false]);
  });

  it("of two at once one wins", async () => {
    const id = await makeSession({ a: 1 });
    const outcomes = await Promise.all([1, 2].map(() => codeOf(() => regenerate(id))));
    expect(outcomes.sort()).toEqual(["ERR_SESSION_GONE", "no error"]);
  });

  it("a Gambas program that had it loaded cannot bring the old one back", async () => {
    const id = await makeSession({ a: 1 });
    const image = house.fileOf(id);
    const next = await regenerate(id);
    writeFileSync(house.pathOf(id), image);
    expect([await shown(id), house.has(id), await shown(next)]).toEqual([null, false, { a: 1 }]);
  });

  it("an Abandon while it is under way ends the session under both ids", async () => {
    const id = await makeSession({ tag: "abandoned" });
    expect(await tagged("abandoned")).toHaveLength(1);
    await Session.Run({ id }, async () => {
      const going = codeOf(() => Session.Regenerate());
      await Session.Abandon();
      expect([await going, Session.Id]).toEqual(["no error", null]);
    });
    expect([house.has(id), await tagged("abandoned")]).toEqual([false, []]);
  });

  it("a refused one changes nothing, and can be tried again", async () => {
    const id = await makeSession({ a: 1 });
    await Session.Run({ id }, async () => {
      Session.big = "x".repeat(5_000_000);
      expect(await codeOf(() => Session.Regenerate())).toBe("ERR_TOO_LARGE");
      expect([Session.Id, house.has(id), Session.Modified]).toEqual([id, true, true]);
      delete Session.big;
      await Session.Save();
      expect(Session.Id).toBe(id);
      await Session.Regenerate();
      expect(Session.Id).not.toBe(id);
    });
  });

  it("does not end the new session where it is the only one of its prefix", async () => {
    const id = await makeSession({ a: 1 });
    const next = await Session.Run({ id }, async () => {
      Session.Unique = true;
      await Session.Regenerate();
      return idNow();
    });
    expect(await shown(next)).toEqual({ a: 1 });
  });
});

describe("Regenerate in a transaction", () => {
  it("takes effect with its commit, together with what it changes", async () => {
    const id = await makeSession({ n: 1 });
    const next = await Session.Run({ id }, async () => {
      await Session.Transaction(async () => {
        Session.n = 2;
        await Session.Regenerate();
        Session.n = 3;
        expect([Session.Id, house.has(id)]).toEqual([id, true]);
      });
      expect([Session.Id === id, Session.n, house.has(id)]).toEqual([false, 3, false]);
      Session.after = true;
      return idNow();
    });
    expect(await shown(next)).toEqual({ n: 3, after: true });
  });

  it("is nothing where the transaction fails, or the part of it", async () => {
    const id = await makeSession({ n: 1 });
    await Session.Run({ id }, async () => {
      const failing = Session.Transaction(async () => {
        await Session.Regenerate();
        throw new RangeError("no");
      });
      await expect(failing).rejects.toThrow("no");
      await Session.Transaction(async () => {
        Session.n = 2;
        const part = Session.Transaction(async () => {
          await Session.Regenerate();
          throw new RangeError("no part");
        });
        await expect(part).rejects.toThrow("no part");
      });
      expect([Session.Id, Session.n]).toEqual([id, 2]);
    });
    expect(await shown(id)).toEqual({ n: 2 });
  });

  it("works for transactions of one worker that share a lease: those behind it hear that the session is gone", async () => {
    const id = await makeSession({ n: 0, tag: "shared" });
    const client = house.worker();
    const outcomes = await Promise.allSettled([
      client.transaction(id, (own) => own.set("n", Number(own.get("n")) + 1)),
      client.transaction(id, async (own) => {
        own.set("n", Number(own.get("n")) + 1);
        await own.regenerate();
      }),
      client.transaction(id, (own) => own.set("n", 100)),
    ]);
    expect(outcomes.map(({ status }) => status)).toEqual(["fulfilled", "fulfilled", "rejected"]);
    expect(outcomes[2]).toMatchObject({ reason: { code: "ERR_SESSION_GONE" } });
    expect([house.has(id), await tagged("shared")]).toEqual([false, [{ n: 2, tag: "shared" }]]);
  });

  it("works in one that begins the session", async () => {
    const [first, last] = await Session.Run({}, async () => {
      const first = await Session.Transaction(async () => {
        Session.a = 1;
        await Session.Regenerate();
        return idNow();
      });
      return [first, idNow()];
    });
    expect([first === last, house.has(first ?? ""), await shown(last ?? "")]).toEqual([false, false, { a: 1 }]);
  });
});

/** What all sessions with this tag hold. */
async function tagged(tag: string): Promise<unknown[]> {
  const found: unknown[] = [];
  const client = house.worker();
  for await (const { id } of client.list()) found.push(await shown(id));
  return found.filter((values) => (values as Record<string, unknown> | null)?.tag === tag);
}

// Session.Transaction.
import { describe, expect, it } from "vitest";
import { Session } from "../../../client/static/session.ts";
import { SessionError } from "../../../protocol/errors.ts";
import { deferred } from "../../support/deferred.ts";
import { codeOf, house, idNow, makeSession, openHouse } from "../../support/static-house.ts";

openHouse();

describe("Transaction", () => {
  it("makes 50 increments at once exact, over several workers", async () => {
    const id = await makeSession({ n: 0 });
    const workers = [house.worker(), house.worker()];
    await Promise.all(
      Array.from({ length: 50 }, (_, index) => {
        const worker = workers[index % 3];
        if (worker === undefined) return Session.Run({ id }, () => Session.Transaction(increment));
        return worker.transaction(id, (session) => session.set("n", (session.get("n") as number) + 1));
      }),
    );
    expect(await Session.Run({ id }, () => Session.n)).toBe(50);
  });

  it("makes increments in one context at once exact", async () => {
    const id = await makeSession({ n: 0 });
    await Session.Run({ id }, async () => {
      await Promise.all(Array.from({ length: 10 }, () => Session.Transaction(increment)));
      expect(Session.n).toBe(10);
    });
    expect(await Session.Run({ id }, () => Session.n)).toBe(10);
  });

  it("resolves to the result once it is committed, and the context goes on with it", async () => {
    const id = await makeSession({ n: 1, o: { k: 1 } });
    await Session.Run({ id }, async () => {
      const o = Session.o as { k: number };
      const result = await Session.Transaction(async () => {
        Session.n = 2;
        (Session.o as { k: number }).k = 2;
        await Session.Save();
        Session.Timeout = 60;
        return "done";
      });
      expect([result, Session.n, Session.o, Session.Timeout, Session.Modified]).toEqual([
        "done",
        2,
        { k: 2 },
        60,
        false,
      ]);
      expect(o).toEqual({ k: 1 });
      const other = await house.worker().open(id);
      expect([other?.get("n"), other?.timeout]).toEqual([2, 60]);
    });
  });

  it("sees the newest contents, and what the context changed before", async () => {
    const id = await makeSession({ n: 1 });
    await Session.Run({ id }, async () => {
      expect(Session.n).toBe(1);
      const other = await house.worker().open(id);
      other?.set("n", 5);
      await other?.save();
      Session.m = 7;
      await Session.Transaction(() => {
        expect([Session.n, Session.m]).toEqual([5, 7]);
      });
    });
  });

  it("an error commits nothing and goes on", async () => {
    const id = await makeSession({ n: 1, o: { k: 1 } });
    await Session.Run({ id }, async () => {
      const failing = Session.Transaction(async () => {
        Session.n = 2;
        (Session.o as { k: number }).k = 2;
        await Session.Save();
        throw new RangeError("mine");
      });
      await expect(failing).rejects.toThrow(new RangeError("mine"));
      expect([Session.n, Session.o, Session.Modified]).toEqual([1, { k: 1 }, false]);
    });
    expect(await Session.Run({ id }, () => [Session.n, Session.o])).toEqual([1, { k: 1 }]);
  });

  it("an error thrown at once is a rejection like any other", async () => {
    const id = await makeSession({ n: 1 });
    await Session.Run({ id }, async () => {
      const failing = Session.Transaction(() => {
        throw new RangeError("at once");
      });
      await expect(failing).rejects.toThrow("at once");
    });
  });

  it("without a session it makes one", async () => {
    const id = await Session.Run({ remoteAddress: "10.9.9.9" }, async () => {
      await Session.Transaction(() => {
        Session.n = 1;
      });
      expect(house.has(idNow())).toBe(true);
      return idNow();
    });
    expect(id).toMatch(/^10\.9\.9\.9:/);
    expect(await Session.Run({ id }, () => Session.n)).toBe(1);
  });

  it("without a session and without a write it makes none, nor with an error", async () => {
    await Session.Run({}, async () => {
      expect(await Session.Transaction(() => 5)).toBe(5);
      let made = "";
      const failing = Session.Transaction(async () => {
        Session.n = 1;
        made = idNow();
        await Session.Save();
        throw new Error("no");
      });
      await expect(failing).rejects.toThrow("no");
      expect([Session.Id, house.has(made)]).toEqual([null, false]);
    });
  });

  it("without a session keeps what was said of the one to come, unless it fails", async () => {
    await Session.Run({ remoteAddress: "10.9.9.9" }, async () => {
      const say = (seconds: number): void => {
        Session.Timeout = seconds;
        Session.Prefix = "desk";
        Session.CookiePath = "/desk";
        Session.Unique = true;
      };
      const said = (): unknown[] => [Session.Timeout, Session.Prefix, Session.CookiePath, Session.Unique];
      const before = said();
      const failing = Session.Transaction(() => {
        say(50);
        throw new Error("no");
      });
      await expect(failing).rejects.toThrow("no");
      expect(said()).toEqual(before);
      await Session.Transaction(() => say(60));
      expect(said()).toEqual([60, "desk", "/desk", true]);
      Session.n = 1;
      await Session.Save();
      expect(idNow()).toMatch(/^desk:/);
      expect([Session.Timeout, Session.CookiePath]).toEqual([60, "/desk"]);
    });
  });

  it("keeps the prefix of the session that comes after the one it runs on", async () => {
    const id = await makeSession({ n: 1 });
    await Session.Run({ id }, async () => {
      await Session.Transaction(() => {
        Session.Prefix = "desk";
      });
      await Session.Abandon();
      Session.n = 1;
      expect(idNow()).toMatch(/^desk:/);
    });
  });

  it("joins the transaction it is called in", async () => {
    const id = await makeSession({ n: 1 });
    await Session.Run({ id }, () =>
      Session.Transaction(async () => {
        Session.n = 2;
        const inner = await Session.Transaction(async () => {
          expect(Session.n).toBe(2);
          Session.m = 3;
          return Session.Transaction(() => 9);
        });
        expect([inner, Session.m]).toEqual([9, 3]);
        expect((await house.worker().open(id))?.get("n")).toBe(1);
      }),
    );
    expect(await Session.Run({ id }, () => [Session.n, Session.m])).toEqual([2, 3]);
  });

  it("a part that fails takes back its part only", async () => {
    const id = await makeSession({ n: 1, o: { k: 1 } });
    await Session.Run({ id }, () =>
      Session.Transaction(async () => {
        Session.n = 2;
        Session.Timeout = 77;
        const o = Session.o as { k: number };
        o.k = 2;
        const failing = Session.Transaction(() => {
          Session.n = 3;
          Session.m = 3;
          Session.Timeout = 78;
          throw new Error("part");
        });
        await expect(failing).rejects.toThrow("part");
        expect([Session.n, Session.m, Session.o, Session.Timeout]).toEqual([2, undefined, { k: 2 }, 77]);
        Session.p = 4;
      }),
    );
    await Session.Run({ id }, () => {
      expect([Session.n, Session.m, Session.o, Session.p, Session.Timeout]).toEqual([2, undefined, { k: 2 }, 4, 77]);
    });
  });

  it("a part that fails takes back what it said of the session to come", async () => {
    const id = await makeSession({ n: 1 });
    await Session.Run({ id, remoteAddress: "10.9.9.9" }, () =>
      Session.Transaction(async () => {
        const part = Session.Transaction(() => {
          Session.Prefix = "desk";
          Session.Unique = true;
          throw new Error("no");
        });
        await expect(part).rejects.toThrow("no");
        expect([Session.Prefix, Session.Unique]).toEqual(["10.9.9.9", false]);
      }),
    );
  });

  it("a part that fails leaves the objects live that it did not change", async () => {
    const id = await makeSession({ o: { k: 1 } });
    await Session.Run({ id }, () =>
      Session.Transaction(async () => {
        const o = Session.o as { k: number };
        o.k = 2;
        await expect(Session.Transaction(() => Promise.reject(new Error("part")))).rejects.toThrow("part");
        expect(Session.o).toBe(o);
        o.k = 3;
      }),
    );
    expect(await Session.Run({ id }, () => Session.o)).toEqual({ k: 3 });
  });

  it("a part that fails takes back its part of a session that is only being made", async () => {
    const id = await Session.Run({}, async () => {
      await Session.Transaction(async () => {
        Session.n = 1;
        const failing = Session.Transaction(() => {
          Session.m = 2;
          throw new Error("part");
        });
        await expect(failing).rejects.toThrow("part");
        expect([Session.n, Session.m]).toEqual([1, undefined]);
      });
      return Session.Id;
    });
    expect(id).not.toBeNull();
    expect(await Session.Run({ id }, () => Session.Keys)).toEqual(["n"]);
  });

  it("may abandon the session and begin another one", async () => {
    const id = await makeSession({ n: 1 });
    const next = await Session.Run({ id }, async () => {
      await Session.Transaction(async () => {
        Session.n = 2;
        await Session.Abandon();
        Session.m = 3;
      });
      return idNow();
    });
    expect([house.has(id), next === id]).toEqual([false, false]);
    expect(await Session.Run({ id: next }, () => ({ ...Session }))).toEqual({ m: 3 });
  });

  it("Load inside takes back what it changed so far", async () => {
    const id = await makeSession({ n: 1 });
    await Session.Run({ id }, () =>
      Session.Transaction(async () => {
        Session.n = 2;
        Session.m = 2;
        await Session.Load();
        expect([Session.n, Session.m]).toEqual([1, undefined]);
        Session.p = 3;
      }),
    );
    expect(await Session.Run({ id }, () => ({ ...Session }))).toEqual({ n: 1, p: 3 });
  });

  it("work that outlives it belongs to the session still, and is saved when it asks for that", async () => {
    const id = await makeSession({ n: 1 });
    const [over, late] = [deferred(), deferred()];
    await Session.Run({ id }, async () => {
      await Session.Transaction(() => {
        void (async () => {
          await over.promise;
          Session.late = 1;
          await Session.Save();
          await Session.Transaction(increment);
          late.resolve();
        })();
      });
      over.resolve();
      await late.promise;
    });
    expect(await Session.Run({ id }, () => ({ ...Session }))).toEqual({ n: 2, late: 1 });
  });

  it("what the context changes meanwhile is its own, and is saved after it", async () => {
    const id = await makeSession({ n: 1, o: { k: 1 } });
    await Session.Run({ id }, async () => {
      const gate = deferred();
      const running = Session.Transaction(async () => {
        increment();
        await gate.promise;
      });
      Session.m = 5;
      (Session.o as { k: number }).k = 7;
      gate.resolve();
      await running;
      expect([Session.n, Session.m, Session.o]).toEqual([2, 5, { k: 7 }]);
    });
    expect(await Session.Run({ id }, () => ({ ...Session }))).toEqual({ n: 2, m: 5, o: { k: 7 } });
  });

  it("a session the context makes meanwhile, while the transaction has none, is one session", async () => {
    const make = async (write: () => void): Promise<string> =>
      Session.Run({}, async () => {
        const gate = deferred();
        const running = Session.Transaction(async () => {
          await gate.promise;
          write();
        });
        for (let step = 0; step < 10; step++) await Promise.resolve();
        Session.outer = 1;
        gate.resolve();
        await running;
        return idNow();
      });
    const only = await make(() => undefined);
    expect(await Session.Run({ id: only }, () => ({ ...Session }))).toEqual({ outer: 1 });
    const both = await make(() => {
      Session.inner = 2;
    });
    expect(await Session.Run({ id: both }, () => ({ ...Session }))).toEqual({ inner: 2, outer: 1 });
  });

  it("does not bring back what the context abandons meanwhile", async () => {
    const id = await makeSession({ n: 1 });
    const next = await Session.Run({ id }, async () => {
      const gate = deferred();
      const running = Session.Transaction(async () => {
        increment();
        await gate.promise;
      });
      for (let step = 0; step < 10; step++) await Promise.resolve();
      const ending = Session.Abandon();
      gate.resolve();
      await running;
      await ending;
      expect(Session.Id).toBeNull();
      Session.b = 1;
      return idNow();
    });
    expect([house.has(id), house.has(next)]).toEqual([false, true]);
  });

  it("many at once that each do nothing, fail, or write leave exactly what was written", async () => {
    const id = await makeSession({ n: 0, log: [] });
    const outcomes = await Promise.all(
      Array.from({ length: 60 }, (_, index) =>
        codeOf(() =>
          Session.Run({ id }, () =>
            Session.Transaction(async () => {
              if (index % 3 === 0) return;
              increment();
              (Session.log as number[]).push(index);
              if (index % 5 === 0) await new Promise((resolve) => setImmediate(resolve));
              if (index % 3 === 1) throw new SessionError("ERR_CONFLICT", "mine");
            }),
          ),
        ),
      ),
    );
    const written = Array.from({ length: 60 }, (_, index) => index).filter((index) => index % 3 === 2);
    expect(outcomes.map((code) => code === "no error")).toEqual(outcomes.map((_, index) => index % 3 !== 1));
    await Session.Run({ id }, () => {
      expect([Session.n, Session.log]).toEqual([written.length, expect.arrayContaining(written)]);
      expect((Session.log as number[]).length).toBe(written.length);
    });
  });

  it("may abandon the session", async () => {
    const id = await makeSession({ n: 1 });
    await Session.Run({ id }, async () => {
      await Session.Transaction(() => Session.Abandon());
      expect(Session.Id).toBeNull();
    });
    expect(house.has(id)).toBe(false);
  });

  it("fails with ERR_SESSION_GONE when the session is gone", async () => {
    const id = await makeSession({ n: 1 });
    await Session.Run({ id }, async () => {
      await house.worker().abandon(id);
      let ran = false;
      const code = await codeOf(() =>
        Session.Transaction(() => {
          ran = true;
        }),
      );
      expect([code, ran]).toEqual(["ERR_SESSION_GONE", false]);
    });
  });

  it("a lease longer than allowed is refused, with the limit named", async () => {
    const id = await makeSession({ n: 1 });
    await Session.Run({ id }, async () => {
      await expect(Session.Transaction(() => 1, { leaseMs: 600_000 })).rejects.toMatchObject({
        code: "ERR_BAD_OPTION",
        message: expect.stringContaining("60000"),
      });
    });
  });

  it.each([-1, 1.5, Number.NaN, "5"])("a lease of %s ms is refused and nothing runs", async (leaseMs) => {
    const id = await makeSession({ n: 1 });
    await Session.Run({ id }, async () => {
      let ran = false;
      const run = (): void => {
        ran = true;
      };
      expect(await codeOf(() => Session.Transaction(run, { leaseMs: leaseMs as number }))).toBe("ERR_BAD_OPTION");
      expect(ran).toBe(false);
      await Session.Transaction(increment);
      expect(Session.n).toBe(2);
    });
  });

  it("a holder that stalls is fenced off, and the next goes on", async () => {
    const id = await makeSession({ n: 1 });
    const gate = deferred();
    const held = deferred();
    const stalled = codeOf(() =>
      Session.Run({ id }, () =>
        Session.Transaction(
          async () => {
            Session.n = 100;
            held.resolve();
            await gate.promise;
          },
          { leaseMs: 100 },
        ),
      ),
    );
    await held.promise;
    await house.worker().transaction(id, (session) => session.set("n", 2));
    gate.resolve();
    expect(await stalled).toBe("ERR_LEASE_LOST");
    expect(await Session.Run({ id }, () => Session.n)).toBe(2);
  });

  it("of two sessions may be held by one", async () => {
    const [a, b] = [await makeSession({ n: 1 }), await makeSession({ n: 1 })];
    await Session.Run({ id: a }, () =>
      Session.Transaction(async () => {
        increment();
        await Session.Run({ id: b }, () => Session.Transaction(increment));
        expect(Session.Id).toBe(a);
      }),
    );
    expect(await Session.Run({ id: a }, () => Session.n)).toBe(2);
    expect(await Session.Run({ id: b }, () => Session.n)).toBe(2);
  });

  it("a Run of its own session inside a transaction is part of it", async () => {
    const id = await makeSession({ n: 1 });
    await Session.Run({ id }, () =>
      Session.Transaction(async () => {
        increment();
        await Session.Run({ id }, () => Session.Transaction(increment));
        expect(Session.n).toBe(3);
      }),
    );
    expect(await Session.Run({ id }, () => Session.n)).toBe(3);
  });

  it("goes first come, first served", async () => {
    const id = await makeSession({ order: [] });
    const gate = deferred();
    const held = deferred();
    const add = (name: string) => () => {
      (Session.order as string[]).push(name);
    };
    const first = Session.Run({ id }, () =>
      Session.Transaction(async () => {
        held.resolve();
        await gate.promise;
        add("first")();
      }),
    );
    await held.promise;
    const worker = house.worker();
    await worker.ready();
    const others: Promise<unknown>[] = [];
    for (const name of ["a", "b", "c", "d"]) {
      others.push(worker.transaction(id, (session) => void (session.get("order") as string[]).push(name)));
      // Its place is taken when the daemon knows of it.
      await worker.status();
      await worker.status();
    }
    gate.resolve();
    await Promise.all([first, ...others]);
    expect(await Session.Run({ id }, () => Session.order)).toEqual(["first", "a", "b", "c", "d"]);
  });
});

function increment(): void {
  Session.n = (Session.n as number) + 1;
}

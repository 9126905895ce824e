// Changes that come after what would have saved them: each is saved, or told once, with its key and its request. Never silence.
import { once } from "node:events";
import type { ServerResponse } from "node:http";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { connect } from "../../../client/connect.ts";
import { session } from "../../../client/http/node/middleware.ts";
import { Session } from "../../../client/static/session.ts";
import { deferred } from "../../support/deferred.ts";
import { HttpHouse } from "../../support/http/http-house.ts";
import { until } from "../../support/processes.ts";
import { SessionHouse } from "../../support/session-house.ts";

let house: SessionHouse;
let http: HttpHouse;
let id: string;
let cookie: string;
let told: string[];
let handler: (res: ServerResponse) => unknown;

function note(warning: Error & { code?: string }): void {
  if (warning.code === "ERR_NOT_SAVED") told.push(warning.message);
}

beforeAll(async () => {
  house = await SessionHouse.open();
  await connect(house.options);
  const withSession = session(house.options);
  http = await HttpHouse.open((req, res) => withSession(req, res, () => handler(res)));
});
afterAll(async () => {
  await http.close();
  await house.close();
});
beforeEach(async () => {
  told = [];
  process.on("warning", note);
  id = await Session.Run({ remoteAddress: "10.0.0.1" }, () => {
    Session.cart = ["a"];
    Session.n = 0;
    return Session.Id as string;
  });
  cookie = `SESSION=${id}`;
});
afterEach(() => {
  process.off("warning", note);
});

function stored(): Promise<Record<string, unknown>> {
  return Session.Run({ id }, () => ({ ...Session }));
}

/** A late change that is told after everything that could have been told before it. */
async function lastWord(): Promise<void> {
  for (let looks = 0; looks < 2; looks++) {
    const before = told.length;
    await Session.Run({ id }, () => setImmediate(() => setImmediate(() => Session.set("lastWord", 1))));
    await until(() => told.length > before && told.some((text) => text.includes("lastWord")));
    told = told.filter((text) => !text.includes("lastWord"));
  }
}

const ask = (): Promise<unknown> => http.ask("/late?secret=1", { cookie });

describe("after the response to a request has ended", () => {
  it.each<[string, string, () => unknown]>([
    ["a key that is set", "Session.late", () => Session.set("late", 1)],
    [
      "a key that is set by index",
      'Session["a key"]',
      () => {
        Session["a key"] = 1;
      },
    ],
    ["a key that is deleted", "Session.n", () => Session.delete("n")],
    ["an object that is changed in place", "Session.cart", () => (Session.cart as string[]).push("late")],
    [
      "the timeout",
      "Session.Timeout",
      () => {
        Session.Timeout = 77;
      },
    ],
    [
      "the path of the cookie",
      "Session.CookiePath",
      () => {
        Session.CookiePath = "/late";
      },
    ],
    [
      "Modified = true",
      "Session.Modified",
      () => {
        Session.Modified = true;
      },
    ],
    [
      "Unique",
      "Session.Unique",
      () => {
        Session.Unique = true;
      },
    ],
  ])("%s is told with the request", async (_what, name, change) => {
    handler = (res) => {
      Session.n;
      res.end("done");
      change();
    };
    await ask();
    await until(() => told.length > 0);
    await lastWord();
    expect(told).toHaveLength(1);
    expect(told[0]).toContain(`${name} was changed after the response (GET /late) was over`);
    expect(told[0]).toContain("Session.Save()");
    expect(await stored()).toEqual({ cart: ["a"], n: 0 });
  });

  it("a change is told though nobody had used the session before", async () => {
    handler = (res) => {
      res.on("close", () => setImmediate(() => Session.set("late", 1)));
      res.end("done");
    };
    const before = house.fileOf(id);
    await ask();
    await until(() => told.length > 0);
    expect(told[0]).toContain("Session.late was changed after the response (GET /late) was over");
    expect(house.fileOf(id)).toEqual(before);
  });

  it("a change is told where there is no response, though next had not used the session", async () => {
    const over = deferred();
    const upgrade = { method: "GET", url: "/socket", headers: { cookie }, socket: {} };
    (session(house.options) as (...args: unknown[]) => void)(upgrade, {}, () => {
      setImmediate(() => setImmediate(() => over.resolve(Session.set("late", 1))));
    });
    await over.promise;
    await until(() => told.length > 0);
    expect(told[0]).toContain("Session.late was changed after the call of next (GET /socket) was over");
  });

  it.each(["finish", "close"])("a change at '%s' is told", async (event) => {
    handler = (res) => {
      res.on(event, () => Session.set("late", 1));
      res.end(String(Session.n));
    };
    await ask();
    await until(() => told.length > 0);
    expect(told[0]).toContain("Session.late");
  });

  it("an object that was read before, and is changed some time later, is told once", async () => {
    handler = (res) => {
      const cart = Session.cart as string[];
      res.on("close", () =>
        setImmediate(() => {
          cart.push("late");
          cart.push("later");
        }),
      );
      res.end("done");
    };
    await ask();
    await until(() => told.length > 0);
    await lastWord();
    expect(told).toHaveLength(1);
    expect(told[0]).toContain("Session.cart was changed after the response (GET /late)");
  });

  it("several keys are told each, once, however often they are changed", async () => {
    handler = (res) => {
      res.end(String(Session.n));
      for (let n = 0; n < 5; n++) Session.set("one", n);
      Session.set("two", 2);
    };
    await ask();
    await until(() => told.length > 1);
    await lastWord();
    expect(told.map((text) => text.split(" ", 1)[0])).toEqual(["Session.one", "Session.two"]);
  });

  it.each<[string, () => Promise<unknown>]>([
    ["Save", () => Session.Save()],
    ["a transaction", () => Session.Transaction(() => 1)],
  ])("a change that %s follows is saved, and nothing is told", async (_what, save) => {
    const saved = deferred();
    handler = (res) => {
      Session.n;
      res.on("finish", () => {
        Session.set("late", 1);
        (Session.cart as string[]).push("late");
        void save().then(() => saved.resolve());
      });
      res.end("done");
    };
    await ask();
    await saved.promise;
    await lastWord();
    expect(told).toEqual([]);
    expect(await stored()).toMatchObject({ late: 1, cart: ["a", "late"] });
  });

  it("an object that has become what throws when it is looked at is told, and a save says why", async () => {
    const stray: unknown[] = [];
    const noteStray = (error: unknown): void => void stray.push(error);
    process.on("uncaughtException", noteStray);
    const saved = deferred<unknown>();
    const spoil = (cart: unknown): void =>
      void Object.defineProperty(cart, 0, {
        get: () => {
          throw new RangeError("not now");
        },
        enumerable: true,
      });
    handler = (res) => {
      const { cart } = Session;
      res.on("close", () =>
        setImmediate(async () => {
          spoil(cart);
          await until(() => told.length > 0);
          await Session.Save().catch(saved.resolve);
        }),
      );
      res.end("done");
    };
    await ask();
    expect(await saved.promise).toBeInstanceOf(RangeError);
    expect(told[0]).toContain("Session.cart was changed after the response (GET /late)");
    handler = (res) => {
      spoil(Session.cart);
      res.end("done");
    };
    expect(await ask()).toMatchObject({ status: 500 });
    await lastWord();
    process.off("uncaughtException", noteStray);
    expect(stray).toEqual([]);
  });

  it("what was changed before is saved, and nothing is told", async () => {
    handler = (res) => {
      (Session.cart as string[]).push("b");
      Session.set("n", 1);
      res.end("done");
      Session.set("m", 2);
    };
    await ask();
    await lastWord();
    expect(told).toEqual([]);
    expect(await stored()).toMatchObject({ cart: ["a", "b"], n: 1, m: 2 });
  });

  it("a session that does not begin in time is refused", async () => {
    let code: unknown;
    handler = (res) => {
      Session.n;
      res.end("done");
      try {
        Session.set("late", 1);
      } catch (error) {
        code = (error as { code: unknown }).code;
      }
    };
    await http.ask("/");
    expect(code).toBe("ERR_HEADERS_SENT");
  });
});

describe("a response that the client cuts off", () => {
  const cutOff = async (): Promise<void> => {
    const sent = http.begin("/stream", { cookie });
    sent.end();
    const [response] = await once(sent, "response");
    response.on("error", () => undefined);
    await once(response, "data");
    sent.destroy();
  };

  it("saves what was changed before, and in its 'close'", async () => {
    handler = (res) => {
      res.on("close", () => Session.set("closed", 1));
      res.writeHead(200);
      res.write("data");
      Session.set("event", 1);
      (Session.cart as string[]).push("b");
    };
    await cutOff();
    await until(async () => (await stored()).closed === 1);
    expect(await stored()).toMatchObject({ event: 1, closed: 1, cart: ["a", "b"] });
    await lastWord();
    expect(told).toEqual([]);
  });

  it("tells what is changed after that", async () => {
    handler = (res) => {
      res.on("close", () => setImmediate(() => setImmediate(() => Session.set("late", 1))));
      res.write(String(Session.n));
    };
    await cutOff();
    await until(() => told.length > 0);
    expect(told[0]).toContain("Session.late was changed after the response (GET /stream)");
  });

  it("still saves at the end that comes after that", async () => {
    const over = deferred();
    handler = (res) => {
      res.on("close", () =>
        setImmediate(() => {
          Session.set("late", 1);
          res.end();
          over.resolve();
        }),
      );
      res.write(String(Session.n));
    };
    await cutOff();
    await over.promise;
    await until(async () => (await stored()).late === 1);
    await lastWord();
    expect(told).toEqual([]);
  });

  it("is saved in between when it asks for that", async () => {
    const saved = deferred();
    handler = (res) => {
      res.write(String(Session.n));
      Session.set("event", 7);
      void Session.Save().then(saved.resolve);
    };
    await Promise.all([cutOff(), saved.promise]);
    expect(await stored()).toMatchObject({ event: 7 });
  });
});

describe("after a Run", () => {
  it.each<[string, () => unknown, string]>([
    ["what it left running sets", () => setImmediate(() => setImmediate(() => Session.set("late", 1))), "Session.late"],
    [
      "what it left running changes in place",
      () => setImmediate(() => setImmediate(() => (Session.cart as string[]).push("late"))),
      "Session.cart",
    ],
  ])("%s is told", async (_what, fn, name) => {
    await Session.Run({ id }, () => void fn());
    await until(() => told.length > 0);
    expect(told[0]).toContain(`${name} was changed after Session.Run (session ${id}) was over`);
  });

  it("an object that it returned and that is changed is told", async () => {
    const cart = await Session.Run({ id }, () => Session.cart as string[]);
    cart.push("late");
    await until(() => told.length > 0);
    expect(told[0]).toContain("Session.cart was changed after Session.Run");
  });

  it("that failed nothing is told of what was dropped with it", async () => {
    const failing = Session.Run({ id }, () => {
      Session.set("n", 5);
      (Session.cart as string[]).push("dropped");
      throw new Error("on purpose");
    });
    await expect(failing).rejects.toThrow("on purpose");
    await lastWord();
    expect(told).toEqual([]);
  });
});

describe("after a transaction", () => {
  it("what it left running sets is told, with the request", async () => {
    handler = async (res) => {
      await Session.Transaction(() => void setImmediate(() => setImmediate(() => Session.set("late", 1))));
      await new Promise((resolve) => setImmediate(() => setImmediate(() => setImmediate(resolve))));
      res.end("done");
    };
    await ask();
    await until(() => told.length > 0);
    expect(told[0]).toContain("Session.late was changed after the transaction (GET /late) was over");
  });

  it("what is set through the handle that was kept is told, and saved if it asks for that", async () => {
    const handle = await house.worker().open(id);
    if (handle === undefined) throw new Error("no session");
    let kept = handle;
    await handle.transaction((inner) => {
      kept = inner;
    });
    kept.set("late", 1);
    await until(() => told.length > 0);
    expect(told[0]).toContain(`Session.late was changed after the transaction (session ${id})`);
    kept.set("later", 2);
    await kept.save();
    await lastWord();
    expect(told).toHaveLength(1);
    expect(await stored()).toMatchObject({ late: 1, later: 2 });
  });

  it.each<[string, (cart: string[]) => string[] | Promise<never>]>([
    ["of the id alone", (cart) => cart],
    ["of the id alone that failed", () => Promise.reject(new Error("on purpose"))],
  ])("%s, an object of it that is changed is told", async (_what, outcome) => {
    let cart: string[] = [];
    const over = house.worker().transaction(id, (session) => {
      cart = session.get("cart") as string[];
      return outcome(cart);
    });
    await over.catch(() => undefined);
    cart.push("late");
    await until(() => told.length > 0);
    expect(told[0]).toContain(`Session.cart was changed after the transaction (session ${id})`);
  });

  it.each<[string, () => unknown]>([
    [
      "whose session it has ended itself, and that failed",
      async () => {
        await Session.Abandon();
        throw new Error("on purpose");
      },
    ],
    ["whose session was ended meanwhile", () => 1],
  ])("%s, what it left running sets is told", async (what, fn) => {
    await Session.Run({ id, remoteAddress: "10.0.0.1" }, async () => {
      const transaction = Session.Transaction(async () => {
        setTimeout(() => Session.set("late", 1), 50);
        await fn();
      });
      const ends = what.includes("meanwhile") ? Session.Abandon() : undefined;
      await Promise.allSettled([transaction, ends]);
    });
    await until(() => told.length > 0);
    expect(told[0]).toContain("Session.late was changed after the transaction");
  });

  it("that stalled nothing more is told than that", async () => {
    const over = deferred();
    await Session.Run({ id }, async () => {
      const stalling = Session.Transaction(
        async () => {
          await over.promise;
          Session.set("late", 1);
        },
        { leaseMs: 50 },
      );
      await expect(stalling).rejects.toMatchObject({ code: "ERR_LEASE_LOST" });
    });
    over.resolve();
    await lastWord();
    expect(told).toEqual([]);
  });
});

it("a handle of a client is its owner's affair", async () => {
  const handle = await house.worker().open(id);
  handle?.set("n", 5);
  await lastWord();
  expect(told).toEqual([]);
});

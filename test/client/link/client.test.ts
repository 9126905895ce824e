// connect(): the client for those who want no static API, and what it says when there is nobody to talk to.
import { chownSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { connect } from "../../../client/connect.ts";
import { Cache } from "../../../client/copies/cache.ts";
import type { Client, ListedSession } from "../../../client/index.ts";
import type { ConnectOptions } from "../../../client/options.ts";
import { Session } from "../../../client/static/session.ts";
import { typed } from "../../../client/typed.ts";
import { startDaemon } from "../../../daemon/start.ts";
import type { SessionError } from "../../../protocol/errors.ts";
import { FrameReader, FrameWriter, readMessage } from "../../../protocol/wire/frame.ts";
import { makeRoot, SessionHouse } from "../../support/session-house.ts";

let house: SessionHouse;
let client: Client;

beforeAll(async () => {
  house = await SessionHouse.open({ maxSessionBytes: 1_000_000 });
  client = await connect(house.options);
});
afterAll(() => house.close());

async function make(entries: Record<string, unknown>): Promise<string> {
  const handle = client.create({ prefix: "made" });
  for (const [key, value] of Object.entries(entries)) handle.set(key, value);
  await client.commit(handle);
  return handle.id ?? "";
}

describe("a client", () => {
  it("creates, opens, commits and abandons sessions", async () => {
    const id = await make({ a: 1 });
    expect(id).toMatch(/^made:[0-9A-F]{24}$/);
    const handle = await client.open(id);
    expect([handle?.id, handle?.get("a"), handle?.keys, handle?.size]).toEqual([id, 1, ["a"], house.fileOf(id).length]);
    handle?.set("b", [1]);
    if (handle !== undefined) await client.commit(handle);
    expect((await house.worker().open(id))?.get("b")).toEqual([1]);
    await client.abandon(id);
    expect([house.has(id), await client.open(id)]).toEqual([false, undefined]);
    await client.abandon(id);
  });

  it("gives every handle keys and objects of its own, however often they were read before", async () => {
    const id = await make({ a: 1, list: ["x", "y"], cart: { items: [{ n: 1 }] } });
    for (let count = 0; count < 4; count++) {
      const handle = await client.open(id);
      const [list, cart] = [handle?.get("list") as string[], handle?.get("cart") as { items: object[] }];
      expect([handle?.keys, list, cart]).toEqual([["a", "list", "cart"], ["x", "y"], { items: [{ n: 1 }] }]);
      handle?.keys.push("b");
      list.push("z");
      cart.items[0] = { n: 2 };
      expect(handle?.keys).toEqual(["a", "list", "cart"]);
      expect([handle?.get("list"), handle?.get("cart")]).toEqual([["x", "y", "z"], { items: [{ n: 2 }] }]);
    }
  });

  it("looks once at the file of a session that has changed, before it asks", async () => {
    const id = await make({ a: 1 });
    const worker = house.worker();
    const seen = await worker.open(id);
    const other = await client.open(id);
    other?.set("a", 2);
    await other?.save();
    const look = vi.spyOn(Cache.prototype, "current");
    expect([seen?.get("a"), (await worker.open(id))?.get("a")]).toEqual([1, 2]);
    expect(look).toHaveBeenCalledOnce();
    look.mockRestore();
  });

  it("finds no session for what is no id, and abandons nothing by it", async () => {
    const before = readdirSync(house.root, { recursive: true });
    for (const id of ["", "x", "../x", "a\0:0123456789ABCDEF01234567", "x".repeat(10_000)]) {
      expect(await client.open(id)).toBeUndefined();
      await expect(client.abandon(id)).rejects.toMatchObject({ code: "ERR_BAD_ID" });
      await expect(client.transaction(id, () => 1)).rejects.toMatchObject({ code: "ERR_SESSION_GONE" });
    }
    // The id of a handle whose session has ended.
    for (const id of [null, undefined, 5] as unknown as readonly string[])
      await expect(client.transaction(id, () => 1)).rejects.toMatchObject({ code: "ERR_BAD_ID" });
    expect(readdirSync(house.root, { recursive: true })).toEqual(before);
  });

  it("runs those that give a promise and those that give none in order, and one that fails leaves nothing", async () => {
    const id = await make({ log: "" });
    const other = house.worker();
    const add = (letter: string) => (own: { get(key: string): unknown; set(key: string, value: unknown): void }) => {
      own.set("log", `${String(own.get("log"))}${letter}`);
      own.set(letter, [letter]);
      if (letter === "x") throw new Error("no x");
      return letter;
    };
    const functions = [..."abxcxd"].map((letter, at) => {
      const run = add(letter);
      return at % 2 === 0 ? run : async (own: Parameters<typeof run>[0]) => Promise.resolve(own).then(run);
    });
    const handles = await Promise.all(functions.map(() => other.open(id)));
    const settled = await Promise.allSettled(functions.map((fn, at) => other.transaction(handles[at] ?? id, fn)));
    expect(settled.map((one) => (one.status === "fulfilled" ? one.value : "-")).join("")).toBe("ab-c-d");
    expect(handles.map((handle) => handle?.isModified)).toEqual(handles.map(() => false));
    const left = await client.open(id);
    expect([left?.get("log"), left?.keys]).toEqual(["abcd", ["log", "a", "b", "c", "d"]]);
    await client.abandon(id);
  });

  it("gives a session begun inside a transaction what the one had that was ended there", async () => {
    const handle = await client.open(await make({ a: 1 }), { prefix: "kept", cookiePath: "/shop" });
    if (handle === undefined) throw new Error("it is gone");
    handle.timeout = 100;
    await client.transaction(handle, async (own) => {
      await own.abandon();
      expect([own.id, own.timeout, own.prefix]).toEqual([null, 100, "kept"]);
      own.set("b", 2);
    });
    expect([handle.id?.startsWith("kept:"), handle.timeout, handle.keys]).toEqual([true, 100, ["b"]]);
    await client.abandon(handle);
  });

  it("refuses a lease or a function that is none by the promise of the transaction", async () => {
    const id = await make({ a: 1 });
    const handle = await client.open(id);
    for (const session of [id, handle ?? id]) {
      await expect(client.transaction(session, () => 1, { leaseMs: -1 })).rejects.toMatchObject({
        code: "ERR_BAD_OPTION",
      });
      const nothing = undefined as unknown as () => number;
      await expect(client.transaction(session, nothing)).rejects.toMatchObject({
        code: "ERR_BAD_OPTION",
        message: "A transaction takes the function that it runs, not undefined.",
      });
    }
    await client.abandon(id);
    const missing = 5 as unknown as () => number;
    await expect(Session.Run({}, () => Session.Transaction(missing))).rejects.toMatchObject({ code: "ERR_BAD_OPTION" });
  });

  it("waits for whatever a transaction's function gives that can be waited for, and no longer than its lease", async () => {
    const id = await make({ n: 1 });
    /** No Promise, but what libraries of their own kind and query builders give: nothing happens before somebody waits for it. */
    const lateBy = (wait: () => Promise<unknown>, then: () => number): Promise<number> =>
      // biome-ignore lint/suspicious/noThenProperty: that is what is tested
      ({ then: (done: (n: number) => void) => void wait().then(() => done(then())) }) as unknown as Promise<number>;
    const result = await client.transaction(id, (session) =>
      lateBy(
        () => Promise.resolve(),
        () => {
          session.set("n", 2);
          return 7;
        },
      ),
    );
    expect([result, (await house.worker().open(id))?.get("n")]).toEqual([7, 2]);
    const never = client.transaction(id, () => lateBy(() => new Promise(() => undefined), Number), { leaseMs: 20 });
    await expect(never).rejects.toMatchObject({ code: "ERR_LEASE_LOST" });
  });

  it("runs transactions on an id or a handle", async () => {
    const id = await make({ n: 1 });
    const increment = (session: { get(key: string): unknown; set(key: string, value: unknown): void }): number => {
      const next = (session.get("n") as number) + 1;
      session.set("n", next);
      return next;
    };
    expect(await client.transaction(id, increment)).toBe(2);
    const handle = await client.open(id);
    if (handle === undefined) throw new Error("it is there");
    expect(await client.transaction(handle, increment)).toBe(3);
    expect(handle.get("n")).toBe(3);
    const unknown = "made:0123456789ABCDEF01234567";
    await expect(client.transaction(unknown, increment)).rejects.toMatchObject({ code: "ERR_SESSION_GONE" });
  });

  it("makes another program's mistakes with a handle visible: ERR_SESSION_GONE, and no resurrection", async () => {
    const id = await make({ n: 1 });
    const [one, two] = [await client.open(id), await house.worker().open(id)];
    await one?.abandon();
    two?.set("n", 2);
    await expect(two?.save()).rejects.toMatchObject({ code: "ERR_SESSION_GONE" });
    expect([two?.id, house.has(id)]).toEqual([null, false]);
  });

  it("says what is too large before it costs the connection, and goes on", async () => {
    const handle = client.create();
    handle.set("big", "x".repeat(3_000_000));
    await expect(handle.save()).rejects.toMatchObject({ code: "ERR_TOO_LARGE" });
    handle.delete("big");
    handle.set("small", 1);
    await handle.save();
    handle.set("big", "x".repeat(999_990));
    await expect(handle.save()).rejects.toMatchObject({ code: "ERR_TOO_LARGE" });
    expect(await client.open(await make({ a: 1 }))).toBeDefined();
  });

  it("commits what may wait only alone, however little may wait", async () => {
    const narrow = await SessionHouse.open({ maxQueuedBytes: 1_000 });
    const worker = narrow.worker();
    const [large, small] = [worker.create(), worker.create()];
    large.set("a", "x".repeat(5_000));
    small.set("a", "y");
    await large.save();
    await small.save();
    expect((await narrow.worker().open(large.id ?? ""))?.get("a")).toBe("x".repeat(5_000));
    for (const [handle, letter] of [
      [small, "z"],
      [large, "z"],
    ] as const)
      handle.set("a", letter.repeat(5_000));
    const [first, second] = await Promise.allSettled([small.save(), large.save()]);
    expect([first.status, second]).toEqual([
      "fulfilled",
      { status: "rejected", reason: expect.objectContaining({ code: "ERR_OVERLOADED" }) },
    ]);
    await narrow.close();
  });

  it("keeps what a failed save did not save", async () => {
    const handle = client.create();
    handle.set("a", 1);
    handle.set("big", "x".repeat(3_000_000));
    await expect(handle.save()).rejects.toThrow();
    expect([handle.get("a"), handle.isModified]).toEqual([1, true]);
    handle.delete("big");
    await handle.save();
    expect((await house.worker().open(handle.id ?? ""))?.keys).toEqual(["a"]);
  });

  it("tells what the daemon tells about itself", async () => {
    expect(await client.status()).toMatchObject({ pid: process.pid, root: house.root, type: "file" });
  });

  it("fails everything that waits when it is closed, and says what to do", async () => {
    const worker = house.worker();
    const id = await make({ a: 1 });
    await worker.ready();
    const pending = [worker.open(id), worker.status(), worker.transaction(id, () => 1)];
    worker.close();
    for (const outcome of await Promise.allSettled(pending)) {
      expect(outcome).toMatchObject({ status: "rejected", reason: { code: "ERR_CLOSED" } });
    }
    await expect(worker.status()).rejects.toThrow(/connect\(\) again/);
    worker.close();
  });

  it("a closed default client is replaced by the next that connects", async () => {
    const next = await connect(house.options);
    const id = await make({ a: 1 });
    expect(await Session.Run({ id }, () => Session.a)).toBe(1);
    next.close();
    expect(await Session.Run({ id }, () => Session.a)).toBe(1);
  });

  it("caches nothing with cacheBytes 0, and sees every change all the same", async () => {
    const id = await make({ n: 0 });
    const worker = house.worker({ cacheBytes: 0 });
    for (let n = 1; n < 5; n++) {
      await client.transaction(id, (session) => session.set("n", n));
      expect((await worker.open(id))?.get("n")).toBe(n);
    }
  });
});

describe("connect", () => {
  it("without a daemon and without leave to start one says so at once", async () => {
    const root = makeRoot();
    await expect(connect({ root, spawn: false })).rejects.toMatchObject({
      code: "ERR_DAEMON_UNAVAILABLE",
      message: expect.stringContaining(join(root, "sessiond.sock")),
    });
    expect(readdirSync(root)).toEqual([]);
    rmSync(root, { recursive: true });
  });

  it("refuses a socket path that is too long, with its length and the limit", async () => {
    await expect(connect({ root: `/tmp/${"é".repeat(60)}`, spawn: false })).rejects.toMatchObject({
      code: "ERR_SOCKET_PATH",
      message: expect.stringMatching(/has 139 bytes; at most 107/),
    });
  });

  it("names both versions when the daemon speaks another one", async () => {
    const root = makeRoot();
    const server = createServer((socket) => {
      const reader = new FrameReader(1_000_000);
      socket.on("data", (chunk) =>
        reader.read(chunk, (frame) => {
          const [number] = readMessage(frame);
          const writer = new FrameWriter();
          const text = "The client speaks version 1 of the protocol, this daemon version 99.";
          writer.push(number as number, 1, "ERR_PROTOCOL_VERSION", text);
          socket.end(writer.take());
        }),
      );
    });
    await new Promise<void>((resolve) => server.listen(join(root, "sessiond.sock"), resolve));
    await expect(connect({ root, spawn: false })).rejects.toMatchObject({
      code: "ERR_PROTOCOL_VERSION",
      message: expect.stringMatching(/version 1 .*version 99/),
    });
    server.close();
    rmSync(root, { recursive: true });
  });

  it.runIf(process.getuid?.() === 0)("says nothing to a socket, or in a root, that is another user's", async () => {
    const root = makeRoot();
    let visitors = 0;
    const server = createServer(() => {
      visitors += 1;
    });
    const socket = join(root, "sessiond.sock");
    await new Promise<void>((resolve) => server.listen(socket, resolve));
    const refused = { code: "ERR_BAD_ROOT", message: expect.stringMatching(/belongs to uid 12345, not to 0/) };
    chownSync(socket, 12_345, 12_345);
    await expect(connect({ root })).rejects.toMatchObject(refused);
    chownSync(socket, 0, 0);
    chownSync(root, 12_345, 12_345);
    await expect(connect({ root })).rejects.toMatchObject(refused);
    expect(visitors).toBe(0);
    server.close();
    rmSync(root, { recursive: true });
  });

  it("does not believe one that speaks something else entirely", async () => {
    const root = makeRoot();
    const server = createServer((socket) => socket.end("HTTP/1.1 400 Bad Request\r\n\r\n"));
    await new Promise<void>((resolve) => server.listen(join(root, "sessiond.sock"), resolve));
    const outcome = await connect({ root, spawn: false, waitMs: 200 }).catch((error: SessionError) => error.code);
    expect(["ERR_PROTOCOL", "ERR_DAEMON_UNAVAILABLE"]).toContain(outcome);
    server.close();
    rmSync(root, { recursive: true });
  });
});

describe("startDaemon", () => {
  it("refuses a root that is a symbolic link, or no directory, with the reason", async () => {
    const root = makeRoot();
    mkdirSync(join(root, "real"));
    symlinkSync(join(root, "real"), join(root, "link"));
    await expect(startDaemon({ root: join(root, "link"), logLevel: "silent" })).rejects.toMatchObject({
      code: "ERR_BAD_ROOT",
      message: expect.stringContaining("symbolic link"),
    });
    rmSync(root, { recursive: true });
  });
});

describe("connect() refuses by name", () => {
  it.each<ConnectOptions>([
    { root: "" },
    { socket: "" },
    { waitMs: Number.NaN },
    { cacheBytes: -1 },
    { idleExitMs: 3e9 },
    { spawn: "no" as unknown as boolean },
    { durability: "yes" as "file" },
  ])("the option %o", async (options) => {
    const [name = ""] = Object.keys(options);
    const refused = connect({ ...house.options, ...options });
    await expect(refused).rejects.toMatchObject({ code: "ERR_BAD_OPTION" });
    await expect(refused).rejects.toThrow(name);
  });

  it("a root that the daemon on the socket does not serve", async () => {
    const other = makeRoot();
    const socket = join(house.root, "sessiond.sock");
    const refused = connect({ root: other, socket, spawn: false });
    await expect(refused).rejects.toMatchObject({ code: "ERR_BAD_OPTION" });
    await expect(refused).rejects.toThrow(other);
    rmSync(other, { recursive: true });
  });
});

describe("sessions of a given id", () => {
  it("begin under it, and are refused at their first save where it is or was in use", async () => {
    const id = `given:${"A".repeat(24)}`;
    const handle = client.create({ id });
    expect(handle.id).toBeNull();
    handle.set("a", 1);
    expect(handle.id).toBe(id);
    await handle.save();
    expect((await house.worker().open(id))?.get("a")).toBe(1);
    const second = client.create({ id });
    second.set("b", 1);
    await expect(second.save()).rejects.toMatchObject({ code: "ERR_ID_TAKEN" });
    await handle.abandon();
    await expect(second.save()).rejects.toMatchObject({ code: "ERR_ID_TAKEN" });
    handle.set("a", 2);
    expect(handle.id).not.toBe(id);
  });

  it("must have an id that can be one", () => {
    for (const id of ["", "x", "../a:AAAAAAAAAAAAAAAAAAAAAAAA", 7 as unknown as string])
      expect(() => client.create({ id })).toThrow(expect.objectContaining({ code: "ERR_BAD_ID" }));
    const none = null as unknown as object;
    expect(() => client.create(none)).toThrow(expect.objectContaining({ code: "ERR_BAD_OPTION" }));
  });

  it("begin under it in a transaction, too", async () => {
    const id = `given:${"B".repeat(24)}`;
    const handle = client.create({ id });
    await expect(
      handle.transaction((own) => {
        own.set("a", 1);
        throw new RangeError("no");
      }),
    ).rejects.toThrow("no");
    await handle.transaction((own) => own.set("a", 2));
    expect([handle.id, (await house.worker().open(id))?.get("a")]).toEqual([id, 2]);
  });
});

describe("a list of sessions", () => {
  async function listed(prefix?: string): Promise<ListedSession[]> {
    const found: ListedSession[] = [];
    for await (const one of client.list(prefix === undefined ? {} : { prefix })) found.push(one);
    return found;
  }

  it("names those of exactly one prefix, with bytes, last use and expiry, and touches none", async () => {
    const handle = client.create({ prefix: "listed", timeoutSeconds: 500 });
    handle.set("a", 1);
    await handle.save();
    const forever = client.create({ prefix: "listed", timeoutSeconds: Number.POSITIVE_INFINITY });
    forever.set("a", 1);
    await forever.save();
    const other = client.create({ prefix: "listed:too" });
    other.set("a", 1);
    await other.save();
    house.makeOlder(handle.id ?? "", 5_000);
    const before = house.fileOf(handle.id ?? "");
    const found = new Map((await listed("listed")).map((one) => [one.id, one]));
    expect([...found.keys()].sort()).toEqual([handle.id, forever.id].sort());
    const one = found.get(handle.id ?? "");
    expect([one?.bytes, (one?.expires?.getTime() ?? 0) - (one?.lastUsed.getTime() ?? 0)]).toEqual([
      before.length,
      500_000,
    ]);
    expect(found.get(forever.id ?? "")?.expires).toBeNull();
    expect(house.fileOf(handle.id ?? "").equals(before)).toBe(true);
    expect((await listed()).map(({ id }) => id)).toEqual(expect.arrayContaining([handle.id, forever.id, other.id]));
    expect(await listed("liste")).toEqual([]);
  });

  it("can be left early, and refuses what no prefix can be", async () => {
    for await (const { id } of client.list()) {
      expect(id).toBeTruthy();
      break;
    }
    for (const prefix of ["a/b", "*,", 7 as unknown as string])
      expect(() => client.list({ prefix })).toThrow(expect.objectContaining({ code: "ERR_BAD_OPTION" }));
  });
});

describe("a session", () => {
  it("is touched by its id, if it is there", async () => {
    const id = await make({ a: 1 });
    house.makeOlder(id, 5_000);
    expect(await client.touch(id)).toBe(true);
    const handle = await house.worker().open(id);
    expect(Date.now() - (handle?.lastUsed?.getTime() ?? 0)).toBeLessThan(4_000);
    const file = house.fileOf(id);
    expect([await client.touch(id), house.fileOf(id).equals(file)]).toEqual([true, true]);
    await client.abandon(id);
    expect([await client.touch(id), house.has(id)]).toEqual([false, false]);
    await expect(client.touch("../x")).rejects.toMatchObject({ code: "ERR_BAD_ID" });
  });

  it("tells when it was used and when it expires", async () => {
    const handle = client.create({ timeoutSeconds: 60 });
    expect([handle.lastUsed, handle.expires]).toEqual([null, null]);
    handle.set("a", 1);
    expect([handle.lastUsed, handle.expires]).toEqual([null, null]);
    await handle.save();
    const lastUsed = handle.lastUsed?.getTime() ?? 0;
    expect(Math.abs(Date.now() - lastUsed)).toBeLessThan(60_000);
    expect(handle.expires).toEqual(new Date(lastUsed + 60_000));
    handle.timeout = Number.POSITIVE_INFINITY;
    expect(handle.expires).toBeNull();
  });

  it("gets all its keys replaced as one change, of which nothing is made where one value cannot be stored", async () => {
    const id = await make({ gone: 1, same: typed("Float", 4), list: [1], n: 1 });
    const handle = await client.open(id);
    if (handle === undefined) throw new Error("there is no session");
    expect(() => handle.replace({ n: 2, bad: () => 1 })).toThrow(expect.objectContaining({ code: "ERR_BAD_VALUE" }));
    expect(() => handle.replace({ n: 2, "": 1 })).toThrow(expect.objectContaining({ code: "ERR_BAD_KEY" }));
    expect([handle.isModified, handle.keys]).toEqual([false, ["gone", "same", "list", "n"]]);
    handle.replace({ same: 4, list: [1], n: 2, more: "x", none: null });
    expect([handle.keys, handle.isModified]).toEqual([["same", "list", "n", "more"], true]);
    await handle.save();
    const after = await house.worker().open(id);
    expect(after?.keys.map((key) => after.get(key))).toEqual([4, [1], 2, "x"]);
    expect(after?.typeOf("same")).toBe("Float");
    const same = await house.worker().open(id);
    same?.replace({ same: 4, list: [1], n: 2, more: "x" });
    expect(same?.isModified).toBe(false);
    same?.replace({});
    await same?.save();
    expect([(await client.open(id))?.keys, house.has(id)]).toEqual([[], true]);
  });

  it("loses nothing to what is no object with keys", async () => {
    const handle = client.create();
    handle.set("a", 1);
    for (const wrong of [null, undefined, 5, true, "text", [1], new Map([["a", 2]]), new Set(), new Date(), () => 1]) {
      const replace = (): void => handle.replace(wrong as unknown as Record<string, unknown>);
      expect(replace).toThrow(expect.objectContaining({ code: "ERR_BAD_VALUE" }));
    }
    expect([handle.keys, handle.get("a")]).toEqual([["a"], 1]);
    handle.replace(Object.assign(Object.create(null), { b: 2 }));
    handle.replace(JSON.parse('{ "__proto__": { "c": 3 }, "constructor": 4 }'));
    expect(handle.keys).toEqual(["__proto__", "constructor"]);
    expect([handle.get("__proto__"), handle.get("constructor")]).toEqual([{ c: 3 }, 4]);
  });

  it("begins with what replaces nothing, unless that is nothing", async () => {
    const handle = client.create();
    handle.replace({});
    expect(handle.id).toBeNull();
    handle.replace({ a: 1 });
    await handle.save();
    expect((await client.open(handle.id ?? ""))?.keys).toEqual(["a"]);
  });
});

it("the status has what its type says, and nothing else", async () => {
  const status = await client.status();
  const source = readFileSync("client/api.ts", "utf8");
  const body = /export interface DaemonStatus \{([^}]*)\}/.exec(source)?.[1] ?? "";
  const members = [...body.matchAll(/readonly (\w+)\??:/g)].map(([, name]) => name).filter((name) => name !== "redis");
  expect(Object.keys(status).sort()).toEqual(members.sort());
});

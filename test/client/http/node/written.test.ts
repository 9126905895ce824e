// What a request writes to its and when.
import { statSync } from "node:fs";
import { describe, expect, it, vi } from "vitest";
import { Session } from "../../../../client/static/session.ts";
import { house, makeSession, openSite, serve, setAndShow, show, worker } from "../../../support/http/session-site.ts";

openSite();

describe("what is written, and when", () => {
  const shape = (id: string): unknown => {
    const { mtimeNs, ino, size } = statSync(house.pathOf(id), { bigint: true });
    return [mtimeNs, ino, size, house.fileOf(id)];
  };

  it("a request that does not use its session writes nothing at all", async () => {
    const id = await makeSession({ a: 1 });
    house.makeOlder(id, 5000);
    const server = await serve((_req, res) => res.end("plain"));
    const before = shape(id);
    const { touches, writes } = await worker.status();
    const reply = await server.ask("/", { cookie: `SESSION=${id}` });
    expect([reply.text, reply.setCookies]).toEqual(["plain", []]);
    const after = await worker.status();
    expect([shape(id), after.touches, after.writes]).toEqual([before, touches, writes]);
  });

  it("a request that only reads writes nothing within a second of the stamp", async () => {
    const id = await makeSession({ a: 1 });
    const server = await serve(show);
    const before = shape(id);
    for (let n = 0; n < 5; n++) await server.ask("/", { cookie: `SESSION=${id}` });
    expect(shape(id)).toEqual(before);
  });

  it("one that only reads renews an older stamp, in place, once", async () => {
    const id = await makeSession({ a: 1 });
    house.makeOlder(id, 5000);
    const bytes = house.fileOf(id);
    const { ino } = statSync(house.pathOf(id));
    const older = house.startupOf(id);
    const server = await serve(async (_req, res) => {
      res.write(String(Session.a));
      await new Promise((resolve) => setImmediate(resolve));
      res.end(String(Session.a));
    });
    const { touches } = await worker.status();
    const cookie = `SESSION=${id}`;
    await Promise.all(Array.from({ length: 5 }, () => server.ask("/", { cookie })));
    await vi.waitFor(() => expect(house.startupOf(id)).toBeGreaterThan(older + 4000));
    await server.ask("/", { cookie });
    const after = await worker.status();
    expect([statSync(house.pathOf(id)).ino, after.touches]).toEqual([ino, Number(touches) + 1]);
    expect(house.fileOf(id).subarray(8)).toEqual(bytes.subarray(8));
  });

  it("a change is one write", async () => {
    const id = await makeSession({ a: 1 });
    const server = await serve(setAndShow);
    const { writes } = await worker.status();
    await server.ask("/?a=2&b=3&c=4", { cookie: `SESSION=${id}` });
    expect((await worker.status()).writes).toBe(Number(writes) + 1);
  });

  it("Unique set on a session there is takes effect though nothing else is used", async () => {
    const make = async (): Promise<string> => {
      const handle = worker.create({ prefix: "late" });
      handle.set("a", 1);
      await handle.save();
      return handle.id ?? "";
    };
    const [first, second] = [await make(), await make()];
    const server = await serve(
      (_req, res) => {
        Session.Unique = true;
        res.end();
      },
      { prefix: "late" },
    );
    await server.ask("/", { cookie: `SESSION=${second}` });
    expect([house.has(first), house.has(second)]).toEqual([false, true]);
  });
});

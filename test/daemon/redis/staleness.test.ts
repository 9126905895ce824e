// Copies that hold without a question: `coherence: { maxStaleMs }`, on a real Redis, with two hosts (two roots, two daemons) and their workers.

import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import type { Client } from "../../../client/api.ts";
import { connect } from "../../../client/connect.ts";
import { VersionTable as Reader } from "../../../client/copies/version-table.ts";
import type { Daemon } from "../../../daemon/daemon.ts";
import { ENGINES } from "../../../daemon/engines.ts";
import { VersionTable } from "../../../daemon/redis/staleness/version-table.ts";
import { startDaemon } from "../../../daemon/start.ts";
import { placeOf, VERSION_TABLE_BYTES } from "../../../protocol/version-table.ts";
import { BackendHouse } from "../../support/daemon/backend-house.ts";
import { newId } from "../../support/daemon/lab.ts";
import { until } from "../../support/processes.ts";
import { FaultyWay } from "../../support/redis/faulty-way.ts";
import { describeWithRedis, RedisProcess } from "../../support/redis/redis-server.ts";

const LONG_MS = 600_000;
const A = "u:0123456789ABCDEF01234567";
const B = "u:0123456789ABCDEF01234568";

let root: string;
const endings: (() => unknown)[] = [];

afterEach(async () => {
  for (const end of endings.splice(0).reverse()) await end();
});

describe("the version table", () => {
  function both(): { readonly table: VersionTable; readonly reader: Reader } {
    root = mkdtempSync(join(tmpdir(), "gs-table-"));
    endings.push(() => rmSync(root, { recursive: true, force: true }));
    const table = new VersionTable(join(root, "t"));
    const reader = Reader.open(table.path);
    if (reader === undefined) throw new Error("it cannot be opened");
    endings.push(() => reader.close());
    return { table, reader };
  }

  it("tells the present version, and the time by the clock of the sessions, as long as it holds", () => {
    const { table, reader } = both();
    table.show(A, 7);
    expect(reader.timeOf(A, 7)).toBe(undefined);
    table.holdFor(LONG_MS, 1_000_000);
    expect(reader.timeOf(A, 7)).toBeGreaterThanOrEqual(1_000_000);
    expect(reader.timeOf(A, 8)).toBe(undefined);
    expect(reader.timeOf(B, 7)).toBe(undefined);
    table.holdFor(0, 1_000_000);
    expect(reader.timeOf(A, 7)).toBe(undefined);
  });

  it("holds no longer than by the wall clock: a machine that slept has not seen what others wrote", () => {
    const { table, reader } = both();
    table.show(A, 7);
    table.holdFor(LONG_MS, 0);
    vi.spyOn(Date, "now").mockReturnValue(Date.now() + 2 * LONG_MS);
    endings.push(() => vi.restoreAllMocks());
    expect(reader.timeOf(A, 7)).toBe(undefined);
  });

  it("says nothing any more when it is cleared or closed, and is nobody else's to read", () => {
    const { table, reader } = both();
    expect(statSync(table.path).mode & 0o777).toBe(0o600);
    table.show(A, 7);
    table.holdFor(LONG_MS, 0);
    table.clear();
    table.holdFor(LONG_MS, 0);
    expect(reader.timeOf(A, 7)).toBe(undefined);
    table.show(A, 7);
    table.close(true);
    table.show(A, 7);
    expect(reader.timeOf(A, 7)).toBe(undefined);
    expect(Reader.open(table.path)).toBe(undefined);
  });

  it("is made anew by each daemon: one that still runs writes into its own", () => {
    const { table, reader } = both();
    const next = new VersionTable(table.path);
    endings.push(() => next.close(true));
    const nextReader = Reader.open(next.path);
    endings.push(() => nextReader?.close());
    table.show(A, 7);
    table.holdFor(LONG_MS, 0);
    expect([reader.timeOf(A, 7) !== undefined, nextReader?.timeOf(A, 7)]).toEqual([true, undefined]);
  });

  it("has a place for every id", () => {
    for (const id of [A, B, "", "ü:0123456789ABCDEF01234567"]) {
      expect(placeOf(id) % 8).toBe(0);
      expect(placeOf(id)).toBeLessThanOrEqual(VERSION_TABLE_BYTES - 8);
    }
  });
});

describeWithRedis("sessions whose copies may be old", () => {
  let redis: RedisProcess;
  beforeAll(async () => {
    redis = await RedisProcess.start();
  });
  afterAll(() => redis.remove());

  interface Host {
    readonly daemon: Daemon;
    worker(): Promise<Client>;
    opens(): Promise<number>;
  }

  async function host(maxStaleMs: number, url = redis.socketUrl): Promise<Host> {
    const folder = mkdtempSync(join(tmpdir(), "gs-stale-"));
    endings.push(() => rmSync(folder, { recursive: true, force: true }));
    const daemon = await startDaemon({ root: folder, type: "redis", redis: url, maxStaleMs, logLevel: "silent" });
    endings.push(() => daemon.stop());
    const worker = async (): Promise<Client> => {
      const client = await connect({ root: folder, type: "redis", redis: url, spawn: false, waitMs: 1_000 });
      endings.push(() => client.close());
      return client;
    };
    const asking = await worker();
    const opens = async (): Promise<number> => (await asking.status()).opens;
    return { daemon, worker, opens };
  }

  /** A session that this worker and another one of its host have read. */
  async function session(on: Host): Promise<{ readonly id: string; readonly mine: Client; readonly other: Client }> {
    const [mine, other] = [await on.worker(), await on.worker()];
    const handle = await mine.create({});
    handle.set("n", 1);
    await handle.save();
    const id = handle.id ?? "";
    // Both read without a question from when the table holds for the first time.
    await vi.waitFor(async () => {
      const before = await on.opens();
      for (const client of [mine, other]) expect((await client.open(id))?.get("n")).toBe(1);
      expect(await on.opens()).toBe(before);
    });
    return { id, mine, other };
  }

  it("are read without a question, and what their own host writes is seen at once", async () => {
    const one = await host(LONG_MS);
    const { id, mine, other } = await session(one);
    for (let n = 2; n < 50; n++) {
      const handle = await mine.open(id);
      handle?.set("n", n);
      await handle?.save();
      expect((await other.open(id))?.get("n")).toBe(n);
    }
  });

  it("are no answer for a worker that asks whether it saw the newest in a transaction, also where its lease is over by then", async () => {
    const way = await FaultyWay.to(redis.port);
    endings.push(() => way.close());
    const open = async (url: string): Promise<BackendHouse> => {
      const house = await BackendHouse.open(await ENGINES.redis(), { type: "redis", redis: url, maxStaleMs: LONG_MS });
      endings.push(() => house.close());
      return house;
    };
    const house = await open(way.url);
    const [anna, carl, bert] = [house.worker("anna"), house.worker("carl"), (await open(redis.url)).worker("bert")];
    const id = newId();
    await anna.create(id, { n: 1 });
    // Copies hold from when the first question was answered.
    const isAnsweredAtOnce = async (): Promise<boolean> => {
      const nextTurn = new Promise((resolve) => setImmediate(() => resolve("asked")));
      return (await Promise.race([carl.read(id), nextTurn])) !== "asked";
    };
    await until(isAnsweredAtOnce);
    await anna.lease(id, 1, undefined, true);
    carl.release(id, (await carl.lease(id, 60_000, undefined, true)).fence);
    way.mode = "keeps";
    await bert.commit(id, { n: 2 });
    expect(await carl.values(id)).toEqual({ n: 1 });
    const seen = anna.values(id);
    await until(() => way.kept > 0);
    way.mode = "passes";
    way.let(way.kept);
    expect(await seen).toEqual({ n: 2 });
  });

  it("show what another host writes, and the end of a session", async () => {
    const [one, two] = [await host(LONG_MS), await host(LONG_MS)];
    const { id, mine } = await session(one);
    const far = await two.worker();
    const handle = await far.open(id);
    handle?.set("n", 5);
    await handle?.save();
    await vi.waitFor(async () => expect((await mine.open(id))?.get("n")).toBe(5));
    await far.abandon(id);
    await vi.waitFor(async () => expect(await mine.open(id)).toBe(undefined));
  });

  it("are asked for again when Redis is out of reach for longer", async () => {
    const way = await FaultyWay.to(redis.port);
    endings.push(() => way.close());
    const one = await host(300, way.url);
    const { id, mine } = await session(one);
    way.mode = "holds";
    // A copy that holds is the answer before the next turn of the event loop; a question is not.
    const asked: Promise<unknown>[] = [];
    await vi.waitFor(async () => {
      const answer = mine.open(id);
      const nextTurn = new Promise((resolve) => setImmediate(() => resolve("asked")));
      expect(await Promise.race([answer, nextTurn])).toBe("asked");
      asked.push(answer);
    });
    way.mode = "passes";
    way.cut();
    expect((await mine.open(id))?.get("n")).toBe(1);
    await Promise.all(asked);
  });

  it("are asked for again when everything in Redis was dropped", async () => {
    const one = await host(LONG_MS);
    const { id, mine } = await session(one);
    redis.cli("FLUSHALL");
    await vi.waitFor(async () => expect(await mine.open(id)).toBe(undefined));
  });
});

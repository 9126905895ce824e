// Hosts on one Redis while connections break, answers get lost, scripts are forgotten and Redis is killed: transactions count exactly, no key is behind
// what was acknowledged, a read sees what was acknowledged before it began, and what has ended stays so. Random; prints its seed when it fails.

import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { isCode } from "../../../protocol/errors.ts";
import { KIND } from "../../../protocol/wire/operations.ts";
import type { BackendHouse, BackendWorker } from "../../support/daemon/backend-house.ts";
import { newId } from "../../support/daemon/lab.ts";
import { valuesOf } from "../../support/daemon/raw-worker.ts";
import { FaultyWay } from "../../support/redis/faulty-way.ts";
import { RedisHosts } from "../../support/redis/redis-hosts.ts";
import { describeWithRedis, RedisProcess } from "../../support/redis/redis-server.ts";
import { Random } from "../../support/values/random.ts";

const HOSTS = 3;
const WORKERS = 4;
const SESSIONS = 4;
const OPERATIONS = 6_000;
const OPERATIONS_PER_FAULT = 60;

describeWithRedis("hosts in a storm", () => {
  let redis: RedisProcess;
  const hosts = new RedisHosts();
  let ways: FaultyWay[];
  let houses: BackendHouse[];

  beforeAll(async () => {
    redis = await RedisProcess.start();
  });

  afterAll(() => redis.remove());

  beforeEach(async () => {
    ways = await Promise.all(Array.from({ length: HOSTS }, () => FaultyWay.to(redis.port)));
    houses = await Promise.all(ways.map(({ url }) => hosts.open(url)));
  });

  afterEach(async () => {
    await hosts.close();
    await Promise.all(ways.map((way) => way.close()));
  });

  test("lose nothing, do nothing twice, and show nothing old", async () => {
    const seed = Number(process.env.SEED ?? Date.now() % 1_000_000);
    const dice = new Random(seed);
    const [first] = houses;
    const ids = Array.from({ length: SESSIONS }, () => newId("storm"));
    const creator = first?.worker("creator") ?? expect.fail();
    for (const id of ids) await creator.create(id, { n: 0 });
    const counted = new Map(ids.map((id) => [id, 0]));
    const acknowledged = new Map(ids.map((id) => [id, new Map<string, number>()]));
    const wrong: string[] = [];
    let operations = 0;

    async function increment(worker: BackendWorker, id: string): Promise<void> {
      for (;;) {
        const { fence, state } = await worker.lease(id, 20_000);
        try {
          await worker.commit(id, { n: Number(valuesOf(state)?.n) + 1 }, { fence, release: true });
          counted.set(id, (counted.get(id) ?? 0) + 1);
          return;
        } catch (error) {
          if (!isCode(error, "ERR_CONFLICT")) throw error;
        }
      }
    }

    async function set(worker: BackendWorker, id: string, key: string): Promise<void> {
      const value = operations;
      await worker.commit(id, { [key]: value });
      acknowledged.get(id)?.set(key, value);
    }

    async function look(worker: BackendWorker, id: string): Promise<void> {
      const before = [...(acknowledged.get(id) ?? [])];
      const count = counted.get(id) ?? 0;
      const values = (await worker.values(id)) ?? {};
      for (const [key, value] of before)
        if (Number(values[key] ?? 0) < value) wrong.push(`${key} is ${values[key]}, not ${value}`);
      if (Number(values.n) < count) wrong.push(`n is ${values.n}, not ${count}`);
    }

    async function shortLife(worker: BackendWorker, other: BackendWorker): Promise<void> {
      const id = newId("short");
      await worker.create(id, { n: 1 });
      await other.commit(id, { n: 2 });
      await worker.end(id);
      if ((await other.read(id)).kind !== KIND.absent) wrong.push("an ended session is there");
      await other.commit(id, { n: 3 }).then(
        () => wrong.push("an ended session came back"),
        (error: unknown) => isCode(error, "ERR_SESSION_GONE") || wrong.push(String(error)),
      );
    }

    async function fault(): Promise<void> {
      const way = dice.of(ways);
      const what = dice.of(["cut", "cut", "answer", "answer", "request", "scripts", "clients", "kill"]);
      if (what === "cut") way.cut();
      else if (what === "answer") void way.loseAnswer((request) => request.includes("EVAL")).then(() => way.unblock());
      else if (what === "request")
        void way.loseRequest((request) => request.includes("EVAL")).then(() => way.unblock());
      else if (what === "scripts") redis.cli("SCRIPT", "FLUSH");
      else if (what === "clients") redis.cli("CLIENT", "KILL", "TYPE", "normal");
      else {
        await redis.kill();
        await redis.startAgain();
      }
    }

    const workers = houses.flatMap((house, host) =>
      Array.from({ length: WORKERS }, (_, n) => ({ name: `${host}.${n}`, worker: house.worker(`w${host}.${n}`) })),
    );
    let faults = Promise.resolve();
    await Promise.all(
      workers.map(async ({ name, worker }) => {
        while (operations < OPERATIONS) {
          operations += 1;
          if (operations % OPERATIONS_PER_FAULT === 0) faults = faults.then(fault);
          const id = dice.of(ids);
          const kind = dice.below(20);
          if (kind < 6) await increment(worker, id);
          else if (kind < 12) await set(worker, id, `key${name}`);
          else if (kind < 19) await look(worker, id);
          else await shortLife(worker, dice.of(workers).worker);
        }
      }),
    );
    await faults;
    for (const way of ways) way.unblock();
    for (const id of ids) {
      await look(creator, id);
      const values = await creator.values(id);
      if (values?.n !== counted.get(id)) wrong.push(`counted ${counted.get(id)}, and there is ${values?.n}`);
    }
    expect(wrong, `SEED=${seed}`).toEqual([]);
  }, 100_000);
});

// Of two sessions that become the only one of their prefix at once exactly one is left, however long one of them takes between its steps.

import { afterEach, expect, test } from "vitest";
import { KIND } from "../../../protocol/wire/operations.ts";
import { newId } from "../../support/daemon/lab.ts";
import { until } from "../../support/processes.ts";
import { FaultyWay } from "../../support/redis/faulty-way.ts";
import { RedisHosts } from "../../support/redis/redis-hosts.ts";
import { describeWithRedis, RedisProcess } from "../../support/redis/redis-server.ts";

const hosts = new RedisHosts();
const ends: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

describeWithRedis("two unique sessions of one prefix", () => {
  test("leave one, when the first has its place and is stored after the second has ended whatever it found", async () => {
    const redis = await RedisProcess.start();
    ends.push(() => redis.remove());
    const way = await FaultyWay.to(redis.port);
    ends.push(() => way.close());
    ends.push(() => hosts.close());
    const [anna, bert] = [(await hosts.open(way.url)).worker("anna"), (await hosts.open(redis.url)).worker("bert")];
    const [first, second] = [newId(), newId()];
    const index = `gs!${first.slice(0, first.lastIndexOf(":"))}`;
    way.mode = "keeps";
    const created = anna.create(first, {}, { unique: true });
    // Its answers come one by one, until it has its place; it does not know that yet.
    await until(() => {
      const hasPlace = redis.cli("ZSCORE", index, first) !== "";
      if (!hasPlace) way.let(1);
      return hasPlace;
    });
    await bert.create(second, {}, { unique: true });
    way.let(way.kept);
    way.mode = "passes";
    await created.catch(() => undefined);
    const there = await Promise.all([first, second].map(async (id) => (await bert.read(id)).kind !== KIND.absent));
    expect(there.filter((isThere) => isThere)).toHaveLength(1);
  });
});

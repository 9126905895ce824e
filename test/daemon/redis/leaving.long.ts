// A daemon whose Redis is away leaves all the same: in about the time that a call waits for a server, and without working meanwhile.

import { afterEach, expect, test, vi } from "vitest";
import { ENGINES } from "../../../daemon/engines.ts";
import { BackendHouse } from "../../support/daemon/backend-house.ts";
import { FaultyWay } from "../../support/redis/faulty-way.ts";
import { describeWithRedis, RedisProcess } from "../../support/redis/redis-server.ts";

const endings: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of endings.splice(0).reverse()) await end();
});

describeWithRedis("a daemon that leaves", () => {
  test("waits for no clock of a Redis that is away, and hardly works meanwhile", async () => {
    const redis = await RedisProcess.start();
    endings.push(() => redis.remove());
    const way = await FaultyWay.to(redis.port);
    endings.push(() => way.close());
    const house = await BackendHouse.open(async (around) => (await ENGINES.redis())(around), {
      type: "redis",
      redis: way.url,
    });
    endings.push(() => house.close());
    house.backend.start();
    await redis.kill();
    // So often it has tried again that the clock has been asked for more than once, each time for longer than until the next.
    const before = way.connections;
    await vi.waitFor(() => expect(way.connections - before).toBeGreaterThan(20), { timeout: 120_000 });
    const { user } = process.cpuUsage();
    await house.backend.stop();
    expect(process.cpuUsage().user - user).toBeLessThan(2_000_000);
  });
});

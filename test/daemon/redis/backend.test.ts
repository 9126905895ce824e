// The backend of many hosts, on a real Redis, held to the suite of its seam.

import { afterAll, beforeAll } from "vitest";
import { ENGINES } from "../../../daemon/engines.ts";
import { describeWithRedis, RedisProcess } from "../../support/redis/redis-server.ts";
import { describeBackend } from "../backend/backend-conformance.ts";

describeWithRedis("sessions in Redis", () => {
  let redis: RedisProcess;
  beforeAll(async () => {
    redis = await RedisProcess.start();
  });
  afterAll(() => redis.remove());

  describeBackend(
    "redis",
    async (around) => (await ENGINES.redis())(around),
    () => {
      redis.cli("FLUSHALL");
      return { type: "redis", redis: redis.socketUrl };
    },
  );
});

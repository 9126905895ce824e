// The backend of many hosts, on a cluster of three shards, held to the suite of its seam.

import { afterAll, beforeAll } from "vitest";
import { ENGINES } from "../../../daemon/engines.ts";
import { type RedisCluster, startCluster } from "../../support/redis/cluster.ts";
import { describeWithRedis } from "../../support/redis/redis-server.ts";
import { describeBackend } from "../backend/backend-conformance.ts";

describeWithRedis("sessions in a cluster", () => {
  let cluster: RedisCluster;
  beforeAll(async () => {
    cluster = await startCluster({ hasReplica: false });
  });
  afterAll(() => cluster.remove());

  describeBackend(
    "a cluster",
    async (around) => (await ENGINES.redis())(around),
    () => {
      for (const server of cluster.masters) server.cli("FLUSHALL");
      return { type: "redis", redis: cluster.url };
    },
  );
});

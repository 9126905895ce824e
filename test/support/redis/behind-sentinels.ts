// A master with replicas, and three Sentinels that watch it, all on 127.0.0.1.

import { until } from "../processes.ts";
import { KEEPING, RedisProcess } from "./redis-server.ts";

export interface BehindSentinels {
  /** The one in the beginning. */
  readonly master: RedisProcess;
  readonly replicas: readonly RedisProcess[];
  readonly url: string;
  remove(): Promise<void>;
}

const WATCHED = ["down-after-milliseconds m 500", "failover-timeout m 3000", "parallel-syncs m 1"];

/** Resolves when all know of each other. */
export async function startBehindSentinels(replicaCount: number): Promise<BehindSentinels> {
  const flags = [...KEEPING, "--repl-diskless-sync-delay", "0"];
  const master = await RedisProcess.start(flags);
  const replicas: RedisProcess[] = [];
  for (let n = 0; n < replicaCount; n++) {
    replicas.push(await RedisProcess.start([...flags, "--replicaof", "127.0.0.1", String(master.port)]));
  }
  await until(() => replicas.every((one) => /master_link_status:up/.test(one.cli("INFO", "replication"))));
  const lines = [`monitor m 127.0.0.1 ${master.port} 2`, ...WATCHED].map((line) => `sentinel ${line}`);
  const sentinels: RedisProcess[] = [];
  for (let n = 0; n < 3; n++) sentinels.push(await RedisProcess.startSentinel(lines));
  const knows = new RegExp(`slaves=${replicaCount},sentinels=3`);
  await until(() => sentinels.every((one) => knows.test(one.cli("INFO", "sentinel"))));
  return {
    master,
    replicas,
    url: `redis+sentinel://${sentinels.map(({ port }) => `127.0.0.1:${port}`).join(",")}/m`,
    remove: async () => {
      for (const server of [...sentinels, ...replicas, master]) await server.remove();
    },
  };
}

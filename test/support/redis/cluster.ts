// A cluster of real Redis servers on 127.0.0.1, put together without redis-cli's own help, which asks and waits.

import { freePort } from "../free-port.ts";
import { until } from "../processes.ts";
import { KEEPING, RedisProcess } from "./redis-server.ts";

const SLOTS = 16_384;

export interface RedisCluster {
  readonly masters: readonly RedisProcess[];
  /** Of the first master. */
  readonly replica: RedisProcess | undefined;
  readonly url: string;
  remove(): Promise<void>;
}

async function startNode(): Promise<{ readonly node: RedisProcess; readonly meet: readonly string[] }> {
  const busPort = String(await freePort());
  const own = ["--cluster-enabled", "yes", "--cluster-port", busPort, "--cluster-node-timeout", "1000"];
  const node = await RedisProcess.start([...KEEPING, ...own, "--repl-diskless-sync-delay", "0"]);
  return { node, meet: ["CLUSTER", "MEET", "127.0.0.1", String(node.port), busPort] };
}

/** Three masters with a third of the slots each. Resolves when all nodes say that the cluster is well. */
export async function startCluster({ hasReplica }: { readonly hasReplica: boolean }): Promise<RedisCluster> {
  const starts = await Promise.allSettled(Array.from({ length: hasReplica ? 4 : 3 }, startNode));
  const started = starts.flatMap((start) => (start.status === "fulfilled" ? [start.value] : []));
  const nodes = started.map(({ node }) => node);
  const failed = starts.find((start) => start.status === "rejected");
  if (failed !== undefined) {
    for (const node of nodes) await node.remove();
    throw failed.reason;
  }
  const masters = nodes.slice(0, 3);
  const [first] = masters;
  const replica = nodes[3];
  if (first === undefined) throw new Error("no node");
  masters.forEach((node, at) => {
    const [from, to] = [Math.ceil((SLOTS * at) / 3), Math.ceil((SLOTS * (at + 1)) / 3) - 1];
    node.cli("CLUSTER", "ADDSLOTSRANGE", String(from), String(to));
    // Each has an epoch of its own before they meet: with equal ones they would have to agree first.
    node.cli("CLUSTER", "SET-CONFIG-EPOCH", String(at + 1));
  });
  for (const { meet } of started.slice(1)) first.cli(...meet);
  await until(() => nodes.every((node) => connectedNodes(node) === nodes.length));
  if (replica !== undefined) {
    replica.cli("CLUSTER", "REPLICATE", first.cli("CLUSTER", "MYID"));
    await until(() => /master_link_status:up/.test(replica.cli("INFO", "replication")));
    await until(() => nodes.every((node) => /\bslave\b/.test(node.cli("CLUSTER", "NODES"))));
  }
  await until(() => nodes.every((node) => node.cli("CLUSTER", "INFO").includes("cluster_state:ok")));
  return {
    masters,
    replica,
    url: masters.map(({ url }) => url).join(","),
    remove: async () => {
      for (const node of nodes) await node.remove();
    },
  };
}

function connectedNodes(node: RedisProcess): number {
  return node
    .cli("CLUSTER", "NODES")
    .split("\n")
    .filter((line) => !/handshake|fail|noaddr/.test(line)).length;
}

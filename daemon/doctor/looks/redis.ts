// How the servers of sessions are: as the daemon says, or asked now, by a connection as a daemon's that is closed again.

import { SessionError } from "../../../protocol/errors.ts";
import type { DaemonFacts, RedisFacts, ServerFacts } from "../checks/checks.ts";

/** A server, or one shard of several, as a link to it reports. */
interface Report extends Omit<ServerFacts, "where"> {
  readonly redis?: string;
  readonly where?: string;
  readonly shards?: readonly Report[];
}

/** @param url the setting `redis`; "": nobody has said it, and where no daemon runs nobody can be asked. */
export async function lookAtRedis(url: string, daemon: DaemonFacts): Promise<RedisFacts> {
  if (daemon.kind === "answers") {
    const { redis } = daemon.told;
    return redis === undefined ? { kind: "unknown" } : { kind: "seen", by: "daemon", servers: serversIn(redis) };
  }
  return url === "" ? { kind: "unknown" } : ask(url);
}

async function ask(url: string): Promise<RedisFacts> {
  try {
    const { askRedis } = await import("../../redis/redis.ts");
    return { kind: "seen", by: "us", servers: serversIn(await askRedis(url)) };
  } catch (error) {
    if (error instanceof SessionError) return { kind: "refused", why: error.what };
    throw error;
  }
}

function serversIn(report: unknown): readonly ServerFacts[] {
  const { shards, redis, ...server } = report as Report;
  return shards?.flatMap(serversIn) ?? [{ where: redis ?? "Redis", ...server }];
}

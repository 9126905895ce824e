// How the servers of sessions are: as the daemon says, and asked now, by a connection as a daemon's that is closed again.

import { backendName } from "../../../protocol/backend-name.ts";
import { SessionError } from "../../../protocol/errors.ts";
import { describeRedis, parseRedisUrl } from "../../../protocol/redis-url.ts";
import type { DaemonFacts, RedisFacts, ServerFacts } from "../checks/checks.ts";

/** A server, or one shard of several, as a link to it reports. */
interface Report extends Omit<ServerFacts, "where"> {
  readonly redis?: string;
  readonly where?: string;
  readonly shards?: readonly Report[];
}

/** Also of sessions that are not kept there. */
export const UNKNOWN: RedisFacts = { servers: [], refused: undefined, elsewhere: undefined };

/**
 * What the daemon has, and what was named: where the two are not the same, one of them is a mistake.
 *
 * @param url the setting `redis`; "": nobody has said it, and where no daemon runs nobody can be asked.
 */
export async function lookAtRedis(url: string, daemon: DaemonFacts): Promise<RedisFacts> {
  const told = daemon.kind === "answers" ? (daemon.told.redis as Report | undefined) : undefined;
  const served = told === undefined ? [] : serversIn(told);
  if (url === "") return { ...UNKNOWN, servers: served };
  let elsewhere: RedisFacts["elsewhere"];
  try {
    elsewhere = told?.redis === undefined ? undefined : differenceOf(url, told.redis);
    const { askRedis } = await import("../../redis/redis.ts");
    const asked = serversIn((await askRedis(url)) as unknown as Report);
    const others = asked.filter(({ where }) => served.every((one) => one.where !== where));
    return { servers: [...served, ...others], refused: undefined, elsewhere };
  } catch (error) {
    if (error instanceof SessionError) return { servers: served, refused: error.what, elsewhere };
    throw error;
  }
}

/** @throws SessionError ERR_BAD_OPTION for a URL that cannot be read. */
function differenceOf(url: string, served: string): RedisFacts["elsewhere"] {
  const named = backendName({ type: "redis", redis: url });
  if (named === backendName({ type: "redis", redis: served })) return undefined;
  return { named: describeRedis(parseRedisUrl(url)), served };
}

function serversIn({ shards, redis, ...server }: Report): readonly ServerFacts[] {
  return shards?.flatMap(serversIn) ?? [{ where: redis ?? "Redis", ...server }];
}

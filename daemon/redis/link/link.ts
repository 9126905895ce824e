// The door to Redis: where each key is, what has changed there, and how it is. Knows no session.

import { SessionError } from "../../../protocol/errors.ts";
import { describeRedis, parseRedisUrl } from "../../../protocol/redis-url.ts";
import { ServerError } from "../server/server.ts";
import { ClusterLink } from "./cluster.ts";
import type { Link, LinkOptions } from "./options.ts";
import { SingleLink } from "./single.ts";

export type { Replicated, Server } from "../server/server.ts";
export { Script, ServerError } from "../server/server.ts";
export type { Link, LinkOptions } from "./options.ts";

/**
 * @throws SessionError before the first session: ERR_BAD_REDIS for a server that must not keep any, ERR_BAD_OPTION, or ERR_STORE when there is
 *   none after `waitMs`.
 */
export async function connectLink(options: LinkOptions): Promise<Link> {
  const target = parseRedisUrl(options.url);
  const link = new (target.kind === "cluster" ? ClusterLink : SingleLink)(target, options);
  try {
    await link.open();
    return link;
  } catch (error) {
    await link.close();
    if (!(error instanceof ServerError)) throw error;
    const what = `Redis at ${describeRedis(target)} cannot be used: ${error.message}`;
    throw new SessionError("ERR_STORE", what, { cause: error });
  }
}

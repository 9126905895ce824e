// The name of what keeps a daemon's sessions, by which a worker knows that it is what it was configured for: the type, and for servers which one.
// Nothing of it is a secret.

import { describeRedis, parseRedisUrl } from "./redis-url.ts";
import { DEFAULT_TYPE, type TypeName } from "./types.ts";

interface Kept {
  readonly type: TypeName;
  /** As the setting has it; "": not known here, so that only the type can be compared. */
  readonly redis?: string | undefined;
}

/** "file", or "redis redis://127.0.0.1:6379/2" say. @throws SessionError ERR_BAD_OPTION for a URL that cannot be read. */
export function backendName({ type, redis = "" }: Kept): string {
  return redis === "" ? type : `${type} ${placeOf(redis)}`;
}

/** In whatever order the nodes of a cluster, or the Sentinels, are named. */
function placeOf(redis: string): string {
  const target = parseRedisUrl(redis);
  const addresses = [...target.addresses].sort((one, other) => (JSON.stringify(one) < JSON.stringify(other) ? -1 : 1));
  return describeRedis({ ...target, addresses });
}

/** What `hello` says, in words for an error. A daemon that says nothing keeps files. */
export function backendTold(told: string | null): string {
  return told ?? DEFAULT_TYPE;
}

/** What `hello` is to say: nothing of files, as daemons always did. */
export function backendToTell(name: string): string | undefined {
  return name === DEFAULT_TYPE ? undefined : name;
}

/** Whether what a daemon has told is what a worker wants, as far as the worker knows that. */
export function isBackend(told: string, wanted: string): boolean {
  return told === wanted || told.startsWith(`${wanted} `);
}

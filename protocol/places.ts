// What client and daemon agree on without asking each other: where a root and its socket are when nobody names them, and the limits that
// hold on both sides. Knows no process and no file: environment, user and the ways to look around are handed in.

import { SessionError } from "./errors.ts";
import { DEFAULT_TYPE, type TypeName, typeNamed } from "./types.ts";

/** A Unix socket's path must fit `sun_path`. */
export const MAX_SOCKET_PATH_BYTES = 107;

/** The longest time a timer of Node can be set to, 24 days: a longer one would be over at once. */
export const MAX_TIMER_MS: number = 2 ** 31 - 1;

/** How long a timer waits until then, both as `performance.now()` tells time. Since Node 24 a negative delay is complained of on standard error. */
export function msLeft(untilMs: number, presentMs: number): number {
  return Math.max(0, untilMs - presentMs);
}

/**
 * A session that is used gets a new time stamp once the present one is older. The worker asks no earlier, and the daemon leaves a younger
 * stamp alone: with a shorter time than the daemon's, touches of the worker would do nothing.
 */
export const TOUCH_AFTER_MS = 1_000;

/** The life time of a session that nobody gave one. */
export const DEFAULT_TIMEOUT_SECONDS = 86_400;

/** Which daemon: absolute paths of its root directory and its socket, and the type of the sessions it keeps. A root has one daemon of each type. */
export interface Places {
  readonly root: string;
  readonly socket: string;
  readonly type: TypeName;
}

/** As they are named by somebody: the type in letters of any case. */
export interface NamedPlaces {
  readonly root?: string | undefined;
  readonly socket?: string | undefined;
  readonly type?: string | undefined;
}

/** What the process that looks for a root knows of itself. */
interface ProcessView {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** The user's number; undefined where users have none. */
  readonly uid: number | undefined;
  toAbsolute(path: string): string;
}

/**
 * What was named wins over the environment, and that over the defaults.
 *
 * @throws SessionError ERR_SOCKET_PATH, with the length and the limit; ERR_BAD_OPTION for a type that there is not.
 */
export function findPlaces(named: NamedPlaces, { env, uid, toAbsolute }: ProcessView): Places {
  const type = findType(named, env);
  // An empty variable is one that is not set.
  const root = toAbsolute(named.root ?? (env.GAMBAS_SESSION_ROOT || `/tmp/gambas.${uid ?? 0}`));
  const socket = toAbsolute(named.socket ?? (env.GAMBAS_SESSION_SOCKET || daemonPath({ root, type }, ".sock")));
  const length = Buffer.byteLength(socket);
  if (length <= MAX_SOCKET_PATH_BYTES) return { root, socket, type };
  const what = `The socket path ${socket} has ${length} bytes; at most ${MAX_SOCKET_PATH_BYTES} are possible.`;
  throw new SessionError("ERR_SOCKET_PATH", what);
}

/** The same of the type alone. @throws SessionError ERR_BAD_OPTION for one that there is not. */
export function findType({ type }: NamedPlaces, env: ProcessView["env"]): TypeName {
  return typeNamed(type ?? (env.GAMBAS_SESSION_TYPE || DEFAULT_TYPE));
}

/** A file of the daemon in its root: `sessiond.pid` say, and of other types than "file" `sessiond-<type>.pid`. */
export function daemonPath({ root, type }: Pick<Places, "root" | "type">, ending: string): string {
  const name = type === DEFAULT_TYPE ? "sessiond" : `sessiond-${type}`;
  return `${root.endsWith("/") ? root : `${root}/`}${name}${ending}`;
}

/** How many files a process may have open, by what `read` gives of Linux' `/proc/self/limits`; undefined where the system does not say. */
export function maxOpenFiles(read: (path: string) => string): number | undefined {
  try {
    const [, soft] = /^Max open files\s+(\d+)/m.exec(read("/proc/self/limits")) ?? [];
    return soft === undefined ? undefined : Number(soft);
  } catch {
    // No such file: another system, or one that is about to say so more clearly.
    return undefined;
  }
}

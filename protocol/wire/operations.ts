// THE table of operations: number, meaning, request, response, errors. Types on both sides derive from it, PROTOCOL.md prints it.

import type { ErrorCode } from "../errors.ts";
import {
  bool,
  bytes,
  type Fields,
  float,
  listOf,
  type Message,
  mapOf,
  omittable,
  optional,
  type Sendable,
  text,
  uint,
} from "./shape.ts";

/** Raised with every change that an older peer could misunderstand. `hello` carries it as its first field, in every version. */
export const PROTOCOL_VERSION: number = 3;

/** The client name of the command line: an operator, and no worker. */
export const OPERATOR = "gambas-sessiond";

interface Operation {
  readonly number: number;
  readonly since: number;
  readonly meaning: string;
  readonly request: Fields;
  readonly response: Fields;
  readonly errors: readonly ErrorCode[];
}

/** What `kind` says of a state of a session. */
export const KIND = {
  /** There is no such session. */
  absent: 0,
  /** The contents are those the client said it has (with its own delta, for a commit); only the revision may be newer. */
  same: 1,
  /** `image` holds the contents. */
  contents: 2,
  /** Like `contents`, but the file is so young that a later save might look the same to stat: use it, do not keep it. */
  fleeting: 3,
} as const;

/** A state of a session as it travels: a revision (what stat says of the file) and perhaps its contents. */
const STATE = {
  kind: uint,
  ino: float,
  size: uint,
  mtimeMs: float,
  startupMs: float,
  image: optional(bytes),
  /** Of a database: the head of its log in that state (`protocol/log-head.ts`), where the daemon has just made it. */
  head: omittable(bytes),
};

const SHARE = mapOf({ key: text, object: uint, otherKey: text, otherObject: uint }, {});

const COMMIT_OPTIONS = mapOf(
  {},
  {
    create: bool,
    unique: bool,
    timeoutSeconds: float,
    cookiePath: text,
    fence: uint,
    release: bool,
    shares: listOf(SHARE),
    held: listOf(uint),
    successor: text,
  },
);

/** A session as a list names it. */
const LISTED = mapOf({ id: text, size: uint, startupMs: float, timeoutSeconds: float }, {});

/** The fences of the transactions that go on only when the call is answered. */
const HELD = omittable(listOf(uint));

/** What any operation may answer besides the errors of its row: the message is not of its form, too many wait, or a bug was met. */
export const ERRORS_OF_ALL: readonly ErrorCode[] = ["ERR_PROTOCOL", "ERR_OVERLOADED", "ERR_INTERNAL"];

const SESSION_ERRORS = ["ERR_BAD_ID", "ERR_UNREADABLE", "ERR_SESSION_BUSY", "ERR_STORE"] as const;

export const OPERATIONS = {
  hello: {
    number: 0,
    since: 1,
    meaning:
      "The first call on every connection. `client` names the worker, so that a commit sent again after a broken connection is applied once. `backend` names what keeps the sessions; left out, it is files. `versions` is the path of a version table, where there is one.",
    request: { version: uint, client: text },
    response: {
      version: uint,
      pid: uint,
      instance: text,
      directory: text,
      leaseMs: uint,
      maxLeaseMs: uint,
      maxSessionBytes: uint,
      backend: omittable(text),
      versions: omittable(text),
    },
    errors: ["ERR_PROTOCOL_VERSION"],
  },
  open: {
    number: 1,
    since: 1,
    meaning: "Reads a session. `known` is the mtime of the revision the client holds, or 0.",
    request: { sid: text, known: float },
    response: STATE,
    errors: SESSION_ERRORS,
  },
  commit: {
    number: 2,
    since: 1,
    meaning:
      "Applies a delta and answers when the file holds it. `sequence` counts the commits of one client; `base` is the mtime of the revision the client holds, or 0. Options: `create` makes the session, `unique` ends all others of its prefix, `fence` and `release` belong to a lease (which `release` ends, whatever becomes of the commit), `shares` names objects that are one object in several keys, `held` as in lease; `successor` is a new id of the same prefix, under which the session goes on, while `sid` ends. `floor` is the lowest sequence that the client waits for, this one included: what is below has been answered, and is never sent again.",
    request: {
      sid: text,
      sequence: uint,
      base: float,
      delta: bytes,
      options: optional(COMMIT_OPTIONS),
      floor: omittable(uint),
    },
    response: STATE,
    errors: [
      ...SESSION_ERRORS,
      "ERR_OVERLOADED",
      "ERR_BAD_OPTION",
      "ERR_BAD_KEY",
      "ERR_BAD_VALUE",
      "ERR_SESSION_GONE",
      "ERR_ID_TAKEN",
      "ERR_LEASE_LOST",
      "ERR_DEADLOCK",
      "ERR_CONFLICT",
      "ERR_TOO_LARGE",
    ],
  },
  touch: {
    number: 3,
    since: 1,
    meaning: "Renews the time stamp of a session in place. `base` as in commit, `held` as in lease.",
    request: { sid: text, base: float, held: HELD },
    response: STATE,
    errors: [...SESSION_ERRORS, "ERR_SESSION_GONE", "ERR_DEADLOCK"],
  },
  abandon: {
    number: 4,
    since: 1,
    meaning:
      "Ends a session for good: the file is gone and the id is remembered as ended. Ending what is not there is no error. `held` as in lease.",
    request: { sid: text, held: HELD },
    response: {},
    errors: [...SESSION_ERRORS, "ERR_DEADLOCK"],
  },
  lease: {
    number: 5,
    since: 1,
    meaning:
      "Waits for the turn of this client on a session and keeps it for `leaseMs` at most (0: the default). Answers with the newest contents and a fencing number. `held` names the leases of this connection whose transactions go on only when this call is answered. With `isOptimistic` the contents may be what the daemon has, and not have been compared with what another host may have made of them: then they are `isUnverified`. A commit under the lease finds that out; a client that has none to make reads the session again before it tells anybody what it saw, and before anything else is stored that may follow from that; it finds the same revision, or runs again. Where the daemon has not stored yet what it granted, such a read is answered when it has.",
    request: { sid: text, leaseMs: uint, known: float, held: HELD, isOptimistic: omittable(bool) },
    response: { fence: uint, ...STATE, isUnverified: omittable(bool) },
    errors: [...SESSION_ERRORS, "ERR_SESSION_GONE", "ERR_BAD_OPTION", "ERR_DEADLOCK"],
  },
  release: {
    number: 6,
    since: 1,
    meaning: "Ends a lease without a commit. Ending one that is over is no error.",
    request: { sid: text, fence: uint },
    response: {},
    errors: ["ERR_BAD_ID"],
  },
  status: {
    number: 7,
    since: 1,
    meaning: "What an operator wants to know of the daemon, as one JSON text.",
    request: {},
    response: { json: text },
    errors: [],
  },
  retire: {
    number: 8,
    since: 1,
    meaning:
      "Asks the daemon to leave: it takes no new connection, finishes what has arrived, answers it and ends. Whoever asks starts the next one.",
    request: {},
    response: { pid: uint },
    errors: [],
  },
  list: {
    number: 9,
    since: 3,
    meaning:
      'Names sessions in the order of their ids, without waking or touching any: those behind the id `after` ("": from the first one on), of exactly this prefix (nil: of any), that have not expired. At most `limit` of them; `next` is what to give as `after` for those that follow, nil at the end. A session that begins while its list is read may be missing.',
    request: { after: text, prefix: optional(text), limit: uint },
    response: { sessions: listOf(LISTED), next: optional(text) },
    errors: ["ERR_STORE"],
  },
  sweep: {
    number: 10,
    since: 3,
    meaning:
      "Looks at every session once, at the daemon's leisure, and ends those whose time is over; with `isDry` it only says how many would end. Answers when all were looked at since it was asked. Of `seen` so many `ended`, are `unreadable` and left as they are, or `failed`: their time is over, and they could not be ended. The others are kept.",
    request: { isDry: bool },
    response: { seen: uint, ended: uint, unreadable: uint, failed: uint },
    errors: ["ERR_STORE", "ERR_DAEMON_UNAVAILABLE"],
  },
  watch: {
    number: 11,
    since: 3,
    meaning:
      "The status, and as its member `window` what has been since this connection asked last: latencies, the processor's time, and the `limit` sessions that were used most. The first time it only begins. Ends with the connection; `ERR_OVERLOADED` where too many watch.",
    request: { limit: uint },
    response: { json: text },
    errors: [],
  },
  adopt: {
    number: 12,
    since: 3,
    meaning:
      "Reads a session of another package, which is under `key` in the place where ours are and is to become the session `sid`. `found` is what is there, byte for byte; nil where nothing is, or where it has become that session before.",
    request: { sid: text, key: text },
    response: { found: optional(bytes) },
    errors: ["ERR_BAD_ID", "ERR_BAD_OPTION", "ERR_TOO_LARGE", "ERR_UNREADABLE", "ERR_STORE"],
  },
  adopted: {
    number: 13,
    since: 3,
    meaning:
      "Says that `sid` was made of what is under `key`, so that it is never made of that again, even when it has ended: `isRemoved` removes that, else it is kept in mind as long as it is there.",
    request: { sid: text, key: text, isRemoved: bool },
    response: {},
    errors: ["ERR_BAD_ID", "ERR_BAD_OPTION", "ERR_UNREADABLE", "ERR_STORE"],
  },
} as const satisfies Record<string, Operation>;

export type OperationName = keyof typeof OPERATIONS;
export type RequestOf<N extends OperationName> = Message<(typeof OPERATIONS)[N]["request"]>;
export type ResponseOf<N extends OperationName> = Message<(typeof OPERATIONS)[N]["response"]>;
/** The fields of a call as its caller gives them. */
export type CallOf<N extends OperationName> = Sendable<(typeof OPERATIONS)[N]["request"]>;
export type State = Omit<Message<typeof STATE>, "head"> & { readonly head?: Buffer | null | undefined };
export type ListedSession = ResponseOf<"list">["sessions"][number];
/** The fields of an answer as its handler gives them. */
export type AnswerOf<N extends OperationName> = Sendable<(typeof OPERATIONS)[N]["response"]>;
export type CommitOptions = NonNullable<RequestOf<"commit">["options"]>;

const NAMES: ReadonlyMap<number, OperationName> = new Map(
  (Object.keys(OPERATIONS) as OperationName[]).map((name) => [OPERATIONS[name].number, name]),
);

export function operationName(number: unknown): OperationName | undefined {
  return typeof number === "number" ? NAMES.get(number) : undefined;
}

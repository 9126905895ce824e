// A session that goes on under another id. Two keys, which may lie on two servers, so no script can change both. Whatever is killed after a step,
// there is always exactly one of the two sessions, and nobody else gets the new id:
//
//   1. new: the id is kept, with the old one's name, for a minute          a kill leaves the old one
//   2. old: is a tombstone that has the whole value of the new one         the old one has ended; whoever meets the tombstone does step 3
//   3. new: is that value, where the id is still kept                      both have their values; sent again the call is answered with the new one
//   4. old: the tombstone without the value
//   5. the caller is answered, and hears of the new id for the first time
//
// Step 2 is the one that counts: it compares the version, as any commit does. A value in a tombstone whose time is over is never put in its place: the
// new session may have been there, and have ended.

import { isExpired, startupMs } from "../../../protocol/image/image.ts";
import { KIND, type State } from "../../../protocol/wire/wire.ts";
import { type CommitTurn, gone, idTaken } from "../../turns/turns.ts";
import type { Answer, Calls, Order } from "../calls/calls.ts";
import { ServerError } from "../link/link.ts";
import {
  departingValue,
  endedValue,
  isVersion,
  NO_MARKS,
  NO_VERSION,
  NOBODY,
  nameOf,
  readValue,
  reservedValue,
  type StoredEnd,
  sessionValue,
  VERSION_BYTES,
  withMark,
} from "../value/value.ts";
import { forgetAt, type Limits, markOf, successorImage } from "./plan.ts";

/** How long an id is kept for a session that is about to go on under it. */
const RESERVE_MS = 60_000;

export interface Roads {
  readonly calls: Calls;
  readonly limits: Limits;
  readonly tombstoneMs: number;
  keyOf(id: string): string;
  /** A key was changed over our connection, which is not told of its own changes: the copy of that session is stale. */
  noteChanged(id: string): void;
}

/** The old session as it is. */
export interface Leaving {
  readonly id: string;
  readonly image: Buffer;
  readonly version: Buffer;
  readonly marks: Buffer;
  readonly holder: Buffer;
  readonly turn: CommitTurn;
}

export type Outcome =
  /** `value` is the tombstone, `state` that of the new session. */
  | { readonly kind: "done"; readonly value: Buffer; readonly state: State }
  /** Somebody was faster: `answer` is what is there, or another host has a lease. */
  | { readonly kind: "again"; readonly answer: Answer; readonly waitMs?: number };

/** @throws SessionError ERR_ID_TAKEN, ERR_TOO_LARGE …; ServerError. */
export async function succeed(leaving: Leaving, roads: Roads): Promise<Outcome> {
  const { id, turn, version, holder } = leaving;
  const { calls, limits, tombstoneMs } = roads;
  const successor = turn.options.successor;
  if (successor === undefined) throw gone(id);
  const key = roads.keyOf(id);
  const { nowMs } = calls.clockOf(key);
  const image = successorImage(turn, leaving.image, nowMs, limits);
  const value = sessionValue(image, { marks: NO_MARKS });
  // 1.
  const reserve = await keep(successor, id, roads);
  // 2.
  const marks = withMark(leaving.marks, markOf(turn), Math.floor(nowMs / 1000));
  const departing = departingValue({ successor, value }, marks);
  const until = nowMs + tombstoneMs;
  const answer = await store(roads, id, { version, holder, bytes: departing, number: until });
  if (typeof answer === "number" && answer < 0) return { kind: "again", answer, waitMs: -answer };
  if (answer !== 1) return { kind: "again", answer };
  // 3.
  await arrive({ successor, origin: id, value, reserve }, roads);
  // 4.
  const ended = endedValue("succeeded", marks);
  const stripped = await store(roads, id, {
    version: departing.subarray(0, VERSION_BYTES),
    bytes: ended,
    number: until,
  }).catch(
    // Whatever kept it from that: it ends with the tombstone.
    () => undefined,
  );
  const contents = { ino: 0, size: image.length, mtimeMs: nameOf(value), startupMs: startupMs(image), image };
  return { kind: "done", value: stripped === 1 ? ended : departing, state: { kind: KIND.contents, ...contents } };
}

/** Steps 3 and 4, by somebody who met the tombstone. */
export async function complete(id: string, stored: StoredEnd, roads: Roads): Promise<void> {
  const { departure, marks, version } = stored;
  if (departure === undefined) return;
  const { successor, value } = departure;
  const { nowMs } = roads.calls.clockOf(roads.keyOf(successor));
  const next = readValue(successor, value);
  if (next.kind !== "session") return;
  if (!isExpired(next.image, nowMs)) await arrive({ successor, origin: id, value, reserve: NO_VERSION }, roads);
  const ended = endedValue("succeeded", marks);
  await store(roads, id, { version, bytes: ended, number: nowMs + roads.tombstoneMs });
  roads.noteChanged(id);
}

/** Returns the version of the kept id. @throws SessionError ERR_ID_TAKEN. */
async function keep(successor: string, origin: string, roads: Roads): Promise<Buffer> {
  const value = reservedValue(origin);
  const until = roads.calls.clockOf(roads.keyOf(successor)).nowMs + RESERVE_MS;
  const answer = await store(roads, successor, { version: NO_VERSION, bytes: value, number: until });
  roads.noteChanged(successor);
  if (answer === 1) return value.subarray(0, VERSION_BYTES);
  const there = reserveIn(successor, answer);
  // The same call again, after an answer that was lost.
  if (there?.origin === origin) return there.version;
  throw idTaken(successor);
}

interface Arrival {
  readonly successor: string;
  readonly origin: string;
  readonly value: Buffer;
  /** The version of the kept id. */
  readonly reserve: Buffer;
}

async function arrive({ successor, origin, value, reserve }: Arrival, roads: Roads): Promise<void> {
  const stored = readValue(successor, value);
  if (stored.kind !== "session") return;
  let known = reserve;
  for (;;) {
    const answer = await store(roads, successor, { version: known, bytes: value, number: forgetAt(stored.image) });
    roads.noteChanged(successor);
    if (answer === 1) return;
    // The id was not kept long enough: it is free, as before step 1.
    if (Buffer.isBuffer(answer) && answer.length === 0) known = NO_VERSION;
    else {
      const there = reserveIn(successor, answer);
      // Somebody else has put it there, and perhaps it has changed since.
      if (there?.origin !== origin || isVersion(there.version, known)) return;
      known = there.version;
    }
  }
}

function reserveIn(id: string, answer: Answer): { readonly origin: string; readonly version: Buffer } | undefined {
  if (!Buffer.isBuffer(answer) || answer.length === 0) return undefined;
  const stored = readValue(id, answer);
  return stored.kind === "reserved" ? stored : undefined;
}

type Storing = Pick<Order, "version" | "bytes" | "number"> & { readonly holder?: Buffer };

/** @throws ServerError */
async function store(roads: Roads, id: string, storing: Storing): Promise<Answer> {
  const answer = await roads.calls.write(roads.keyOf(id), { what: "c", holder: NOBODY, ...storing });
  if (answer instanceof ServerError) throw answer;
  return answer;
}

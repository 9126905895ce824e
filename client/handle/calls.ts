// What a handle and its transactions need of the client they belong to: the calls that reach the daemon, and the shapes those take and give.

import { SessionError } from "../../protocol/errors.ts";
import type { Contents } from "../copies/cache.ts";
import type { HeldLease } from "../scope.ts";
import type { Unsaved } from "./unsaved.ts";

/** A server that is there answers in milliseconds; one that is away is waited for ten times as long. */
const MAX_HELD_BACK_MS = 1_000;

/** What is to be saved, and of which session. */
export interface CommitRequest {
  readonly id: string;
  /** The contents that the changes were made on; undefined for a new session. */
  readonly base: Contents | undefined;
  readonly unsaved: Unsaved;
  /** Of the lease under which it is saved. */
  readonly fence?: number;
  /** More is to come under that lease. */
  readonly keepsLease?: boolean;
}

/** A lease, with the contents that its transactions begin with; after a commit under it those of the session then. */
export interface Grant extends HeldLease {
  readonly id: string;
  contents: Contents;
  /** When the lease ends at the latest, as performance.now(). */
  readonly deadlineMs: number;
  /** The lease was given back, or a commit has ended it. */
  isOver: boolean;
  /** The contents were the newest at some time since they were asked for; where that is not known, a commit or `confirm` finds out. */
  isSure: boolean;
  /** They were not: whatever has run on them runs again. */
  isOvertaken: boolean;
  /** What finds that out, under way or done. */
  asked?: Promise<unknown>;
}

/** What `release` must know of a grant. */
export type GrantedLease = Omit<Grant, "contents">;

export interface Calls {
  /** The type of the sessions. */
  readonly type: string;
  /** The file of a session; null without one, and where sessions are in no files. */
  pathOf(id: string | null): string | null;
  /** The newest contents; undefined when there is no such session. */
  load(id: string): Promise<Contents | undefined>;
  /** @returns the contents after the commit; undefined when the session is gone. */
  apply(request: CommitRequest): Promise<Contents | undefined>;
  /** Renews the stamp. */
  renew(id: string, contents: Contents | undefined): Promise<Contents | undefined>;
  end(id: string): Promise<void>;
  /** @param leaseMs 0: the daemon's default. @param mustBeSure what is granted is the newest, whatever it costs. */
  lease(id: string, leaseMs: number, mustBeSure: boolean): Promise<Grant>;
  /** Whether the contents are the newest: asked under the lease, before any commit. */
  isNewest(grant: Grant): Promise<boolean>;
  /** Gives a lease back, unless it is over. Never rejects. */
  release(grant: GrantedLease): Promise<void>;
  /** False when the connection that granted the lease is gone, and the lease with it. */
  isInForce(grant: HeldLease): boolean;
}

/**
 * To be called before anybody is told what was seen under the lease without a commit. Behind a commit under the lease, or another who asks, it waits for that: what
 * the lease's own commit makes is not what was granted.
 *
 * @throws SessionError ERR_CONFLICT where the contents granted were not the newest: what has run on them runs again.
 */
export async function confirm(calls: Calls, grant: Grant): Promise<void> {
  if (grant.asked !== undefined) await whenAsked(grant);
  if (!grant.isSure && !grant.isOvertaken) {
    const asked = ask(calls, grant);
    grant.asked = asked;
    await asked;
  }
  if (grant.isOvertaken) throw changedBefore(grant);
}

/**
 * The same for what has failed, so that nothing is to be stored: its error is as a rule no news about the session, and whoever waits for it does so no longer
 * than `MAX_HELD_BACK_MS`. Where nobody answers by then it is told as it is; that of contents which were overtaken is not told.
 *
 * @throws as `confirm`.
 */
export async function confirmForError(calls: Calls, grant: Grant): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const patience = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, MAX_HELD_BACK_MS);
  });
  try {
    await Promise.race([confirm(calls, grant), patience]);
  } finally {
    clearTimeout(timer);
  }
}

/** Nothing is to be found out: the contents are sure, or the lease is over, and what goes on is no part of its transaction. */
export function isKnown({ isSure, isOver, isOvertaken }: Grant): boolean {
  return (isSure || isOver) && !isOvertaken;
}

async function ask(calls: Calls, grant: Grant): Promise<void> {
  const isNewest = await calls.isNewest(grant);
  // Too late for those who have seen it: what goes on behind the lease is no part of it.
  if (grant.isOver) return;
  grant.isSure = isNewest;
  grant.isOvertaken = !isNewest;
}

/** Resolves when nobody asks any more, whatever the answer. */
export async function whenAsked({ asked }: Grant): Promise<void> {
  try {
    await asked;
  } catch {
    // Told to whoever asked.
  }
}

export function changedBefore({ id }: Grant): SessionError {
  return new SessionError("ERR_CONFLICT", `Session ${id} was changed before the transaction.`);
}

/** Gives a lease back whose holder ends the session: that cannot be undone, so what he saw must be the newest. @throws as `confirm`. */
export async function endLease(calls: Calls, grant: Grant): Promise<void> {
  await confirm(calls, grant);
  await calls.release(grant);
}

/** How a session has ended that is not there any more: the error of a touch, which tells whether it goes on under another id. */
export function endOf(calls: Calls, id: string): Promise<unknown> {
  return calls.renew(id, undefined).then(
    () => new SessionError("ERR_SESSION_GONE", `Session ${id} is gone.`),
    (error: unknown) => error,
  );
}

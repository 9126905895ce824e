// What every storage engine offers to a session. All calls are synchronous: on a local file system each takes microseconds,
// and nothing else of the same session may happen in between.

import type { Dialect } from "../../protocol/image/image.ts";

/** What stat says of the state of a session; two different contents of one session never have the same one. */
export interface Revision {
  readonly ino: number;
  readonly size: number;
  /** As `fs.Stats.mtimeMs` gives it, so that a worker can compare without conversion. */
  readonly mtimeMs: number;
}

export interface Loaded {
  /** The contents of the session as of `revision`, known to be readable. Never changed afterwards. */
  readonly image: Buffer;
  readonly revision: Revision;
  /** True while another program's next save could still get the same revision. */
  readonly isFleeting: boolean;
  /** When the file's name or contents were last changed (Unix ms, by the system's clock). */
  readonly changedMs: number;
}

/** The time in ms, by a clock that nobody sets. */
export type Clock = () => number;

export interface Look {
  readonly atMs: number;
  /** A program that shares the store, other than us, may be running. */
  readonly isAnybodyThere: boolean;
}

/** What is known of whoever has replaced a revision, one after the other where there were several. Times are those of looks. */
export interface Saver {
  /** False only where it is known that none of them ran then: so none had loaded anything older than what we had written by then. */
  mayHaveRunAt(whenMs: number): boolean;
  /** Whether any program may have come since. */
  mayHaveComeSince(whenMs: number): boolean;
}

/** A new state that is written and not yet visible. Exactly one of publish and discard must follow. */
export interface Staged {
  readonly revision: Revision;
}

/**
 * A session is read and changed only while its lock is held. Engines throw the system's errors; the session translates them.
 * Ids have passed `isSessionId`.
 */
export interface Store<S extends Staged = Staged> {
  /** Takes the lock that other programs honour. False when one of them holds it. `mayCreate`: also for a session that does not exist yet. */
  lock(id: string, mayCreate: boolean): LockResult;
  unlock(id: string): void;
  /** How many may be locked at once without running out of files that may be open. */
  readonly lockable: number;
  /** The present revision, without the lock: undefined may also mean that another program is replacing it right now. */
  stat(id: string): Revision | undefined;
  /** Whether there is a lock for this id: then there is or was a session, which may just be missing for a moment. */
  hasLock(id: string): boolean;
  /** Throws ERR_UNREADABLE for what is no session. */
  load(id: string, maxBytes: number): Loaded | undefined;
  /** Writes `image` aside. `existing` is the revision it will replace, undefined for a new session. */
  stage(id: string, image: Buffer, existing: Revision | undefined): S;
  /** Makes it the session, in one step. False when another program saved since the look at `existing`: its save stands, look again. */
  publish(id: string, staged: S): boolean;
  discard(id: string, staged: S): void;
  /** Overwrites the time stamp in place; undefined where the file may not be written to: then it is to be replaced. */
  stamp(id: string, startup: Buffer, existing: Revision): Revision | undefined;
  /** Ends the session; nothing of it stays. Removing what is not there is no error. */
  remove(id: string): void;
  /** Whether another program has read this revision since we wrote it; undefined when that cannot be told. */
  wasRead(id: string, revision: Revision): boolean | undefined;
  /** Dialect in which an image is to be written that gets its first reference now. May take a look at the store. */
  readonly dialect: Dialect;
  /** The same for an operator, and why it is that one; undefined where no other program reads what is written. */
  readonly dialectInWords: string | undefined;
  /** Another program saved this image: what it writes tells which dialect is in use. */
  noteForeignSave(image: Buffer): void;
  /** Looks which programs share the store. Whoever is not there yet loads nothing that is replaced right after, under its lock. */
  look(clock: Clock): Look;
  /** Whether this is still the file we wrote, in which somebody else has written: programs that share the store make a new one. */
  isOurFile(id: string, revision: Revision): boolean;
  /** Who may have replaced this revision, the last one that we know. Looks. */
  whoReplaced(id: string, revision: Revision, clock: Clock): Saver;
  /**
   * Whether a revision that was about to replace another one before a crash has done so. False if it still lies aside; or if it had replaced
   * something else, namely another program's save: that has its name back then.
   */
  wasPublished(id: string, revision: Revision, replaced: Revision | undefined): boolean;
  /** Deletes what an earlier daemon left lying aside. */
  removeLeftovers(): void;
  /** True: `publish` notices every save since `existing`, however long ago. False: only a look just before keeps from overwriting one. */
  readonly checksOnPublish: boolean;
  /** False: two contents of a session may have the same revision, so that nothing is current because of it. */
  readonly tellsRevisions: boolean;
  /** What is known of the file system, for the status and, what it lacks, in words for the log. Undefined for engines without one. */
  readonly fileSystem: { readonly report: Record<string, boolean>; readonly lacks: readonly string[] } | undefined;
  /** Whether what is asked for with durability "fsync" can be done. Throws where it cannot. */
  checkFlushes(): void;
  /** The directory whose `<id>` files workers may stat, or "" when there is none. */
  readonly directory: string;
  /** The first 16 bytes, without the lock. Undefined when there is no such session, or it is shorter. */
  header(id: string): Buffer | undefined;
  /** All ids, in no order. Survives changes while it runs. */
  ids(): AsyncIterable<string>;
  /** Makes durable what is staged (before publish) or published. Only for durability "fsync". */
  syncStaged(id: string): Promise<void>;
  syncPublished(): Promise<void>;
  /** Forgets what is kept open for a session. */
  cool(id: string): void;
  close(): void;
  /** After `close`: nothing of ours stays aside. */
  removeAside(): void;
}

/** `missing`: there is no lock to take, because there never was such a session. */
export type LockResult = "held" | "busy" | "missing";

export function isSameRevision(a: Revision | undefined, b: Revision | undefined): boolean {
  return a?.mtimeMs === b?.mtimeMs && a?.ino === b?.ino && a?.size === b?.size;
}

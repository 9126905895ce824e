// The seam between sessions and the engine that keeps them. An engine offers the sessions themselves; everything else it can do is a
// capability by itself, undefined where the engine has none of it. Nobody outside an engine's folder knows which engine it is.
//
// All calls but those of `Flushes` are synchronous: on a local file system each takes microseconds, and nothing else of the same session may
// happen in between. Engines throw the system's errors, which the session translates, and `StoreBusy` where another program is in the way for
// the moment: the step has done nothing then, and is tried again. Ids have passed `isSessionId`, and `nameOf` where the engine has one.

import type { Dialect } from "../../protocol/image/image.ts";

/** The name of one state of a session, as stat tells it; two different contents of one session never have the same one. */
export interface Revision {
  readonly ino: number;
  readonly size: number;
  /** As `fs.Stats.mtimeMs` gives it, so that a worker can compare without conversion. */
  readonly mtimeMs: number;
  /** Of a database, where we have just made this state: the head of its log in it, by which workers know it again. Tells no revisions apart. */
  readonly head?: Buffer | undefined;
}

/** Contents that the store holds. */
export interface Present {
  readonly revision: Revision;
  readonly image: Buffer;
}

/** Another program is at this session right now: the message says so in words, for whoever is refused because it stays. */
export class StoreBusy extends Error {
  constructor(what: string) {
    super(what);
    this.name = "StoreBusy";
  }
}

export interface Loaded {
  /** The contents of the session as of `revision`, known to be readable. Never changed afterwards. */
  readonly image: Buffer;
  readonly revision: Revision;
  /** True while another program's next save could still get the same revision. */
  readonly isFleeting: boolean;
  /** When the session's name or contents were last changed (Unix ms, by the system's clock). */
  readonly changedMs: number;
}

/** A new state that is not yet visible. Exactly one of `publish` and `Recovery.discard` must follow. */
export interface Staged {
  /** What `publish` will make the revision. Its size may be known only then. */
  readonly revision: Revision;
  /**
   * Of the new bytes, where `publish` will write them over the old ones instead of aside: only for as long as no other program is there. A
   * kill before they are stamped leaves another revision; then this tells that they were written. Undefined: the new state is written aside.
   */
  readonly checksum?: number | undefined;
}

/** A change of a session that an earlier daemon was about to make visible. */
export interface Attempt {
  readonly id: string;
  readonly revision: Revision;
  readonly replaced?: Revision | undefined;
  /** As `Staged` had it. */
  readonly checksum?: number | undefined;
}

/** The sessions themselves. One is read and changed only while its lock is held, where the engine has locks. */
export interface SessionFiles<S extends Staged = Staged> {
  /** Throws ERR_UNREADABLE for bytes that are no session. */
  load(id: string, maxBytes: number): Loaded | undefined;
  /** The present revision, without the lock: undefined may also mean that another program is replacing it right now. */
  stat(id: string): Revision | undefined;
  /** The first 16 bytes, without the lock. Undefined when there is no such session, or it is shorter. */
  header(id: string): Buffer | undefined;
  /** The bytes it takes, without the lock and without a look inside; undefined when there is no such session. */
  sizeOf(id: string): number | undefined;
  /** All ids, in no order. Survives changes while it runs. */
  ids(): AsyncIterable<string>;
  /** Names that sessions could have of which no id is known or allowed: one that is too long, say. Undefined: there are none. */
  readonly strangers: (() => AsyncIterable<string>) | undefined;
  /** Writes `image` aside, or prepares to write it over what it will replace: `existing`, undefined for a new session. */
  stage(id: string, image: Buffer, existing: Present | undefined): S;
  /** Makes it the session, in one step. False when another program saved since the look at `existing`: its save stands, look again. */
  publish(id: string, staged: S): boolean;
  /** Overwrites the time stamp in place; undefined where the session may not be written to: then it is to be replaced. */
  stamp(id: string, startup: Buffer, existing: Revision): Revision | undefined;
  /** Ends the session; nothing of it stays. Removing what is not there is no error. */
  remove(id: string): void;
  /** The same where it still is in this state; false: it is not, and nothing was done. Undefined: its lock keeps everybody from changing it. */
  readonly removeUnchanged: ((id: string, existing: Revision) => boolean) | undefined;
  /** No program brings back a session that was removed, whatever it had loaded: so one may go before anybody has noted that. */
  readonly staysGone: boolean;
  close(): void | Promise<void>;
  /** True: `publish` notices every save since `existing`, however long ago. False: only a look just before keeps from overwriting one. */
  readonly checksOnPublish: boolean;
  /** False: two contents of a session may have the same revision, so that nothing is current because of it. */
  readonly tellsRevisions: boolean;
}

/** `missing`: there is no lock to take, because there never was such a session. */
export type LockResult = "held" | "busy" | "missing";

/** The lock of each session that other programs honour. */
export interface RecordLocks {
  /** Never waits: "busy" when another program holds it. `mayCreate`: also for a session that does not exist yet. */
  take(id: string, mayCreate: boolean): LockResult;
  release(id: string): void;
  /** Whether there is a lock for this id: then there is or was a session, which may just be missing for a moment. */
  has(id: string): boolean;
}

/** Files, say, that an engine keeps open of a session from its lock on. */
export interface OpenSessions {
  /** How many sessions may be open at once. */
  readonly max: number;
  /** Closes those of a session. */
  cool(id: string): void;
}

/** The time in ms, by a clock that nobody sets. */
export type Clock = () => number;

/** The programs that share the store, as a look found them. */
export interface Attendance {
  readonly atMs: number;
  /** A program other than us may be running. */
  readonly isAnybodyThere: boolean;
}

/** The programs that have replaced a revision, one after the other where there were several. Times are those of looks. */
export interface Saver {
  /** False only where it is known that none of them ran then: so none had loaded anything older than our last write before. */
  mayHaveRunAt(whenMs: number): boolean;
  /** Whether any program may have come since. */
  mayHaveComeSince(whenMs: number): boolean;
}

/** The evidence that an engine has of the programs that share the store with us. */
export interface ForeignPrograms {
  /** Looks which are there. One that is not there yet loads nothing that is replaced right after, under its lock. */
  look(clock: Clock): Attendance;
  /** The programs that may have replaced this revision, the last one that we know. Looks. */
  whoReplaced(id: string, revision: Revision, clock: Clock): Saver;
  /** Whether another program has read this revision since we wrote it; undefined when that cannot be told. */
  wasRead(id: string, revision: Revision): boolean | undefined;
  /** Whether this is still the file we wrote, in which somebody else has written: programs that share the store make a new one. */
  isOurFile(id: string, revision: Revision): boolean;
  /** Another program saved this image: its tags tell which dialect is in use. */
  noteSave(image: Buffer): void;
  /** Dialect in which an image is to be written that gets its first reference now. May take a look at the store. */
  readonly dialect: Dialect;
  /** The same for an operator, and why it is that one. */
  readonly dialectInWords: string;
}

/** For engines that keep sessions beyond this process: a write may be found half done. */
export interface Recovery {
  /** Takes back the staged state of a session. */
  discard(id: string): void;
  /**
   * Whether a revision that was about to replace another one before a crash has done so. False if it still lies aside; or if it had replaced
   * something else, namely another program's save: that has its name back then. Of one that was to be written over the old bytes: false, too,
   * if another program has saved since. Nobody was told of it, and whoever asked for it asks again.
   *
   * @throws StoreBusy while another program keeps it from being found out: that is no answer.
   */
  wasPublished(attempt: Attempt): boolean;
  /** Whether what lies under this id is what a kill has left of a session that was being made: nobody was ever told of it. */
  isUnfinished(id: string): boolean;
  /** Deletes all that an earlier daemon left lying aside, after `wasPublished` has been asked of it. */
  removeLeftovers(): void;
  /** After `close`: nothing of ours stays aside. */
  removeAside(): void;
}

/** For durability "fsync": makes staged states durable, before they are published, and published ones. */
export interface Flushes {
  /** Whether that can be done. Throws where it cannot. */
  check(): void;
  staged(id: string): Promise<void>;
  published(): Promise<void>;
}

export interface ChangeEvents {
  readonly onChange: (id: string) => void;
  /** Anything may have changed. */
  readonly onMissed: () => void;
}

/** Hints that other programs changed sessions: they may be late, merged or lost. */
export interface ChangeWatch {
  /** False: there are no hints; looks find what was changed, later. */
  readonly isWatching: boolean;
  start(): void;
  /** Begins again where the place of the sessions was made anew. */
  check(): void;
  stop(): Promise<void>;
}

export interface Store<S extends Staged = Staged> extends SessionFiles<S> {
  /** The one id by which the engine knows all ids that name one session. Undefined: each names a session of its own. */
  readonly nameOf: ((id: string) => string) | undefined;
  /** Whether an object that several keys have in common stays one; else each key gets its own. */
  readonly keepsShares: boolean;
  /** Undefined: no other program honours a lock. */
  readonly locks: RecordLocks | undefined;
  /** Undefined: nothing is kept open. */
  readonly open: OpenSessions | undefined;
  /** Undefined: no other program reads or writes these sessions. */
  readonly programs: ForeignPrograms | undefined;
  /** Undefined: sessions end with this process, and a staged one is written nowhere. */
  readonly recovery: Recovery | undefined;
  /** Undefined: there is nothing to flush. */
  readonly flushes: Flushes | undefined;
  /** Undefined: nobody but us changes sessions, or nobody tells. */
  readonly watch: ((events: ChangeEvents) => ChangeWatch) | undefined;
  /** The features of the file system, and of what else the engine needs, for the status, and in words those that lack for the log. Undefined for engines that need none. */
  readonly fileSystem: { readonly report: Record<string, boolean>; readonly lacks: readonly string[] } | undefined;
  /** The directory of the files by which workers find out themselves whether their copies are current, or "" when they have to ask. */
  readonly directory: string;
}

export function isSameRevision(a: Revision | undefined, b: Revision | undefined): boolean {
  return a?.mtimeMs === b?.mtimeMs && a?.ino === b?.ino && a?.size === b?.size;
}

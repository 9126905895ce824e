// One session in the daemon: its contents, its lease, and the turns that wait for it.
//
//   COLD  no contents in memory                       --load-->            WARM
//   WARM  contents of a revision of the file          --commit, touch-->   WARM   (the store first, then memory)
//   WARM  stat shows a revision we did not write      --refresh-->         WARM   (their contents, stale values put back)
//   any   a failed read or write                      ------------>        COLD   (forget and look again)
//   any   abandoned, expired, replaced                ------------>        GONE   (a tombstone; memory and file are empty)
//
// There is no dirty state: what was not written is in no `#contents`, and nothing is acknowledged before it was written.
//
// All calls are synchronous, so a turn is a call of `prepare` and one of `publish`, and nothing of this session happens in between except
// the flush to disk where durability asks for it. What arrives meanwhile waits and is written together.

import { SessionError } from "../../protocol/errors.ts";
import { applyChange, isExpired, newImage, startupBytes, startupMs } from "../../protocol/image/image.ts";
import { TOUCH_AFTER_MS } from "../../protocol/places.ts";
import type { CommitOptions } from "../../protocol/wire/wire.ts";
import { GAP_MS, LockGaps } from "../foreign/lock-gaps.ts";
import { findRepairs, noteReplaced, printsOf, type Step } from "../foreign/repair.ts";
import type { Resting } from "../memory/shelf.ts";
import { isSameRevision, type Loaded, type Staged } from "../store/store.ts";
import { ABSENT, type Contents, contentsOf, isCurrent, isSameButStamp, knows, sameToo, stateOf } from "./contents.ts";
import { Lease } from "./lease.ts";
import type { Surroundings } from "./sessions.ts";
import type { CommitTurn, EndTurn, LeaseTurn, ReadTurn, TouchTurn, Turn, Waiting } from "./turn.ts";

export type { CommitTurn } from "./turn.ts";

/** What `prepare` found out and did; `publish` makes it visible and answers. */
export interface Prepared {
  readonly session: Session;
  readonly staged: Staged;
  readonly image: Buffer;
  readonly before: Contents | undefined;
  readonly turns: readonly (CommitTurn | TouchTurn)[];
  readonly steps: readonly Step[];
  readonly wasRepaired: boolean;
}

/** What a turn is about to write, while its calls are taken. */
interface Plan {
  image: Buffer | undefined;
  readonly turns: (CommitTurn | TouchTurn)[];
  readonly steps: Step[];
  readonly wasRepaired: boolean;
  /** The clock, in Unix ms. */
  readonly nowMs: number;
}

const RETRY_LOCK_MS = 5;
/** Trying again costs a system call; so long it is tried in every turn of the event loop. */
const SPIN_MS = 2;
/** Who holds a lock longer than this may take it again at once: then every moment in between counts. */
const PATIENT_MS = 100;
/** Looks before a file that was there is believed to be gone, and the pause between two: Gambas unlinks before it renames. */
const VANISHED_LOOKS = 3;
const VANISHED_PAUSE_MS = 10;

export class Session {
  readonly id: string;
  readonly #house: Surroundings;
  #contents: Contents | undefined;
  #reads: ReadTurn[] = [];
  #queue: Turn[] = [];
  /** Turns that belong to the lease in force: they do not wait for it. */
  #leased: CommitTurn[] = [];
  #lease: Lease | undefined;
  #retryTimer: NodeJS.Timeout | undefined;
  #isWriting = false;
  /** False where there is no lock to take because there is no session: what turns up then is looked at again. */
  #hasLock = false;
  /** A publication found that somebody had saved. */
  #mustLook = false;
  /** performance.now() of when it was first found locked; 0 while it is not. */
  #busySinceMs = 0;
  #vanishedLooks = 0;
  /** From when another program was met here for the first time. */
  #gaps: LockGaps | undefined;
  /** By the clock of looks. */
  #writtenMs = 0;
  /** When we last wrote, a program that could hold an older revision was running. */
  #mayBeHeld = false;
  /** For `cache.ts`: set by every use, cleared by the hand of its clock; what it has counted; and whether this is still the one it knows. */
  wasUsed = true;
  countedBytes = 0;
  isAwake = true;
  /** For `sessions.ts`: it waits for its turn there. */
  isScheduled = false;

  constructor(id: string, house: Surroundings, resting?: Resting) {
    this.id = id;
    this.#house = house;
    this.#contents = resting?.contents;
    this.#writtenMs = resting?.writtenMs ?? 0;
    this.#mayBeHeld = resting?.mayBeHeld ?? false;
  }

  /** Of its contents, 0 without any. */
  get bytes(): number {
    return this.#contents === undefined ? 0 : this.#contents.image.length;
  }

  /** What is worth keeping of a session that is idle. */
  get resting(): Resting | undefined {
    const contents = this.#contents;
    return contents && { id: this.id, contents, writtenMs: this.#writtenMs, mayBeHeld: this.#mayBeHeld };
  }

  /** Nothing is known of it but what its file holds. */
  get wasOnlyRead(): boolean {
    return this.#writtenMs === 0 && this.#gaps === undefined && this.#contents?.sameAs.length === 1;
  }

  get isIdle(): boolean {
    return this.#lease === undefined && !this.#isWriting && !this.#hasWork && this.#retryTimer === undefined;
  }

  get waitingCount(): number {
    return this.#queue.length + this.#reads.length + this.#leased.length;
  }

  /** Answers at once when memory is known to be current, else in the next turn. */
  read(turn: ReadTurn): void {
    this.wasUsed = true;
    const contents = this.#contents;
    if (contents !== undefined && isCurrent(contents, this.id, this.#house)) {
      this.#house.metrics.hits += 1;
      turn.answer(stateOf(contents, turn.known));
      return;
    }
    this.#reads.push(turn);
    this.#house.schedule(this);
  }

  enter(turn: Turn): void {
    this.wasUsed = true;
    if (turn.type === "commit" && turn.options.fence !== undefined) this.#enterLeased(turn);
    else this.#queue.push(turn);
    this.#house.schedule(this);
  }

  #enterLeased(turn: CommitTurn): void {
    if (this.#lease?.fence === turn.options.fence && this.#lease?.owner === turn.caller.owner) this.#leased.push(turn);
    else turn.fail(leaseLost(this.id));
  }

  /** Ends the lease if it is this one. */
  release(fence: number, owner: object): void {
    if (this.#lease?.fence === fence && this.#lease.owner === owner) this.#endLease();
  }

  /** A connection is gone: nothing it asked for and did not get happens any more. */
  forget(owner: object): void {
    this.#reads = this.#reads.filter((turn) => turn.caller.owner !== owner);
    this.#queue = this.#queue.filter((turn) => turn.caller.owner !== owner);
    this.#leased = this.#leased.filter((turn) => turn.caller.owner !== owner);
    if (this.#lease?.owner === owner) this.#endLease();
  }

  /** Something may have changed the file: look when there is time. */
  lookAgain(): void {
    if (this.#contents === undefined || isCurrent(this.#contents, this.id, this.#house)) return;
    this.#reads.push(nobodyReads);
    this.#house.schedule(this);
  }

  stop(): void {
    clearTimeout(this.#retryTimer);
    this.#lease?.end();
  }

  /**
   * First half of a turn: takes the lock, looks at the file, answers reads, stages what is to be written.
   *
   * @param nowMs the clock, in Unix ms, read once for all that are prepared together.
   */
  prepare(nowMs: number): Prepared | undefined {
    if (this.#isWriting || !this.#hasWork) return undefined;
    let prepared: Prepared | undefined;
    let isLocked = false;
    try {
      if (!this.#takeLock(nowMs)) return undefined;
      isLocked = true;
      const refreshed = this.#refresh(nowMs);
      if (refreshed === "vanished") return this.#retryLater(VANISHED_PAUSE_MS);
      this.#answerReads(refreshed.image);
      prepared = this.#takeTurns(refreshed, nowMs);
    } catch (error) {
      this.#failEverything(error, isLocked);
    }
    if (prepared === undefined) this.#finishTurn();
    else this.#isWriting = true;
    return prepared;
  }

  /** Second half: makes the staged revision visible. False when it is not: there is nothing to acknowledge then. */
  publish(prepared: Prepared): boolean {
    try {
      if (this.#house.store.publish(this.id, prepared.staged)) {
        this.#adoptWritten(prepared);
        return true;
      }
      this.#tryAgain(prepared);
    } catch (error) {
      this.#undo(prepared, error);
    }
    return false;
  }

  /**
   * What `publish` made visible counts now: answers its turns. Apart from it for the flush to disk in between.
   *
   * @param answeredMs performance.now(), read once for all that are acknowledged together.
   */
  acknowledge(prepared: Prepared, answeredMs: number): void {
    this.#isWriting = false;
    const contents = this.#contents;
    // Before the answers: who has the lease next begins while they are on their way.
    for (const turn of prepared.turns) if (turn.type === "commit") this.#closeReleased(turn.options);
    this.#grantNext();
    if (contents !== undefined) this.#answerTurns(prepared, contents, answeredMs);
    this.#finishTurn();
  }

  /** The turn failed before or at publication; nothing of it is visible. */
  abort(prepared: Prepared, error: unknown): void {
    try {
      this.#house.store.recovery?.discard(this.id);
    } catch (discardError) {
      // It lies aside, invisible, until the next write uses it.
      this.#house.log.error("discard-failed", { session: this.id, error: String(discardError) });
    }
    this.#undo(prepared, error);
  }

  get #hasWork(): boolean {
    if (this.#reads.length > 0 || this.#leased.length > 0) return true;
    return this.#lease === undefined && this.#queue.length > 0;
  }

  // -- the lock

  #takeLock(nowMs: number): boolean {
    if (this.#lease !== undefined) return true;
    if (this.#gaps?.isOwed(nowMs) === true) return this.#retryLater(GAP_MS) !== undefined;
    const result = this.#house.locks.take(this.id, this.#mayCreateLock());
    if (result === "busy") return this.#waitForLock(nowMs);
    this.#hasLock = result === "held";
    this.#busySinceMs = 0;
    this.#gaps?.noteTaken();
    return true;
  }

  /** An unknown id must not leave a lock file behind; a session without one (copied in, say) may get one. */
  #mayCreateLock(): boolean {
    if (this.#contents !== undefined) return true;
    const creates = this.#queue.some((turn) => turn.type === "commit" && turn.options.create === true);
    return creates || this.#house.store.stat(this.id) !== undefined;
  }

  #waitForLock(nowMs: number): false {
    this.#noteForeigner(nowMs);
    const presentMs = performance.now();
    if (this.#busySinceMs === 0) this.#busySinceMs = presentMs;
    const waitedMs = Math.round(presentMs - this.#busySinceMs);
    if (waitedMs > this.#house.config.lockWaitMs) {
      this.#busySinceMs = 0;
      const what = `The lock of session ${this.id} has been held by another program for ${waitedMs} ms; nothing was written.`;
      this.#failEverything(new SessionError("ERR_SESSION_BUSY", what), false);
      return false;
    }
    if (waitedMs < SPIN_MS) this.#retryAtOnce();
    else this.#retryLater(waitedMs < PATIENT_MS ? RETRY_LOCK_MS : 1);
    return false;
  }

  #retryLater(pauseMs: number): undefined {
    this.#releaseLock();
    if (this.#retryTimer !== undefined) return;
    this.#retryTimer = setTimeout(() => {
      this.#retryTimer = undefined;
      this.#house.schedule(this);
    }, pauseMs);
  }

  /** In the next turn of the event loop: a Gambas program at its load or save is done in a fraction of a millisecond. */
  #retryAtOnce(): void {
    this.#releaseLock();
    this.#house.schedule(this);
  }

  #releaseLock(): void {
    if (this.#lease === undefined) this.#unlock();
  }

  #unlock(): void {
    this.#house.locks.release(this.id);
    this.#gaps?.noteReleased();
  }

  #noteForeigner(nowMs: number): void {
    this.#gaps ??= new LockGaps();
    this.#gaps.noteMet(nowMs);
  }

  #finishTurn(): void {
    this.#releaseLock();
    if (this.#hasWork && this.#retryTimer === undefined) this.#house.schedule(this);
  }

  // -- looking at the file

  /** Brings `#contents` up to the file. `image` is what it should hold: another one than `#contents.image` where a repair is due. */
  #refresh(nowMs: number): { image: Buffer | undefined; wasRepaired: boolean } | "vanished" {
    const { store } = this.#house;
    const known = this.#contents;
    if (known !== undefined && (this.#mayTrust(known, nowMs) || isCurrent(known, this.id, this.#house))) {
      return { image: known.image, wasRepaired: false };
    }
    this.#mustLook = false;
    if (this.#house.tombstones.has(this.id)) return this.#refreshEnded(known);
    const loaded = store.load(this.id, this.#house.config.maxSessionBytes);
    if (loaded === undefined) return this.#missing(known);
    if (!this.#hasLock) return "vanished";
    this.#vanishedLooks = 0;
    // Only of a whole session: the first bytes of a damaged file may well look like a time long ago.
    if (isExpired(loaded.image, nowMs)) return this.#expire();
    return this.#adoptForeign(loaded, known);
  }

  /** Where publication itself finds out whether somebody saved meanwhile, nobody needs to look before. */
  #mayTrust(contents: Contents, nowMs: number): boolean {
    if (this.#mustLook || !this.#house.store.checksOnPublish || this.#reads.length > 0) return false;
    const turns: readonly Turn[] = this.#lease === undefined ? this.#queue : this.#leased;
    if (contents.isFleeting || turns.some((turn) => turn.type !== "commit")) return false;
    return !isExpired(contents.image, nowMs);
  }

  /** Whatever is there, readable or not, nothing brings back what has ended. */
  #refreshEnded(known: Contents | undefined): { image: undefined; wasRepaired: false } | "vanished" {
    if (this.#house.store.stat(this.id) === undefined) return this.#missing(known);
    if (!this.#hasLock) return "vanished";
    this.#vanishedLooks = 0;
    return this.#undoResurrection();
  }

  #missing(known: Contents | undefined): { image: undefined; wasRepaired: false } | "vanished" {
    if (known !== undefined && this.#vanishedLooks < VANISHED_LOOKS) {
      this.#vanishedLooks += 1;
      return "vanished";
    }
    this.#vanishedLooks = 0;
    this.#contents = undefined;
    // Another program ended it. Our twin and the lock file we may have made go too; no tombstone: it is theirs to save it again.
    if (known !== undefined && this.#hasLock) this.#house.store.remove(this.id);
    return { image: undefined, wasRepaired: false };
  }

  #undoResurrection(): { image: undefined; wasRepaired: false } {
    this.#house.store.remove(this.id);
    this.#contents = undefined;
    this.#house.metrics.resurrectionsUndone += 1;
    this.#house.log.info("resurrection-undone", { session: this.id });
    return { image: undefined, wasRepaired: false };
  }

  #expire(): { image: undefined; wasRepaired: false } {
    this.#house.metrics.expired += 1;
    this.#end();
    return { image: undefined, wasRepaired: false };
  }

  #adoptForeign(loaded: Loaded, known: Contents | undefined): { image: Buffer; wasRepaired: boolean } {
    if (known === undefined) return this.#adoptFirst(loaded);
    const isNew = !isSameRevision(loaded.revision, known.revision);
    if (isNew) this.#noteForeignSave(loaded);
    const repaired = isNew ? this.#findRepairs(known, loaded, startupMs(known.image)) : undefined;
    const isSameAsOurs = isSameButStamp(loaded.image, known.image);
    this.#contents = contentsOf(loaded, isSameAsOurs ? sameToo(known, loaded.revision) : [loaded.revision.mtimeMs]);
    if (repaired === undefined) return { image: loaded.image, wasRepaired: false };
    // With everything put back the contents are the ones we had: who holds those holds these.
    if (isSameButStamp(repaired, known.image)) this.#contents = contentsOf(loaded, known.sameAs);
    return { image: repaired, wasRepaired: true };
  }

  /** Nothing is known of it, unless by the daemon before us, whose last commits a stale save may have undone since. */
  #adoptFirst(loaded: Loaded): { image: Buffer; wasRepaired: boolean } {
    this.#contents = contentsOf(loaded, [loaded.revision.mtimeMs]);
    const inherited = this.#house.inherited.take(this.id, this.#house.steadyMs());
    if (inherited === undefined) return { image: loaded.image, wasRepaired: false };
    this.#writtenMs = Math.min(inherited.writtenMs, this.#house.steadyMs());
    this.#mayBeHeld = true;
    const nowMs = startupMs(loaded.image);
    const ours = applyChange(loaded.image, { delta: inherited.delta, nowMs }).image;
    const repaired = this.#findRepairs({ image: ours, revision: loaded.revision }, loaded, inherited.writtenMs);
    return { image: repaired ?? loaded.image, wasRepaired: repaired !== undefined };
  }

  #findRepairs(ours: Pick<Contents, "image" | "revision">, theirs: Loaded, stampedMs: number): Buffer | undefined {
    return findRepairs(this.#house, { id: this.id, ours, stampedMs, theirs, writtenMs: this.#writtenMs });
  }

  #noteForeignSave({ image }: Loaded): void {
    this.#noteForeigner(this.#house.now());
    this.#house.programs.noteSave(image);
    this.#house.metrics.foreignSaves += 1;
  }

  /** The file, the twin and the memory are empty, and the id stays ended. When it fails, the next look tells how far it came. */
  #end(): void {
    const nowMs = this.#house.now();
    this.#contents = undefined;
    this.#house.journal?.end(this.id, nowMs, () => this.#house.store.remove(this.id));
    this.#house.tombstones.add(this.id, nowMs);
    this.#house.store.remove(this.id);
  }

  // -- turns

  #answerReads(image: Buffer | undefined): void {
    // A repair under way: its readers see it when it is written.
    if (this.#contents !== undefined && image !== this.#contents.image) return;
    const reads = this.#reads;
    this.#reads = [];
    for (const turn of reads) turn.answer(this.#contents === undefined ? ABSENT : stateOf(this.#contents, turn.known));
  }

  /** Takes turns in order until one must see the others written: a lease. */
  #takeTurns(refreshed: { image: Buffer | undefined; wasRepaired: boolean }, nowMs: number): Prepared | undefined {
    const { image, wasRepaired } = refreshed;
    const plan: Plan = { image, turns: [], steps: [], wasRepaired, nowMs };
    if (this.#hasConflict(image)) this.#loseToForeign();
    const lease = this.#lease;
    // A lease that begins or ends is the end of the turn: others may go on.
    while (this.#lease === lease) {
      const turn = this.#nextTurn();
      if (turn === undefined) break;
      if (turn.type === "lease") {
        if (plan.image !== this.#contents?.image || plan.turns.length > 0) break;
        this.#queue.shift();
        this.#grant(turn);
      } else if (turn.type === "end") {
        this.#queue.shift();
        if (!this.#endByTurn(turn, plan)) return undefined;
      } else {
        this.#shiftTurn();
        this.#takeTurn(turn, plan);
      }
    }
    return this.#stage(plan);
  }

  #nextTurn(): Turn | undefined {
    return this.#lease === undefined ? this.#queue[0] : this.#leased[0];
  }

  #shiftTurn(): void {
    if (this.#lease === undefined) this.#queue.shift();
    else this.#leased.shift();
  }

  #takeTurn(turn: CommitTurn | TouchTurn, plan: Plan): void {
    try {
      if (turn.type === "commit") this.#apply(turn, plan);
      else plan.image = this.#touched(plan.image);
      plan.turns.push(turn);
    } catch (error) {
      this.#refuse(turn, storeError(this.id, error));
    }
  }

  /** A commit that was to end its lease ends it, whatever becomes of it: what is left of the lease is nobody's. */
  #refuse(turn: Waiting | Turn, problem: SessionError): void {
    if ("options" in turn) this.#closeReleased(turn.options);
    turn.fail(problem);
  }

  #apply(turn: CommitTurn, plan: Plan): void {
    const { delta, parsed, options } = turn;
    if (options.create === true) this.#checkIsFree(plan.image);
    const { nowMs } = plan;
    const base = options.create === true ? this.#emptyImage(options, nowMs) : plan.image;
    if (base === undefined) throw gone(this.id);
    const { timeoutSeconds, cookiePath, shares } = options;
    const { image, replacements } = applyChange(base, {
      delta,
      parsed,
      nowMs,
      maxBytes: this.#house.config.maxSessionBytes,
      timeoutSeconds,
      cookiePath,
      shares,
      dialect: this.#house.dialect,
    });
    plan.image = image;
    const hasProperties = timeoutSeconds !== undefined || cookiePath !== undefined;
    const after = hasProperties && options.create !== true ? image : undefined;
    plan.steps.push({ base, delta, nowMs, replacements, after });
  }

  #checkIsFree(image: Buffer | undefined): void {
    if (image === undefined && !this.#house.tombstones.has(this.id)) return;
    throw new SessionError("ERR_ID_TAKEN", `The id ${this.id} is or was in use.`);
  }

  #emptyImage(options: CommitOptions, nowMs: number): Buffer {
    const timeoutSeconds = options.timeoutSeconds ?? this.#house.config.timeoutSeconds;
    return newImage({ nowMs, timeoutSeconds });
  }

  /** Whether somebody changed the session under a lease that is about to be used. */
  #hasConflict(image: Buffer | undefined): boolean {
    const lease = this.#lease;
    return lease !== undefined && this.#leased.length > 0 && image !== undefined && !isSameButStamp(lease.image, image);
  }

  /** A transaction is for the contents it saw: it ends, and its worker runs it again on the new ones. */
  #loseToForeign(): void {
    this.#house.metrics.conflicts += 1;
    const what = `Another program saved session ${this.id} during the transaction; nothing of it was written.`;
    for (const turn of this.#leased.splice(0)) turn.fail(new SessionError("ERR_CONFLICT", what));
    this.#closeLease();
  }

  /** A new stamp in place, when nothing else is written anyway. */
  #touched(image: Buffer | undefined): Buffer {
    if (image === undefined) throw gone(this.id);
    const contents = this.#contents;
    if (contents === undefined || image !== contents.image) return image;
    // Several workers may have found the same old stamp: once a second is enough (GAMBAS.md 4.3).
    if (this.#house.now() - startupMs(image) <= TOUCH_AFTER_MS) return image;
    const startup = startupBytes(this.#house.now());
    const revision = this.#house.store.stamp(this.id, startup, contents.revision);
    const stamped = Buffer.allocUnsafeSlow(image.length);
    image.copy(stamped);
    startup.copy(stamped);
    this.#house.metrics.touches += 1;
    // Not in place: then like any other change.
    if (revision === undefined) return stamped;
    const isFleeting = !this.#house.store.tellsRevisions;
    this.#contents = { image: stamped, revision, isFleeting, sameAs: sameToo(contents, revision) };
    return stamped;
  }

  /** False when it has failed, and with it what came before it in this turn. */
  #endByTurn(turn: EndTurn, plan: Omit<Plan, "nowMs">): boolean {
    const before = this.#contents;
    try {
      this.#end();
    } catch (error) {
      for (const failed of [...plan.turns, turn]) failed.fail(storeError(this.id, error));
      return false;
    }
    // What came before the end is in nothing that could be lost: it was carried out, and then the session ended.
    for (const earlier of plan.turns.splice(0)) earlier.answer(before === undefined ? ABSENT : stateOf(before, 0));
    plan.steps.length = 0;
    plan.image = undefined;
    this.#house.metrics.abandons += 1;
    turn.answer();
    return true;
  }

  #stage({ image, turns, steps, wasRepaired }: Plan): Prepared | undefined {
    const contents = this.#contents;
    if (image === undefined || image === contents?.image) {
      for (const turn of turns) {
        if (turn.type === "commit") this.#closeReleased(turn.options);
        if (contents !== undefined) turn.answer(stateOf(contents, turn.base));
      }
      return undefined;
    }
    try {
      const staged = this.#house.store.stage(this.id, image, contents?.revision);
      return { session: this, staged, image, before: contents, turns, steps, wasRepaired };
    } catch (error) {
      if (contents === undefined) this.#leaveNothing();
      this.#contents = undefined;
      const problem = storeError(this.id, error);
      for (const turn of turns) this.#refuse(turn, problem);
      return undefined;
    }
  }

  /** A session that could not be made has a lock file all the same: on a full disk one more with every try. */
  #leaveNothing(): void {
    try {
      if (this.#hasLock && this.#house.store.stat(this.id) === undefined) this.#house.store.remove(this.id);
    } catch (error) {
      this.#house.log.error("discard-failed", { session: this.id, error: String(error) });
    }
  }

  #adoptWritten(prepared: Prepared): void {
    const { before, image, staged } = prepared;
    const { atMs, isAnybodyThere } = this.#house.look();
    for (const step of prepared.steps) noteReplaced(this.#house, printsOf(this.id, step), atMs);
    const isUnchanged = before !== undefined && prepared.wasRepaired && prepared.turns.length === 0;
    const { revision } = staged;
    const sameAs = isUnchanged ? sameToo(before, revision) : [revision.mtimeMs];
    this.#contents = { image, revision, isFleeting: !this.#house.store.tellsRevisions, sameAs };
    this.#writtenMs = atMs;
    this.#mayBeHeld = isAnybodyThere;
    // A repair is not the transaction's work: what it did not see, it must still be told of.
    if (this.#lease !== undefined && prepared.turns.length > 0) this.#lease.image = image;
    this.#house.metrics.writes += 1;
    this.#house.grew(this);
  }

  #answerTurns(prepared: Prepared, contents: Contents, answeredMs: number): void {
    const isAlone = prepared.turns.length === 1 && !prepared.wasRepaired;
    for (const turn of prepared.turns) {
      const isExact =
        isAlone && (turn.type === "commit" && turn.options.create === true ? true : knows(prepared.before, turn.base));
      turn.answer(isExact ? stateOf(contents, contents.revision.mtimeMs) : stateOf(contents, 0));
      if (turn.type === "commit") this.#afterCommit(turn, answeredMs);
    }
    this.#answerReads(contents.image);
  }

  #afterCommit(turn: CommitTurn, answeredMs: number): void {
    this.#house.metrics.commits += 1;
    this.#house.metrics.noteCommit(answeredMs - turn.arrivedMs);
    this.#house.noteApplied(turn.caller.client, turn.sequence);
  }

  // -- leases

  #grant(turn: LeaseTurn): void {
    const contents = this.#contents;
    if (contents === undefined) {
      turn.fail(gone(this.id));
      return;
    }
    const fence = this.#house.fences.next();
    const onDeadline = (): void => this.#loseLease(fence);
    this.#lease = new Lease({
      fence,
      owner: turn.caller.owner,
      image: contents.image,
      leaseMs: turn.leaseMs,
      onDeadline,
    });
    this.#house.waits.noteGranted(this.id, fence, turn.caller.owner);
    this.#house.metrics.leases += 1;
    try {
      turn.answer(fence, stateOf(contents, turn.known));
    } catch (error) {
      // Whoever was not told of it will never end it.
      this.#closeLease();
      turn.fail(error);
    }
  }

  #loseLease(fence: number): void {
    if (this.#lease?.fence !== fence) return;
    this.#house.metrics.leasesLost += 1;
    this.#house.log.warn("lease-lost", { session: this.id, fence });
    this.#endLease();
  }

  /** What was just written is what the next holder is to see, and the lock is still ours. Where others may want it they have their turn. */
  #grantNext(): void {
    const [next, contents] = [this.#queue[0], this.#contents];
    if (this.#lease !== undefined || next?.type !== "lease" || contents === undefined) return;
    const nowMs = this.#house.now();
    if (this.#house.look().isAnybodyThere || this.#gaps?.wasMetLately(nowMs) === true) return;
    if (isExpired(contents.image, nowMs)) return;
    this.#queue.shift();
    this.#grant(next);
  }

  #closeReleased({ fence, release }: CommitOptions): void {
    if (release === true && this.#lease?.fence === fence) this.#closeLease();
  }

  #closeLease(): void {
    this.#lease?.end();
    this.#lease = undefined;
    this.#house.waits.noteEnded(this.id);
    for (const turn of this.#leased.splice(0)) turn.fail(leaseLost(this.id));
  }

  #endLease(): void {
    this.#closeLease();
    if (!this.#isWriting) this.#unlock();
    if (this.#hasWork) this.#house.schedule(this);
  }

  // -- failures

  /** Another program saved between our look and our step: its save stands, and our turns come again. */
  #tryAgain(prepared: Prepared): void {
    this.#cancelMarks(prepared);
    this.#isWriting = false;
    this.#contents = prepared.before;
    this.#mustLook = true;
    const commits = prepared.turns.filter((turn) => turn.type === "commit" && turn.options.fence !== undefined);
    const others = prepared.turns.filter((turn) => !commits.includes(turn));
    this.#queue.unshift(...others);
    // Its lease may be over by now: while the disk worked, say.
    for (const turn of commits.reverse() as CommitTurn[]) {
      if (turn.options.fence === this.#lease?.fence) this.#leased.unshift(turn);
      else turn.fail(leaseLost(this.id));
    }
    this.#finishTurn();
  }

  #undo(prepared: Prepared, error: unknown): void {
    this.#cancelMarks(prepared);
    this.#isWriting = false;
    this.#contents = undefined;
    if (prepared.before === undefined) this.#leaveNothing();
    const problem = storeError(this.id, error);
    if (prepared.turns.length === 0) this.#house.log.error("repair-failed", { session: this.id, error: String(error) });
    for (const turn of prepared.turns) this.#refuse(turn, problem);
    this.#finishTurn();
  }

  #cancelMarks(prepared: Prepared): void {
    for (const turn of prepared.turns) {
      if (turn.type === "commit") this.#house.journal?.noteCancelled(markOf(this.id, turn), prepared.staged.revision);
    }
  }

  /** @param mayEnd the lock is ours: ending a session needs no file that can be read. */
  #failEverything(error: unknown, mayEnd: boolean): void {
    this.#contents = undefined;
    const problem = storeError(this.id, error);
    const waiting: Waiting[] = [...this.#reads.splice(0), ...this.#leased.splice(0)];
    const queue = this.#queue.splice(0);
    for (const turn of queue) if (turn.type !== "end" || !mayEnd) waiting.push(turn);
    for (const turn of waiting) this.#refuse(turn, problem);
    if (!mayEnd) return;
    for (const turn of queue)
      if (turn.type === "end") this.#endByTurn(turn, { image: undefined, turns: [], steps: [], wasRepaired: false });
  }
}

/** Asks for a look at the file on nobody's behalf: for what looking at a session does to it. */
export const nobodyReads: ReadTurn = {
  caller: { owner: {}, client: "" },
  known: 0,
  answer: () => undefined,
  fail: () => undefined,
};

export function markOf(id: string, turn: CommitTurn): { id: string; client: string; sequence: number } {
  return { id, client: turn.caller.client, sequence: turn.sequence };
}

function gone(id: string): SessionError {
  return new SessionError("ERR_SESSION_GONE", `Session ${id} is gone; nothing was written.`);
}

function leaseLost(id: string): SessionError {
  return new SessionError("ERR_LEASE_LOST", `The lease on session ${id} is over; nothing was written.`);
}

export function storeError(id: string, error: unknown): SessionError {
  if (error instanceof SessionError) return error;
  const reason = error instanceof Error ? error.message : String(error);
  return new SessionError("ERR_STORE", `Session ${id} could not be read or written: ${reason}.`, {
    cause: error,
  });
}

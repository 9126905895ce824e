// One request's session: the contents it began with, what it changed, and what was handed out live. Two requests never share one.
//
// Keys live in one of three places: `#changes` (set or deleted since the last save), `#live` (objects handed out from the contents, which
// may have been changed in place), or only in `#contents`. A save sends `#changes` and those of `#live` that are not what they were.

import { randomBytes } from "node:crypto";
import { SessionError } from "../../protocol/errors.ts";
import { COOKIE_PATH_KEY, decodeAll, typeOf } from "../../protocol/image/image.ts";
import { TOUCH_AFTER_MS } from "../../protocol/places.ts";
import { checkPrefix, ID_RANDOM_BYTES, makeSessionId } from "../../protocol/session-id.ts";
import { decodeValue, encodeValue, isGambasObject, type Origins, typeOfValue } from "../../protocol/value/value.ts";
import { type Contents, Original, SHARED } from "../copies/contents.ts";
import type { Client } from "../link/client.ts";
import { checkCookiePath, checkedLeaseMs, DEFAULTS, type HandleOptions } from "../options.ts";
import { checkKey, isShown } from "./keys.ts";
import { noteLate, watch } from "./late-changes.ts";
import { encodeNext, LiveObjects, objectsIn } from "./live-objects.ts";
import { carryOn, isPassing, waitForItself } from "./scope.ts";
import { type Changed, collect, NO_CHANGES, NONE_LIVE, type Remembered, type Unsaved } from "./unsaved.ts";

export type { HandleOptions } from "../options.ts";

/** A session that has ended: for the cookie that must be removed. */
export interface Ended {
  readonly id: string;
  readonly cookiePath: string;
}

const NO_PROPERTIES: Unsaved["properties"] = {};
const NONE_ENDED: readonly Ended[] = [];
const NOTHING_PENDING: Promise<unknown> = Promise.resolve();

const A_TRANSACTION = "the transaction";

export class Handle {
  readonly #client: Client;
  readonly #options: HandleOptions;
  #problem: Error | undefined;
  #id: string | null;
  #contents: Contents | undefined;
  #changes: Map<string, Changed> = NO_CHANGES;
  /** What the last save sent, until it is known to be saved. */
  #askedFor: ReadonlyMap<string, unknown> = NO_CHANGES;
  /** Undefined as long as none was handed out. */
  #objects: LiveObjects | undefined;
  #unreadable: Map<string, Error> | undefined;
  #timeout: number | undefined;
  #cookiePath: string | undefined;
  #prefix: string | undefined;
  #isUnique: boolean | undefined;
  #isUniqueDue = false;
  #isForced = false;
  /** Calls of this handle that change the session run one after the other. */
  #turn: Promise<unknown> = NOTHING_PENDING;
  #waiting = 0;
  /** Inside a transaction, whose end commits: gives its lease back. */
  #endLease: (() => Promise<void>) | undefined;
  /** Why nothing of this transaction will ever be saved. */
  #lost: Error | undefined;
  /** What has ended, and was to save what is changed; undefined as long as it will. */
  #over: string | undefined;
  /** What was told of all that was changed after that. */
  #told: Set<string> | undefined;
  #wasUsed = false;
  #wasCreated = false;
  /** Where the browser has the cookie, once this request has chosen another path. */
  #cookieHome: string | undefined;
  #ended: readonly Ended[] = NONE_ENDED;

  /** Without contents and without a problem there is no such session, whatever `id` says. */
  constructor(
    client: Client,
    opened: {
      readonly id: string | null;
      readonly contents?: Contents | undefined;
      readonly problem?: Error | undefined;
    },
    options: HandleOptions,
  ) {
    this.#client = client;
    this.#id = opened.contents === undefined && opened.problem === undefined ? null : opened.id;
    this.#contents = opened.contents;
    this.#problem = opened.problem;
    this.#options = options;
  }

  // -- what the session is

  /** null as long as there is no session. */
  get id(): string | null {
    this.#use();
    return this.#id;
  }

  get keys(): string[] {
    this.#use();
    if (this.#changes.size === 0) return this.#contents?.shownKeys.slice() ?? [];
    const keys = new Set(this.#contents?.keys);
    for (const [key, change] of this.#changes) {
      if (change.bytes === undefined || change.removal !== undefined) keys.delete(key);
      if (change.bytes !== undefined) keys.add(key);
    }
    return [...keys].filter(isShown);
  }

  /** Path of the session's file, whether it is there yet or not; null as long as there is no session, and where sessions are in no files. */
  get path(): string | null {
    this.#use();
    const { directory } = this.#client;
    return this.#id === null || directory === "" ? null : `${directory}/${this.#id}`;
  }

  /** Bytes of the file as last saved. */
  get size(): number {
    this.#use();
    return this.#contents?.revision.size ?? 0;
  }

  get timeout(): number {
    this.#use();
    if (this.#timeout !== undefined) return this.#timeout;
    return this.#contents?.timeoutSeconds ?? this.#options.timeoutSeconds ?? DEFAULTS.timeout;
  }

  /** Seconds. 0 or less: the session ends at the next look. */
  set timeout(seconds: number) {
    this.#use();
    if (typeof seconds !== "number" || Number.isNaN(seconds)) {
      throw new SessionError("ERR_BAD_OPTION", `Session.Timeout is a number of seconds, not ${String(seconds)}.`);
    }
    this.#timeout = seconds;
    this.#noteLate();
  }

  get cookiePath(): string {
    this.#use();
    return this.#cookiePath ?? this.#contents?.cookiePath ?? this.#options.cookiePath ?? "";
  }

  set cookiePath(path: string) {
    this.#use();
    checkCookiePath(path);
    if (this.#contents !== undefined) this.#cookieHome ??= this.effectiveCookiePath;
    this.#cookiePath = path;
    this.#noteLate();
  }

  get prefix(): string {
    // Empty stands for the default, as in Gambas.
    return this.#prefix || this.#options.prefix || "";
  }

  set prefix(prefix: string) {
    this.#prefix = checkPrefix(prefix);
  }

  get isUnique(): boolean {
    return this.#isUnique ?? this.#options.isUnique ?? false;
  }

  /** Set on an existing session it ends the others of the prefix with the next save, as Gambas does. */
  set isUnique(isUnique: boolean) {
    this.#use();
    this.#isUnique = isUnique;
    this.#isUniqueDue = isUnique && this.#id !== null;
    this.#noteLate();
  }

  /** Something is not saved yet. */
  get isModified(): boolean {
    this.#use();
    return this.#id !== null && (this.#hasPlainChanges || this.#hasChangedObjects());
  }

  /** false drops what is not saved; true saves with the next save, changed or not. */
  set isModified(isModified: boolean) {
    this.#use();
    if (isModified) this.#isForced = true;
    else this.#dropChanges();
    this.#noteLate();
  }

  // -- values

  has(key: string): boolean {
    this.#use();
    const change = this.#changes.size === 0 ? undefined : this.#changes.get(key);
    if (change !== undefined) return change.bytes !== undefined;
    return this.#contents?.has(key) === true;
  }

  /** undefined for a key that is not there. Throws ERR_UNREADABLE for a value that cannot be shown. */
  get(key: string): unknown {
    this.#use();
    // Nothing is looked up where nothing can be found.
    const change = this.#changes.size === 0 ? undefined : this.#changes.get(key);
    if (change !== undefined) return change.value;
    const live = this.#objects?.live.get(key);
    if (live !== undefined) return live.value;
    return this.#contents === undefined ? undefined : this.#decode(this.#contents, key);
  }

  /** null and undefined remove the key. Throws ERR_BAD_VALUE, naming the place, and ERR_BAD_KEY; nothing is changed then. */
  set(key: string, value: unknown): void {
    this.#use();
    checkKey(key);
    if (value === null || value === undefined) {
      this.delete(key);
      return;
    }
    const before = this.#changes.get(key);
    // What was removed and is set again is a new key.
    const isNewAgain = before !== undefined && before.bytes === undefined;
    const previous = before === undefined ? this.#contents?.stored(key) : before.bytes;
    const at = previous === undefined ? undefined : { bytes: previous, at: 0 };
    const encoded = encodeValue(value, key, at, this.#objects?.origins);
    // Only what every other worker will see may be seen here: a Map, say, is a plain object from now on.
    const seen = encoded.isCanonical ? value : decodeValue(encoded.bytes, 0, this.#rememberOrigins());
    if (this.#id === null) this.#create();
    this.#objects?.delete(key);
    if (isNewAgain) this.#changes.delete(key);
    this.#change(key, { bytes: encoded.bytes, value: seen, removal: isNewAgain ? {} : before?.removal });
  }

  delete(key: string): boolean {
    this.#use();
    checkKey(key);
    if (!this.has(key)) return false;
    this.#objects?.delete(key);
    // A save that is under way, or failed nobody knows how, may have put it there.
    const mayBeStored = this.#contents?.has(key) === true || this.#askedFor.has(key);
    if (mayBeStored) this.#change(key, { bytes: undefined, value: undefined });
    else this.#changes.delete(key);
    return true;
  }

  /** The exact Gambas type of a value, or undefined. */
  typeOf(key: string): string | undefined {
    this.#use();
    const change = this.#changes.get(key);
    const live = this.#objects?.live.get(key);
    if (change !== undefined) return change.bytes && this.#typeNow(key, change.value, change.bytes);
    if (live !== undefined) return this.#typeNow(key, live.value, live.baseline);
    return this.#contents && typeOf(this.#contents.image, this.#contents.layout, key);
  }

  // -- saving, loading, ending

  /** Resolves when everything changed so far is in the file. Rejects with ERR_SESSION_GONE when the session has ended. */
  save(): Promise<void> {
    this.#use();
    if (this.#lost !== undefined) return Promise.reject(this.#lost);
    // What a transaction changed is committed as one, at its end.
    if (this.#endLease !== undefined) return Promise.resolve();
    return this.#inTurn(() => this.#commit());
  }

  /** Reads the newest contents and drops what was not saved. */
  load(): Promise<void> {
    this.#use();
    return this.#inTurn(async () => {
      const id = this.#id;
      if (id === null) return;
      const contents = await this.#client.load(id);
      // Abandoned meanwhile: what was read is nobody's.
      if (this.#id !== id) return;
      this.#dropChanges();
      if (contents === undefined) {
        this.#noteEnded();
        this.#objects = undefined;
      }
      this.#contents = contents;
    });
  }

  /** Ends the session, readable or not. Afterwards there is none; the next `set` begins another one. */
  abandon(): Promise<void> {
    this.#wasUsed = true;
    const id = this.#id;
    if (id === null) return Promise.resolve();
    // One whose first save is under way is as good as saved.
    const isSaved = !this.#isUnsaved || this.#waiting > 0;
    const endLease = this.#endLease;
    this.#noteEnded();
    this.#dropChanges();
    this.#objects = undefined;
    this.#contents = undefined;
    return this.#inTurn(async () => {
      await endLease?.();
      if (isSaved) await this.#client.end(id);
    });
  }

  /** Renews the time stamp if the session was used, and not within the last second. */
  touch(): Promise<void> | undefined {
    const [id, contents] = [this.#id, this.#contents];
    if (!this.#wasUsed || id === null || contents === undefined) return undefined;
    if (Date.now() - contents.startupMs <= TOUCH_AFTER_MS) return undefined;
    return this.#client.touch(id, contents).then(
      () => undefined,
      // Whoever only read it has nothing to lose: where it waits for who waits for it, the next use renews the stamp.
      (error: unknown) => {
        if (!isGone(error) && !isDeadlock(error)) throw error;
      },
    );
  }

  /**
   * Runs `fn` alone on this session across all workers, on the newest contents, with a handle of its own, and resolves once what it
   * changed is committed. An error in `fn` commits nothing. Runs `fn` again when a Gambas program saved meanwhile or the daemon was replaced.
   *
   * @throws SessionError ERR_LEASE_LOST when `fn` took longer than its lease, ERR_CONFLICT, ERR_SESSION_GONE.
   */
  transaction<T>(fn: (session: Handle) => T | Promise<T>, options: { readonly leaseMs?: number } = {}): Promise<T> {
    this.#use();
    if (this.#lost !== undefined) return Promise.reject(this.#lost);
    // Already alone: the outer transaction commits, unless this part of it fails.
    if (this.#endLease !== undefined) return this.attempt(async () => fn(this));
    const leaseMs = checkedLeaseMs(options.leaseMs);
    return this.#inTurn(() => this.#transact(fn, leaseMs));
  }

  // -- for the transactions of a worker

  /** Nobody waits for this transaction any longer, whatever its function still does. Returns the reason. */
  loseTransaction(reason: Error): Error {
    this.#lost = reason;
    return reason;
  }

  beginTransaction(endLease: () => Promise<void>): void {
    this.#endLease = endLease;
  }

  /** Waits for what was begun inside and not awaited, if there is something. */
  finishTransaction(): Promise<void> | undefined {
    if (this.#waiting > 0) return this.#turn.then(() => this.finishTransaction());
    this.#endLease = undefined;
    return undefined;
  }

  /** What a session that begins inside takes over, besides prefix, cookie path and uniqueness: so this handle is the inner one's options. */
  get timeoutSeconds(): number {
    return this.timeout;
  }

  mayCreate(): void {
    this.#options.mayCreate?.();
  }

  get request(): string | undefined {
    return this.#options.request;
  }

  /** Goes on with what a transaction on session `id` has left, unless that was abandoned outside of it meanwhile. */
  adopt(id: string, inner: Handle): void {
    if (this.#id === id) this.#adoptFrom(inner);
  }

  /** What a transaction that failed has handed out belongs to nothing, but a change of it is told. */
  adoptStrays(inner: Handle): void {
    if (inner.#objects !== undefined || inner.#changes.size > 0) {
      this.#madeObjects().adoptStrays(inner.#objects, inner.#changes);
    }
    inner.endInVain(A_TRANSACTION);
    inner.#objects = undefined;
  }

  /** Session `id` has ended elsewhere. */
  noteGone(id: string): void {
    this.#lose(id);
  }

  /** What is not saved; undefined when everything is. */
  unsaved(): Unsaved | undefined {
    if (this.#id === null) return undefined;
    this.#objects?.recall((key) => this.#contents?.stored(key), this.#changes);
    const { entries, moved, shares } = collect(this.#objects?.live ?? NONE_LIVE, this.#changes, (...what) =>
      this.#encode(...what),
    );
    if (entries.size === 0 && !this.#hasPlainChanges) return undefined;
    const isNew = this.#contents === undefined;
    const isUnique = isNew ? this.isUnique : this.#isUniqueDue;
    const isApart = shares.length > 0 || isUnique;
    return {
      entries,
      moved,
      shares,
      isUnique,
      isApart,
      properties: this.#propertiesToSend(isNew),
      changes: new Map(this.#changes),
    };
  }

  /** `unsaved` is in `contents` now. What was changed since then still is not. */
  noteSaved(contents: Contents, unsaved: Unsaved | undefined): void {
    this.#contents = contents;
    this.#askedFor = NO_CHANGES;
    this.#unreadable = undefined;
    if (unsaved === undefined) return;
    this.#forgetSaved(unsaved);
    const { timeoutSeconds, cookiePath } = unsaved.properties;
    if (this.#timeout === timeoutSeconds) this.#timeout = undefined;
    if (this.#cookiePath === cookiePath) this.#cookiePath = undefined;
  }

  /** Runs `fn`; if it fails, everything is as it was before, and the error goes on. */
  async attempt<T>(fn: () => Promise<T>): Promise<T> {
    const before = this.#remember();
    try {
      return await fn();
    } catch (error) {
      this.#restore(before);
      throw error;
    }
  }

  // -- for whoever saves what is changed at its own end

  /** `what` is over: from now on a change that is not saved by hand is told. */
  end(what: string): void {
    this.#over = what;
    if (this.#hasPlainChanges) this.#noteLate();
    if (this.#objects?.isEmpty === false) watch(this);
  }

  /** The same where what is not saved by now was told of. */
  endInVain(what: string): void {
    this.#dropChanges();
    this.end(what);
  }

  get endedAs(): string {
    return `${this.#over} (${this.request ?? `session ${this.#id}`})`;
  }

  takeUnsaved(): readonly string[] {
    if (this.#id === null || this.#lost !== undefined) return [];
    const names = [...this.#changes.keys(), ...(this.#objects?.changedKeys() ?? [])].filter(isShown);
    if (this.#timeout !== undefined) names.push("Timeout");
    if (this.#cookiePath !== undefined) names.push("CookiePath");
    if (this.#isUniqueDue) names.push("Unique");
    if (this.#isForced) names.push("Modified");
    this.#told ??= new Set();
    const { size } = this.#told;
    for (const name of names) this.#told.add(name);
    return [...this.#told].slice(size);
  }

  // -- for the middleware

  get wasUsed(): boolean {
    return this.#wasUsed;
  }

  /** Something must be awaited before the response may say it is done. */
  get isBusy(): boolean {
    return this.#waiting > 0;
  }

  /** Saves what is changed and waits for what is under way. */
  async settle(): Promise<void> {
    do {
      if (this.#waiting > 0) await this.#turn;
      if (this.#problem === undefined) await this.#inTurn(() => this.#commit());
    } while (this.#waiting > 0);
  }

  /** Whether the browser must be told of a new id or path. */
  get needsCookie(): boolean {
    return this.#id !== null && (this.#wasCreated || this.cookieMovedFrom !== undefined);
  }

  /** The path the browser has the cookie under, if that is no longer the right one. */
  get cookieMovedFrom(): string | undefined {
    const hasMoved = this.#cookieHome !== undefined && this.#cookieHome !== this.effectiveCookiePath;
    return hasMoved && !this.#wasCreated ? this.#cookieHome : undefined;
  }

  get ended(): readonly Ended[] {
    return this.#ended;
  }

  /** The path the cookie of this session belongs to. */
  get effectiveCookiePath(): string {
    return this.cookiePath || this.#storedCookiePath() || DEFAULTS.cookiePath;
  }

  // -- below: how

  #use(): void {
    this.#wasUsed = true;
    if (this.#problem !== undefined) throw this.#problem;
  }

  #create(): void {
    this.#options.mayCreate?.();
    this.#id = makeSessionId(this.prefix, randomBytes(ID_RANDOM_BYTES));
    this.#wasCreated = true;
    const path = this.effectiveCookiePath;
    this.#change(COOKIE_PATH_KEY, { bytes: encodeValue(path, COOKIE_PATH_KEY).bytes, value: path });
  }

  #storedCookiePath(): string {
    const stored = this.#contents?.stored(COOKIE_PATH_KEY);
    const path = stored === undefined ? "" : decodeValue(stored, 0);
    return typeof path === "string" ? path : "";
  }

  #decode(contents: Contents, key: string): unknown {
    const value = contents.value(key);
    if (value === SHARED) return this.#decodeShared(contents, key);
    return value instanceof Original ? this.#copy(value, key) : value;
  }

  #copy(original: Original, key: string): unknown {
    const value = original.copy(this.#rememberOrigins());
    this.#madeObjects().keep(key, { value, baseline: original.bytes });
    return value;
  }

  /** Objects may be shared between keys: all are decoded together, once. */
  #decodeShared(contents: Contents, key: string): unknown {
    if (this.#unreadable === undefined) {
      this.#unreadable = new Map();
      const objects = this.#madeObjects();
      for (const [name, entry] of decodeAll(contents.image, contents.layout, this.#rememberOrigins())) {
        if (entry.error !== undefined) this.#unreadable.set(name, entry.error);
        else if (!this.#changes.has(name) && !objects.live.has(name)) objects.keep(name, entry);
      }
    }
    const problem = this.#unreadable.get(key);
    if (problem !== undefined) throw problem;
    return this.#objects?.live.get(key)?.value;
  }

  #change(key: string, change: Changed): void {
    if (this.#changes === NO_CHANGES) this.#changes = new Map();
    this.#changes.set(key, change);
    this.#noteLate();
  }

  #noteLate(): void {
    if (this.#over !== undefined) noteLate(this);
  }

  #madeObjects(): LiveObjects {
    this.#objects ??= new LiveObjects();
    if (this.#over !== undefined) watch(this);
    return this.#objects;
  }

  #rememberOrigins(): Origins {
    return this.#madeObjects().rememberOrigins();
  }

  #encode(
    key: string,
    value: unknown,
    previous: Buffer,
    origins = this.#objects?.origins,
  ): ReturnType<typeof encodeValue> {
    return encodeNext(key, value, previous, origins);
  }

  /** Only an object may have become something else since it had these bytes. */
  #typeNow(key: string, value: unknown, bytes: Buffer): string {
    return typeOfValue(isGambasObject(value) ? this.#encode(key, value, bytes).bytes : bytes, 0);
  }

  get #hasPlainChanges(): boolean {
    const { size } = this.#changes;
    return (
      size > 0 || this.#timeout !== undefined || this.#cookiePath !== undefined || this.#isForced || this.#isUniqueDue
    );
  }

  #hasChangedObjects(): boolean {
    return this.#objects?.hasChanged() === true;
  }

  #dropChanges(): void {
    if (this.#objects !== undefined || this.#changes.size > 0) this.#madeObjects().dropAll(this.#changes);
    this.#changes = NO_CHANGES;
    this.#askedFor = NO_CHANGES;
    this.#unreadable = undefined;
    this.#timeout = undefined;
    this.#cookiePath = undefined;
    this.#isForced = false;
    this.#isUniqueDue = false;
    // A session that was never saved, nor is being saved, does not exist without its changes.
    if (this.#contents === undefined && this.#wasCreated && this.#waiting === 0) {
      this.#id = null;
      this.#wasCreated = false;
    }
  }

  /** Nothing of it is in the file, as far as this handle knows. */
  get #isUnsaved(): boolean {
    return this.#contents === undefined && this.#problem === undefined;
  }

  #remember(): Remembered {
    const objects = new Map<string, Buffer>();
    const remember = (key: string, value: unknown, previous: Buffer | undefined): void => {
      if (previous === undefined || !isGambasObject(value)) return;
      objects.set(key, Buffer.from(this.#encode(key, value, previous).bytes));
    };
    for (const [key, { value, baseline }] of this.#objects?.live ?? NONE_LIVE) remember(key, value, baseline);
    for (const [key, { value, bytes }] of this.#changes) remember(key, value, bytes);
    return {
      objects,
      id: this.#id,
      wasCreated: this.#wasCreated,
      changes: new Map(this.#changes),
      live: new Map(this.#objects?.live),
      timeout: this.#timeout,
      cookiePath: this.#cookiePath,
      isForced: this.#isForced,
      isUniqueDue: this.#isUniqueDue,
    };
  }

  /** Objects that were not changed stay the ones that were handed out. */
  #restore(before: Remembered): void {
    // What was ended stays ended.
    if (before.id !== null && before.id !== this.#id) return;
    const objects = this.#madeObjects();
    const out = [...objects.live, ...objectsIn(this.#changes)];
    this.#id = before.id;
    this.#wasCreated = before.wasCreated;
    this.#changes = new Map(before.changes);
    objects.restore(before.live);
    this.#timeout = before.timeout;
    this.#cookiePath = before.cookiePath;
    this.#isForced = before.isForced;
    this.#isUniqueDue = before.isUniqueDue;
    for (const [key, bytes] of before.objects) {
      const { value, origins } = this.#shown(key) ?? {};
      if (!objects.isChangedOrLost(key, { value, baseline: bytes, origins })) continue;
      objects.delete(key);
      this.#change(key, { ...this.#changes.get(key), bytes, value: decodeValue(bytes, 0, this.#rememberOrigins()) });
    }
    for (const [key, live] of out) if (this.#shown(key)?.value !== live.value) objects.stray(key, live);
  }

  /** What was handed out for a key, or set. */
  #shown(key: string): { readonly value: unknown; readonly origins?: Origins | undefined } | undefined {
    return this.#changes.get(key) ?? this.#objects?.live.get(key);
  }

  #noteEnded(): void {
    const isUnsaved = this.#isUnsaved;
    this.#problem = undefined;
    if (this.#id !== null && !isUnsaved) {
      const cookiePath = this.#cookieHome ?? this.effectiveCookiePath;
      this.#ended = [...this.#ended, { id: this.#id, cookiePath }];
    }
    this.#cookieHome = undefined;
    this.#id = null;
    this.#wasCreated = false;
  }

  #inTurn<T>(action: () => Promise<T>): Promise<T> {
    if (isPassing()) return carryOn(() => this.#inTurn(action));
    // Inside of its own transaction it would wait for itself.
    const deadlock = this.#waiting > 0 ? waitForItself(this, this.#id) : undefined;
    if (deadlock !== undefined) return Promise.reject(deadlock);
    // Nothing to wait for: no turn of the event loop is lost.
    const result = this.#waiting === 0 ? action() : this.#turn.then(action);
    this.#waiting += 1;
    const end = (): void => {
      this.#waiting -= 1;
    };
    this.#turn = result.then(end, end);
    return result;
  }

  async #commit(): Promise<void> {
    const id = this.#id;
    const unsaved = this.unsaved();
    if (id === null || unsaved === undefined) return;
    const { entries, moved, shares, isUnique, properties } = unsaved;
    const [base, isNew] = [this.#contents, this.#contents === undefined];
    this.#askedFor = entries;
    try {
      const contents = await this.#client.apply({
        id,
        base,
        entries,
        moved,
        isNew,
        isUnique,
        shares,
        ...properties,
      });
      if (this.#id !== id) return;
      if (contents === undefined) throw new SessionError("ERR_SESSION_GONE", `Session ${id} is gone.`);
      this.noteSaved(contents, unsaved);
    } catch (error) {
      if (isGone(error)) this.#lose(id);
      throw error;
    }
  }

  #propertiesToSend(isNew: boolean): { timeoutSeconds?: number; cookiePath?: string } {
    const timeoutSeconds = this.#timeout ?? (isNew ? this.timeout : undefined);
    const cookiePath = this.#cookiePath ?? (isNew && this.cookiePath !== "" ? this.cookiePath : undefined);
    if (timeoutSeconds === undefined && cookiePath === undefined) return NO_PROPERTIES;
    return {
      ...(timeoutSeconds === undefined ? {} : { timeoutSeconds }),
      ...(cookiePath === undefined ? {} : { cookiePath }),
    };
  }

  /** What was sent is saved now, unless it was changed again meanwhile. Objects stay live. */
  #forgetSaved(unsaved: Unsaved): void {
    for (const [key, bytes] of unsaved.entries) {
      const [change, sent, live] = [this.#changes.get(key), unsaved.changes.get(key), this.#objects?.live.get(key)];
      if (change !== undefined && change === sent) {
        this.#changes.delete(key);
        if (bytes !== undefined && isGambasObject(change.value))
          this.#madeObjects().keep(key, { value: change.value, baseline: bytes });
      } else if (live !== undefined && bytes !== undefined) {
        this.#madeObjects().keep(key, { ...live, baseline: bytes });
      } else if (change?.removal !== undefined && change.removal === sent?.removal) {
        // Moved already: where it is now it stays.
        this.#change(key, { ...change, removal: undefined });
      }
    }
    this.#isForced = false;
    if (unsaved.isUnique) this.#isUniqueDue = false;
  }

  /** The session ended elsewhere: nothing of ours is to be sent again. */
  #lose(id: string): void {
    if (this.#id !== id) return;
    this.#noteEnded();
    this.#contents = undefined;
    this.#dropChanges();
    this.#objects = undefined;
  }

  /** No promise but the one that is returned, where nothing must be saved first. */
  #transact<T>(fn: (session: Handle) => T | Promise<T>, leaseMs: number): Promise<T> {
    const id = this.#id;
    if (id === null) return this.#withoutSession(fn);
    const run = (): Promise<T> => this.#client.transactions.run({ id, fn, leaseMs, outer: this });
    const mayBeChanged = this.#hasPlainChanges || this.#objects?.isEmpty === false;
    return mayBeChanged ? this.#commit().then(run) : run();
  }

  /** No session yet, so nobody else can have it: `fn` runs, and what it set becomes the session. */
  async #withoutSession<T>(fn: (session: Handle) => T | Promise<T>): Promise<T> {
    const inner = new Handle(this.#client, { id: null }, this);
    inner.beginTransaction(() => Promise.resolve());
    const value = await fn(inner);
    await inner.finishTransaction();
    if (inner.#id === null) return value;
    await inner.#commit();
    this.#adoptFrom(inner);
    return value;
  }

  /** What the transaction left is what this request goes on with. */
  #adoptFrom(inner: Handle): void {
    if (inner.#ended.length > 0) this.#ended = [...this.#ended, ...inner.#ended];
    this.#wasCreated ||= inner.#wasCreated;
    this.#cookieHome ??= inner.#cookieHome;
    this.#id = inner.#id;
    this.#contents = inner.#contents;
    this.#unreadable = undefined;
    for (const [key, change] of inner.#changes) this.#change(key, change);
    if (this.#objects !== undefined || inner.#objects !== undefined)
      this.#madeObjects().adopt(inner.#objects, (key) => this.#contents?.stored(key), this.#changes);
    // They are this one's now.
    inner.#objects = undefined;
    inner.#changes = NO_CHANGES;
    inner.end(A_TRANSACTION);
  }
}

function isDeadlock(error: unknown): boolean {
  return error instanceof SessionError && error.code === "ERR_DEADLOCK";
}

function isGone(error: unknown): boolean {
  return error instanceof SessionError && error.code === "ERR_SESSION_GONE";
}

// The session of one request, with everything on top that is not saved yet: keys and objects in `edits.ts`, the rest in `properties.ts`.
// Everything here happens at once. Knows no client, no turns, and not who saves.
//
//   NONE        no session, `id` is null                     --set-->                     NEW
//   NEW         an id and changes, nothing in the file       --committed-->               SAVED
//   NEW         nothing is being saved                       --Modified = false-->        NONE
//   SAVED       contents of a revision of the file           --commit, Load-->            SAVED
//   SAVED       somebody else has ended the session          --commit refused, Load-->    NONE  (`ended` names it)
//   UNREADABLE  there is a session that cannot be read       --Abandon-->                 NONE  (`ended` names it)
//   SAVED, NEW  `renew`, and a commit                        --committed-->               SAVED, under another id (`ended` names the old one)
//   any         the request ends it                          --Abandon-->                 NONE  (`ended` names it, but not a NEW one)
//
// The state is nowhere a field: SAVED is to have contents, UNREADABLE to have a problem, NEW to have an id and neither.

import { randomBytes } from "node:crypto";
import { isCode, SessionError } from "../../protocol/errors.ts";
import { COOKIE_PATH_KEY, expiryOf } from "../../protocol/image/image.ts";
import { checkPrefix, ID_RANDOM_BYTES, makeSessionId, prefixOf } from "../../protocol/session-id.ts";
import { encodeValue } from "../../protocol/value/value.ts";
import type { CookieMaxAge } from "../api.ts";
import type { Contents } from "../copies/cache.ts";
import { checkCookiePath, checkMaxAge, checkTimeout, DEFAULTS } from "../options.ts";
import { checkKey, Edits, type RememberedEdits } from "./edits.ts";
import { noteLate, type Watched } from "./late-changes.ts";
import {
  type Birthplace,
  type Chosen,
  type CookieState,
  choose,
  chosenAfter,
  chosenNames,
  chosenSince,
  type Ended,
  Inherited,
  NOTHING_CHOSEN,
  type Opened,
  propertiesOf,
  type Remembered,
  secondsOf,
  storedCookiePath,
  storedMaxAge,
  withMaxAge,
} from "./properties.ts";
import type { Unsaved } from "./unsaved.ts";

const NONE_ENDED: readonly Ended[] = [];

export class Draft implements CookieState {
  readonly #birthplace: Birthplace;
  readonly #edits = new Edits();
  #problem: Error | undefined;
  #id: string | null;
  #contents: Contents | undefined;
  #chosen: Chosen = NOTHING_CHOSEN;
  #prefix: string | undefined;
  #isUnique: boolean | undefined;
  /** This request has begun the session. */
  #wasCreated = false;
  /** The id under which the session goes on with its next commit; undefined: it keeps its id. */
  successor: string | undefined;
  /** The id of the last session that has ended here: no other one gets it. */
  #formerId: string | undefined;
  /** Where the browser has the cookie, once this request has chosen another path. */
  #cookieHome: string | undefined;
  /** How long the browser keeps the cookie, once this request has chosen otherwise. */
  #maxAgeBefore: CookieMaxAge | null | undefined;
  #ended: readonly Ended[] = NONE_ENDED;
  /** The handle that is told of changes now, because nobody will save them; undefined as long as somebody will. */
  #late: Watched | undefined;

  constructor({ id, contents, problem }: Opened, birthplace: Birthplace) {
    this.#id = contents === undefined && problem === undefined ? null : id;
    this.#contents = contents;
    this.#problem = problem;
    this.#birthplace = birthplace;
  }

  get id(): string | null {
    return this.#id;
  }

  get contents(): Contents | undefined {
    return this.#contents;
  }

  get problem(): Error | undefined {
    return this.#problem;
  }

  /** Nothing of the session is in the file, as far as this request knows. */
  get isUnsaved(): boolean {
    return this.#contents === undefined && this.#problem === undefined;
  }

  /** The id that a session which begins here is to have. */
  get givenId(): string | undefined {
    return this.#birthplace.id === this.#formerId ? undefined : this.#birthplace.id;
  }

  /** @throws SessionError ERR_HEADERS_SENT where no cookie can be sent any more. */
  checkMayRenew(): void {
    try {
      this.#birthplace.mayCreate?.();
    } catch (cause) {
      const what = "A session cannot get another id where its cookie would not reach the browser.";
      throw isCode(cause, "ERR_HEADERS_SENT") ? new SessionError(cause.code, what, { cause }) : cause;
    }
  }

  /** With the next commit the session goes on under another id. */
  renew(): void {
    if (this.#id !== null) this.successor = makeSessionId(prefixOf(this.#id), randomBytes(ID_RANDOM_BYTES));
  }

  // -- properties

  get lastUsed(): Date | null {
    return this.#contents === undefined ? null : expiryOf(this.#contents.startupMs, 0);
  }

  get expires(): Date | null {
    return this.#contents === undefined ? null : expiryOf(this.#contents.startupMs, this.timeout);
  }

  get timeout(): number {
    const chosen = this.#chosen.timeoutSeconds ?? this.#contents?.timeoutSeconds;
    return chosen ?? this.#birthplace.timeoutSeconds ?? DEFAULTS.timeout;
  }

  set timeout(seconds: number) {
    checkTimeout(seconds);
    this.#choose({ timeoutSeconds: seconds });
  }

  get cookiePath(): string {
    return this.#chosen.cookiePath ?? this.#contents?.cookiePath ?? this.#birthplace.cookiePath ?? "";
  }

  set cookiePath(path: string) {
    checkCookiePath(path);
    if (this.#contents !== undefined) this.#cookieHome ??= this.effectiveCookiePath;
    this.#choose({ cookiePath: path });
  }

  get cookieMaxAge(): CookieMaxAge | null {
    const chosen = this.#chosen.cookieMaxAge;
    if (chosen !== undefined) return chosen;
    const stored = storedMaxAge(this.#contents);
    return stored === undefined ? (this.#birthplace.cookieMaxAge ?? null) : stored;
  }

  set cookieMaxAge(maxAge: CookieMaxAge | null) {
    if (maxAge !== null) checkMaxAge(maxAge);
    if (this.#contents !== undefined && this.#maxAgeBefore === undefined) this.#maxAgeBefore = this.cookieMaxAge;
    this.#choose({ cookieMaxAge: maxAge });
  }

  get prefix(): string {
    // Empty stands for the default, as in Gambas.
    return this.#prefix || this.#birthplace.prefix || "";
  }

  set prefix(prefix: string) {
    this.#prefix = checkPrefix(prefix);
  }

  get isUnique(): boolean {
    return this.#isUnique ?? this.#birthplace.isUnique ?? false;
  }

  set isUnique(isUnique: boolean) {
    this.#isUnique = isUnique;
    this.#choose({ isUnique: isUnique && this.#id !== null });
  }

  /** The next save writes, changed or not. */
  force(): void {
    this.#choose({ isForced: true });
  }

  #choose(choice: Partial<Chosen>): void {
    this.#chosen = choose(this.#chosen, choice);
    this.#noteLate();
  }

  get request(): string | undefined {
    return this.#birthplace.request;
  }

  /** What a transaction begins a session with, if it does: as this one is when it does. */
  get inherited(): Birthplace {
    return new Inherited(this, this.#birthplace);
  }

  // -- keys

  get keys(): string[] {
    return this.#edits.keys(this.#contents);
  }

  has(key: string): boolean {
    return this.#edits.has(key, this.#contents);
  }

  get(key: string): unknown {
    return this.#edits.get(key, this.#contents);
  }

  set(key: string, value: unknown): void {
    checkKey(key);
    if (value === null || value === undefined) {
      this.delete(key);
      return;
    }
    const change = this.#edits.next(key, value, this.#contents);
    if (this.#id === null) this.create();
    this.#edits.put(key, change);
  }

  /** Sets these keys and deletes all others. @throws what `set` throws; nothing is changed then. */
  replace(values: Readonly<Record<string, unknown>>): void {
    const next = this.#edits.nextAll(values, this.#contents);
    if (this.#id === null && next.size > 0) this.create();
    this.#edits.putAll(next, this.#contents);
  }

  delete(key: string): boolean {
    checkKey(key);
    if (!this.has(key)) return false;
    this.#edits.delete(key, this.#contents);
    return true;
  }

  typeOf(key: string): string | undefined {
    return this.#edits.typeOf(key, this.#contents);
  }

  /** Begins a session that holds nothing yet. */
  create(): void {
    this.#birthplace.mayCreate?.();
    this.#id = this.givenId ?? makeSessionId(this.prefix, randomBytes(ID_RANDOM_BYTES));
    this.#wasCreated = true;
    const path = this.effectiveCookiePath;
    this.#edits.put(COOKIE_PATH_KEY, { bytes: encodeValue(path, COOKIE_PATH_KEY).bytes, value: path });
  }

  // -- saving

  /** Something is unsaved, whatever became of the objects that are out. */
  get #hasPlainChanges(): boolean {
    return this.#edits.hasChanges || this.#chosen !== NOTHING_CHOSEN;
  }

  get isModified(): boolean {
    return this.#id !== null && (this.#hasPlainChanges || this.#edits.hasChangedObjects);
  }

  /** False: nothing is unsaved. True: something may be, in objects that are out. */
  get mayBeModified(): boolean {
    return this.#hasPlainChanges || this.#edits.hasObjects;
  }

  /** What is not saved; undefined when everything is. */
  unsaved(): Unsaved | undefined {
    if (this.#id === null) return undefined;
    const { entries: edited, moved, shares } = this.#edits.collect(this.#contents);
    const successor = this.successor;
    if (edited.size === 0 && !this.#hasPlainChanges && successor === undefined) return undefined;
    const byDefault = this.#birthplace.cookieMaxAge ?? null;
    const entries = withMaxAge(edited, this.#chosen.cookieMaxAge, byDefault, this.#contents);
    const isNew = this.#contents === undefined;
    const isUnique = isNew || successor !== undefined ? this.isUnique : this.#chosen.isUnique;
    return {
      entries,
      moved,
      shares,
      isUnique,
      successor,
      isApart: shares.length > 0 || isUnique || successor !== undefined,
      properties: propertiesOf(this.#chosen, isNew ? { seconds: this.timeout, path: this.cookiePath } : undefined),
      changes: this.#edits.changes(),
    };
  }

  noteSent({ entries }: Unsaved): void {
    this.#edits.noteSent(entries);
  }

  /** `unsaved` is in `contents` now. What was changed since then still is not. */
  noteSaved(contents: Contents, unsaved: Unsaved | undefined): void {
    if (unsaved?.successor !== undefined) this.#goOnAs(unsaved.successor);
    this.#contents = contents;
    this.#edits.noteSaved(unsaved);
    if (unsaved !== undefined) this.#chosen = chosenSince(this.#chosen, unsaved);
  }

  #goOnAs(successor: string): void {
    this.#leaveCookie(this.#cookieHome ?? this.effectiveCookiePath);
    this.#id = successor;
    this.#wasCreated = true;
    if (this.successor === successor) this.successor = undefined;
  }

  /** The browser has the cookie of this session under the path, and is to have it no longer. */
  #leaveCookie(cookiePath: string): void {
    if (this.#id !== null && !this.isUnsaved) this.#ended = [...this.#ended, { id: this.#id, cookiePath }];
    this.#cookieHome = undefined;
  }

  /** Forgets everything that is not saved. */
  drop(): void {
    this.#edits.drop();
    this.#chosen = NOTHING_CHOSEN;
  }

  /** A session that was never saved does not exist without its changes. */
  forgetNew(): void {
    if (this.#contents !== undefined || !this.#wasCreated) return;
    this.#id = null;
    this.#wasCreated = false;
  }

  /** The session is read anew; undefined: it has ended. */
  reload(contents: Contents | undefined): void {
    this.drop();
    if (contents === undefined) this.end();
    else this.#contents = contents;
  }

  /** The session has ended, by this request or elsewhere. The browser's cookie may be that of the session under another id by now: then it stays. */
  end(cookie: "goes" | "stays" = "goes"): void {
    if (cookie === "goes") this.#leaveCookie(this.#cookieHome ?? this.effectiveCookiePath);
    this.#formerId = this.#id ?? this.#formerId;
    this.#cookieHome = undefined;
    this.#problem = undefined;
    this.#maxAgeBefore = undefined;
    this.successor = undefined;
    this.#id = null;
    this.#wasCreated = false;
    this.#contents = undefined;
    this.drop();
    this.#edits.forgetObjects();
  }

  // -- transactions

  remember(): Remembered<RememberedEdits> {
    return {
      id: this.#id,
      wasCreated: this.#wasCreated,
      chosen: this.#chosen,
      prefix: this.#prefix,
      isUnique: this.#isUnique,
      successor: this.successor,
      edits: this.#edits.remember(),
    };
  }

  restore(before: Remembered<RememberedEdits>): void {
    // What was ended stays ended.
    if (before.id !== null && before.id !== this.#id) return;
    this.#id = before.id;
    this.#wasCreated = before.wasCreated;
    this.#chosen = before.chosen;
    this.#prefix = before.prefix;
    this.#isUnique = before.isUnique;
    this.successor = before.successor;
    this.#edits.restore(before.edits);
  }

  /** What a transaction has left is what this request goes on with. */
  adopt(inner: Draft): void {
    if (inner.#ended.length > 0) this.#ended = [...this.#ended, ...inner.#ended];
    this.#wasCreated ||= inner.#wasCreated;
    if (this.#cookieHome !== undefined && this.#id !== inner.#id) this.#leaveCookie(this.#cookieHome);
    this.#cookieHome ??= inner.#cookieHome;
    if (this.#maxAgeBefore === undefined) this.#maxAgeBefore = inner.#maxAgeBefore;
    this.adoptProperties(inner);
    this.#id = inner.#id;
    this.#contents = inner.#contents;
    this.#edits.adopt(inner.#edits, inner.#contents);
  }

  /** What a transaction has said of the session to come, and of this one as far as no commit has taken it. */
  adoptProperties(inner: Draft): void {
    this.#prefix = inner.#prefix ?? this.#prefix;
    this.#isUnique = inner.#isUnique ?? this.#isUnique;
    this.#chosen = chosenAfter(this.#chosen, inner.#chosen);
  }

  /** The objects that a transaction has handed out before it failed belong to nothing, but a change of them is told. */
  adoptStrays(inner: Draft): void {
    this.#edits.adoptStrays(inner.#edits);
  }

  forgetObjects(): void {
    this.#edits.forgetObjects();
  }

  // -- when nobody will save it any more

  /** From now on `handle` is told of every change. */
  tellLate(handle: Watched): void {
    this.#late = handle;
    if (this.#hasPlainChanges) this.#noteLate();
    this.#edits.tellLate(handle);
  }

  /** Keys and members of the static Session that are not saved. */
  unsavedNames(): readonly string[] {
    return this.#id === null ? [] : [...this.#edits.changedKeys(), ...chosenNames(this.#chosen)];
  }

  #noteLate(): void {
    if (this.#late !== undefined) noteLate(this.#late);
  }

  // -- the cookie

  get ended(): readonly Ended[] {
    return this.#ended;
  }

  get needsCookie(): boolean {
    if (this.#id === null) return false;
    const hasOtherAge = this.#maxAgeBefore !== undefined && this.#maxAgeBefore !== this.cookieMaxAge;
    return this.#wasCreated || this.cookieMovedFrom !== undefined || hasOtherAge;
  }

  get hasMaxAge(): boolean {
    if (this.#id === null || this.#problem !== undefined) return false;
    // As a rule nobody has said anything, and every request asks.
    const isSaid = this.#birthplace.cookieMaxAge !== undefined || this.#chosen.cookieMaxAge !== undefined;
    return (isSaid || this.#contents?.hasMaxAge === true) && this.cookieMaxAge !== null;
  }

  get maxAgeSeconds(): number | undefined {
    return secondsOf(this.cookieMaxAge, this.timeout);
  }

  get cookieMovedFrom(): string | undefined {
    const hasMoved = this.#cookieHome !== undefined && this.#cookieHome !== this.effectiveCookiePath;
    return hasMoved && !this.#wasCreated ? this.#cookieHome : undefined;
  }

  get effectiveCookiePath(): string {
    return this.cookiePath || storedCookiePath(this.#contents) || DEFAULTS.cookiePath;
  }
}

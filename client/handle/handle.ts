// A session in the hands of one request, transaction or Run: its calls, one after the other, and whether anybody will save what is changed.
// Two requests never share a handle. What the session is by now, saved or not, is in `draft.ts`.
//
//   OPEN    the owner of the handle saves at its own end        --end, endInVain-->          OVER
//   INSIDE  the handle of a transaction, whose end commits      --finishTransaction-->       OPEN
//   INSIDE  the transaction has outlived its lease              --loseTransaction-->         LOST  (nothing of it is ever saved)
//   OVER    nobody saves: each change is told, unless the application saves it by hand
//
// The state is nowhere a field: INSIDE is to have `#endLease`, LOST to have `#lost` besides, OVER to have `#over`.

import { isCode, SucceededError } from "../../protocol/errors.ts";
import type { CookieMaxAge, Handle as HandleApi, TransactionOptions } from "../api.ts";
import type { Contents } from "../copies/cache.ts";
import { leaseMsOf } from "../options.ts";
import { carryOn, isPassing, waitForItself } from "../scope.ts";
import { type Calls, endOf } from "./calls.ts";
import { Draft } from "./draft.ts";
import { A_TRANSACTION, type Inside, type Outside } from "./job.ts";
import type { Watched } from "./late-changes.ts";
import { type Birthplace, type CookieState, type Ended, isTouchDue, type Opened } from "./properties.ts";
import type { Transactions } from "./transactions.ts";
import type { Unsaved } from "./unsaved.ts";

export type { HandleOptions } from "../api.ts";
export type { Calls, CommitRequest, Grant, GrantedLease } from "./calls.ts";
export { A_TRANSACTION } from "./job.ts";
export { type Birthplace, type CookieState, type Ended, isTouchDue, type Opened } from "./properties.ts";
export { Transactions } from "./transactions.ts";

/** What a handle needs of its client. */
export interface Home extends Calls {
  readonly transactions: Transactions<Handle>;
}

const NOTHING_PENDING: Promise<unknown> = Promise.resolve();
const NO_SESSION: Opened = { id: null };

export class Handle implements HandleApi, Inside, Outside<Handle>, Watched {
  readonly #client: Home;
  readonly #draft: Draft;
  /** The end of the last call that changes the session: the next one begins then. */
  #turn: Promise<unknown> = NOTHING_PENDING;
  /** Calls that are under way or wait for their turn. */
  #waiting = 0;
  /** Gives the lease of the transaction back. */
  #endLease: (() => Promise<void>) | undefined;
  /** What the transaction began with: nobody else has changed that since, and of it the file may not have all yet. */
  #begun: Contents | undefined;
  #lost: Error | undefined;
  /** What has ended, and was to save what is changed. */
  #over: string | undefined;
  /** The names that were told after that. */
  #told: Set<string> | undefined;
  #wasUsed = false;

  constructor(client: Home, opened: Opened, birthplace: Birthplace) {
    this.#client = client;
    this.#draft = new Draft(opened, birthplace);
  }

  // -- what the session is: as `api.ts` says it

  get id(): string | null {
    return this.#use().id;
  }

  get keys(): string[] {
    return this.#use().keys;
  }

  get type(): string {
    return this.#client.type;
  }

  get path(): string | null {
    return this.#client.pathOf(this.#use().id);
  }

  get size(): number {
    return this.#use().contents?.revision.size ?? 0;
  }

  get lastUsed(): Date | null {
    return this.#use().lastUsed;
  }

  get expires(): Date | null {
    return this.#use().expires;
  }

  get timeout(): number {
    return this.#use().timeout;
  }

  set timeout(seconds: number) {
    this.#use().timeout = seconds;
  }

  get cookiePath(): string {
    return this.#use().cookiePath;
  }

  set cookiePath(path: string) {
    this.#use().cookiePath = path;
  }

  get cookieMaxAge(): CookieMaxAge | null {
    return this.#use().cookieMaxAge;
  }

  set cookieMaxAge(maxAge: CookieMaxAge | null) {
    this.#use().cookieMaxAge = maxAge;
  }

  get prefix(): string {
    return this.#draft.prefix;
  }

  set prefix(prefix: string) {
    this.#draft.prefix = prefix;
  }

  get isUnique(): boolean {
    return this.#draft.isUnique;
  }

  /** Set on an existing session it ends the others of the prefix with the next save, as Gambas does. */
  set isUnique(isUnique: boolean) {
    this.#use().isUnique = isUnique;
  }

  get isModified(): boolean {
    return this.#use().isModified;
  }

  set isModified(isModified: boolean) {
    this.#use();
    if (isModified) this.#draft.force();
    else this.#drop();
  }

  has(key: string): boolean {
    return this.#use().has(key);
  }

  get<T = unknown>(key: string): T {
    return this.#use().get(key) as T;
  }

  set(key: string, value: unknown): void {
    this.#use().set(key, value);
  }

  delete(key: string): boolean {
    return this.#use().delete(key);
  }

  replace(values: Readonly<Record<string, unknown>>): void {
    this.#use().replace(values);
  }

  typeOf(key: string): string | undefined {
    return this.#use().typeOf(key);
  }

  // -- saving, loading, ending

  save(): Promise<void> {
    this.#use();
    if (this.#lost !== undefined) return Promise.reject(this.#lost);
    // What a transaction changed is committed as one, at its end.
    if (this.#endLease !== undefined) return Promise.resolve();
    return this.#inTurn(() => this.#commit());
  }

  load(): Promise<void> {
    this.#use();
    return this.#inTurn(async () => {
      const { id } = this.#draft;
      if (id === null) return;
      const contents = this.#endLease ? this.#begun : await this.#client.load(id);
      // Abandoned meanwhile: what was read is nobody's.
      if (!contents && !this.#endLease) this.noteGone(id, await endOf(this.#client, id));
      else if (this.#draft.id === id) this.#draft.reload(contents);
    });
  }

  async regenerate(): Promise<void> {
    const draft = this.#use();
    if (this.#lost !== undefined) throw this.#lost;
    if (draft.id === null) return;
    draft.checkMayRenew();
    // A transaction carries it out with its commit.
    if (this.#endLease !== undefined) draft.renew();
    else await this.#inTurn(() => this.#regenerate());
  }

  abandon(): Promise<void> {
    this.#wasUsed = true;
    const { id, isUnsaved, successor } = this.#draft;
    if (id === null) return Promise.resolve();
    // One whose first save is under way is as good as saved.
    const isSaved = !isUnsaved || this.#waiting > 0;
    const endLease = this.#endLease;
    this.#draft.end();
    this.#begun = undefined;
    return this.#inTurn(async () => {
      await endLease?.();
      if (isSaved) await this.#client.end(id);
      // Its commit was under way: by now the session may have this id.
      if (successor !== undefined && endLease === undefined) await this.#client.end(successor);
    });
  }

  /** Renews the time stamp if the session was used, and not within the last second. */
  touch(): Promise<void> | undefined {
    const { id, contents } = this.#draft;
    if (!this.#wasUsed || id === null || contents === undefined || !isTouchDue(contents)) return undefined;
    return this.#client.renew(id, contents).then(
      () => undefined,
      // The next use renews the stamp where the session has ended, or its lease waits for this very code: a reader loses nothing.
      (error: unknown) => {
        if (!isCode(error, "ERR_SESSION_GONE") && !isCode(error, "ERR_DEADLOCK")) throw error;
      },
    );
  }

  transaction<T>(fn: (session: Handle) => T | Promise<T>, options?: TransactionOptions): Promise<T> {
    this.#use();
    const leaseMs = leaseMsOf(fn, options);
    if (this.#lost !== undefined) return Promise.reject(this.#lost);
    // Already alone: the outer transaction commits, unless this part of it fails.
    if (this.#endLease !== undefined) return this.attempt(async () => fn(this));
    return this.#inTurn(() => this.#transact(fn, leaseMs));
  }

  // -- for transactions: of the handle that began one

  /** The handle of a transaction on this session. `endLease` gives its lease back. */
  begin(id: string, contents: Contents, endLease: () => Promise<void>): Handle {
    return this.#inner({ id, contents }, endLease);
  }

  /** Goes on with what a transaction on session `id` has left, unless the application has abandoned that outside of it meanwhile. */
  adopt(id: string, inner: Handle): void {
    if (this.#draft.id === id) this.#draft.adopt(inner.#draft);
    else inner.#drop();
    inner.end(A_TRANSACTION);
  }

  /** Objects that a failed transaction has handed out belong to nothing, but a change of them is told. */
  adoptStrays(inner: Handle): void {
    this.#draft.adoptStrays(inner.#draft);
    inner.endInVain(A_TRANSACTION);
    inner.#draft.forgetObjects();
  }

  /** Session `id` has ended elsewhere: nothing of ours is to be sent again. */
  noteGone(id: string, error?: unknown): void {
    if (this.#draft.id === id) this.#draft.end(error instanceof SucceededError ? "stays" : "goes");
  }

  // -- for transactions: of the handle that is inside

  /** Nobody waits for this transaction any longer, whatever its function still does. Returns the reason. */
  loseTransaction(reason: Error): Error {
    this.#lost = reason;
    return reason;
  }

  /** Waits for calls that were begun inside and not awaited, if there are any. */
  finishTransaction(): Promise<void> | undefined {
    if (this.#waiting > 0) return this.#turn.then(() => this.finishTransaction());
    this.#endLease = undefined;
    return undefined;
  }

  /** What is not saved; undefined when everything is. */
  unsaved(): Unsaved | undefined {
    return this.#draft.unsaved();
  }

  /** `unsaved` is in `contents` now. What was changed since then still is not. */
  noteSaved(contents: Contents, unsaved: Unsaved | undefined): void {
    this.#draft.noteSaved(contents, unsaved);
  }

  /** Runs `fn`; if it fails, everything is as it was before, and the error goes on. */
  async attempt<T>(fn: () => Promise<T>): Promise<T> {
    const before = this.#draft.remember();
    try {
      return await fn();
    } catch (error) {
      this.#draft.restore(before);
      throw error;
    }
  }

  // -- for the owner of the handle, who saves what is changed at his own end

  /** Begins a session that holds nothing, where there is none. @throws SessionError ERR_HEADERS_SENT. */
  create(): void {
    if (this.#use().id === null) this.#draft.create();
  }

  get wasUsed(): boolean {
    return this.#wasUsed;
  }

  /** Calls are under way, and must be awaited before a response may say that it is done. */
  get isBusy(): boolean {
    return this.#waiting > 0;
  }

  /** Saves what is changed and waits for what is under way. Not async, nor what it calls: promises are most of what a save costs here. */
  settle(): Promise<void> {
    if (this.#waiting > 0) return this.#turn.then(() => this.settle());
    if (this.#draft.problem !== undefined) return Promise.resolve();
    return this.#inTurn(() => this.#commit()).then(() => (this.#waiting > 0 ? this.settle() : undefined));
  }

  /** `what` is over: from now on a change that the application does not save by hand is told. */
  end(what: string): void {
    this.#over = what;
    this.#draft.tellLate(this);
  }

  /** The same where the failure of the save was told, and with it everything that is not saved by now. */
  endInVain(what: string): void {
    this.#drop();
    this.end(what);
  }

  /** What was over when the change came, and whose it is. */
  get endedAs(): string {
    return `${this.#over} (${this.#draft.request ?? `session ${this.#draft.id}`})`;
  }

  /** Keys and members of the static Session that are not saved and were not told yet. */
  takeUnsaved(): readonly string[] {
    if (this.#draft.id === null || this.#lost !== undefined) return [];
    this.#told ??= new Set();
    const { size } = this.#told;
    for (const name of this.#draft.unsavedNames()) this.#told.add(name);
    return [...this.#told].slice(size);
  }

  // -- for the cookie

  get ended(): readonly Ended[] {
    return this.#draft.ended;
  }

  /** What the browser is to be told. To ask for it is no use of the session. */
  get cookie(): CookieState {
    return this.#draft;
  }

  #use(): Draft {
    this.#wasUsed = true;
    if (this.#draft.problem !== undefined) throw this.#draft.problem;
    return this.#draft;
  }

  #drop(): void {
    this.#draft.drop();
    // A first save that is under way may succeed.
    if (this.#waiting === 0) this.#draft.forgetNew();
  }

  #inTurn<T>(action: () => Promise<T>): Promise<T> {
    if (isPassing()) return carryOn(() => this.#inTurn(action));
    // Inside of its own transaction it would wait for itself.
    const deadlock = this.#waiting > 0 ? waitForItself(this, this.#draft.id) : undefined;
    if (deadlock !== undefined) return Promise.reject(deadlock);
    try {
      // Nothing to wait for: no turn of the event loop is lost.
      const result = this.#waiting === 0 ? action() : this.#turn.then(action);
      this.#waiting += 1;
      const end = (): void => {
        this.#waiting -= 1;
      };
      this.#turn = result.then(end, end);
      return result;
    } catch (error) {
      return Promise.reject(error);
    }
  }

  async #regenerate(): Promise<void> {
    this.#draft.renew();
    try {
      await this.#commit();
    } finally {
      this.#draft.successor = undefined;
    }
  }

  #commit(): Promise<void> {
    const { id, contents: base } = this.#draft;
    const unsaved = this.#draft.unsaved();
    if (id === null || unsaved === undefined) return Promise.resolve();
    this.#draft.noteSent(unsaved);
    const fail = (error: unknown): never => {
      if (isCode(error, "ERR_SESSION_GONE")) this.noteGone(id, error);
      throw error;
    };
    return this.#client.apply({ id, base, unsaved }).then((contents) => {
      if (this.#draft.id !== id) return undefined;
      if (contents !== undefined) return this.#draft.noteSaved(contents, unsaved);
      // It was saved by a call whose answer was lost, and has ended since. Of a new one its maker has to know.
      return endOf(this.#client, id).then((error) => (base ? this.noteGone(id, error) : fail(error)));
    }, fail);
  }

  /** No promise but the one that is returned, where nothing must be saved first. */
  #transact<T>(fn: (session: Handle) => T | Promise<T>, leaseMs: number): Promise<T> {
    const { id } = this.#draft;
    if (id === null) return this.#withoutSession(fn);
    const run = (): Promise<T> => this.#client.transactions.run({ id, fn, leaseMs, outer: this });
    return this.#draft.mayBeModified ? this.#commit().then(run) : run();
  }

  /** No session yet, so nobody else can have it: `fn` runs, and what it set becomes the session. */
  async #withoutSession<T>(fn: (session: Handle) => T | Promise<T>): Promise<T> {
    const inner = this.#inner(NO_SESSION, async () => undefined);
    try {
      const value = await fn(inner);
      await inner.finishTransaction();
      if (inner.#draft.id === null) this.#draft.adoptProperties(inner.#draft);
      else {
        await inner.#commit();
        this.#draft.adopt(inner.#draft);
      }
      inner.end(A_TRANSACTION);
      return value;
    } catch (error) {
      inner.endInVain(A_TRANSACTION);
      throw error;
    }
  }

  #inner(opened: Opened, endLease: () => Promise<void>): Handle {
    const inner = new Handle(this.#client, opened, this.#draft.inherited);
    inner.#endLease = endLease;
    inner.#begun = opened.contents;
    return inner;
  }
}

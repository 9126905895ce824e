// A worker's way to its sessions: the connection to the daemon, the copies of contents, and the calls that keep the
// copies in step with the daemon's answers.

import { join } from "node:path";
import { backendName, backendTold } from "../../protocol/backend-name.ts";
import { isCode, SessionError } from "../../protocol/errors.ts";
import { encodeDelta } from "../../protocol/image/image.ts";
import type { Places } from "../../protocol/places.ts";
import { isSessionId } from "../../protocol/session-id.ts";
import { TYPES, type TypeName } from "../../protocol/types.ts";
import { KIND, type ResponseOf, type State } from "../../protocol/wire/wire.ts";
import type {
  Client as ClientApi,
  CreateOptions,
  DaemonStatus,
  Handle as HandleApi,
  HandleOptions,
  ListedSession,
  ListOptions,
  TransactionOptions,
} from "../api.ts";
import { said } from "../checks.ts";
import { answeredState, Cache, Contents, type DatabaseState } from "../copies/cache.ts";
import {
  A_TRANSACTION,
  type Birthplace,
  type CommitRequest,
  type Opened as Found,
  type Grant,
  type GrantedLease,
  Handle,
  type Home,
  Transactions,
} from "../handle/handle.ts";
import {
  type ConnectOptions,
  checkCreateOptions,
  checkHandleOptions,
  checkOptionsFor,
  DEFAULTS,
  daemonSettings,
  resolvePlaces,
} from "../options.ts";
import { carryOn, confirmAround, type HeldLease, transactionsAround } from "../scope.ts";
import { bytesBeside, optionsOf } from "./commit-options.ts";
import { Connection, type ConnectionOptions, type Line } from "./connection.ts";
import { DaemonProgram } from "./daemon-program.ts";
import { checkKeeps, checkServes } from "./hello-checks.ts";
import { listSessions } from "./list.ts";
import { decideType, typeOfProcess } from "./process-type.ts";

export { chooseType, typeIsDecided, typeOfProcess } from "./process-type.ts";
export { StandIn } from "./stand-in.ts";

/** The result of looking for a session: contents or a problem, or neither where there is no such session. */
export interface Opened {
  readonly contents?: Contents;
  /** Why the session could not be read. */
  readonly problem?: Error;
}

const ABSENT: Opened = {};
const NO_OPTIONS: HandleOptions = {};
const NONE_FRESH: readonly Buffer[] = [];

/** What a worker had when it asked the daemon. */
interface Had {
  /** The contents that an answer of `KIND.same` refers to. */
  readonly known?: Contents | undefined;
  /** The state that the session's database was in. */
  readonly seen?: DatabaseState | undefined;
}
const NOTHING_HAD: Had = {};

export class Client implements ClientApi, Home {
  readonly #options: ConnectOptions;
  readonly #open: (wanted: ConnectionOptions) => Line;
  readonly #cache: Cache;
  readonly transactions: Transactions<Handle> = new Transactions<Handle>(this);
  /** Undefined before the first call, up to which `Session.Type` may still say another type. */
  #begun: { readonly places: Places; readonly connection: Line } | undefined;
  /** Where the session files are, as the daemon's hello says. */
  #directory: string | undefined;
  /** The daemon's default length of a lease; 0 before its first hello. */
  #leaseMs = 0;
  /** A daemon of files may be of an older release, which does not know fields that came with other types. */
  #tellsMore = false;
  #isClosed = false;
  /** The daemon's limit; 0 before its first hello. */
  #maxSessionBytes = 0;

  constructor(options: ConnectOptions, open = (wanted: ConnectionOptions): Line => new Connection(wanted)) {
    this.#options = options;
    this.#open = open;
    this.#cache = new Cache(options.cacheBytes ?? DEFAULTS.cacheBytes);
    checkOptionsFor(options, this.type);
  }

  /** Where its daemon is. */
  get places(): Places {
    if (this.#begun !== undefined) return this.#begun.places;
    return resolvePlaces({ ...this.#options, type: this.#options.type ?? typeOfProcess() });
  }

  /** Its type is its own, whatever that of the process is. */
  get hasOwnType(): boolean {
    return this.#options.type !== undefined;
  }

  get type(): TypeName {
    return this.places.type;
  }

  get #connection(): Line {
    this.#begun ??= this.#begin();
    return this.#begun.connection;
  }

  #begin(): { readonly places: Places; readonly connection: Line } {
    const options = this.#options;
    const places = resolvePlaces({ ...options, type: options.type ?? decideType() });
    checkOptionsFor(options, places.type);
    const settings = daemonSettings(options, places.type);
    const isStarting = options.spawn ?? DEFAULTS.spawn;
    const backend = backendName({ type: places.type, redis: settings.redis });
    const connection = this.#open({
      places,
      spawn: isStarting ? new DaemonProgram(places, settings, options.daemonPath) : undefined,
      waitMs: options.waitMs ?? DEFAULTS.waitMs,
      onHello: (hello) => {
        checkKeeps(places, backendTold(hello.backend), backend);
        if (options.root !== undefined) checkServes(places, hello.directory);
        this.#tellsMore = hello.backend !== null;
        this.#maxSessionBytes = hello.maxSessionBytes;
        this.#directory = hello.directory;
        this.#lookWhere(hello, places.type);
        this.#cache.versions = hello.versions ?? undefined;
        this.#leaseMs = hello.leaseMs;
      },
      onLost: () => {
        this.#cache.databases = undefined;
      },
    });
    return { places, connection };
  }

  #lookWhere({ directory, pid }: ResponseOf<"hello">, type: TypeName): void {
    const isLogged = TYPES[type].copiesBy === "log";
    this.#cache.directory = isLogged ? "" : directory;
    // A daemon in this process has locks on these files, which it would lose.
    this.#cache.databases = isLogged && directory !== "" && pid !== process.pid ? directory : undefined;
  }

  // -- the public members, described in `api.ts`

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** Directory of the session files; "" where sessions are in no files. */
  get directory(): string {
    if (this.#directory) return this.#directory;
    const { root, type } = this.places;
    return TYPES[type].isInFiles ? join(root, "session") : "";
  }

  pathOf(id: string | null): string | null {
    const { root, type } = this.places;
    const { fileName } = TYPES[type];
    if (id === null || fileName === undefined) return null;
    return `${this.directory || join(root, "session")}/${fileName(id)}`;
  }

  ready(): Promise<void> {
    try {
      return this.#connection.ready();
    } catch (error) {
      return Promise.reject(error);
    }
  }

  async open(id: string, options: HandleOptions = NO_OPTIONS): Promise<Handle | undefined> {
    if (options !== NO_OPTIONS) checkHandleOptions(options);
    const contents = this.current(id) ?? (isSessionId(id) ? await this.load(id) : undefined);
    return contents && new Handle(this, { id, contents }, options);
  }

  create(options: CreateOptions = NO_OPTIONS): Handle {
    const id: unknown = Object(options).id;
    if (id !== undefined && !isSessionId(id)) throw badId(id);
    if (options !== NO_OPTIONS) checkCreateOptions(options);
    return new Handle(this, { id: null }, options);
  }

  list(options: ListOptions = {}): AsyncIterableIterator<ListedSession> {
    return listSessions((request) => this.#connection.call("list", request), options);
  }

  async touch(id: string): Promise<boolean> {
    if (!isSessionId(id)) throw badId(id);
    try {
      return (await this.renew(id, this.#cache.peek(id))) !== undefined;
    } catch (error) {
      if (isCode(error, "ERR_SESSION_GONE")) return false;
      throw error;
    }
  }

  commit(handle: HandleApi): Promise<void> {
    return handle.save();
  }

  async abandon(session: HandleApi | string): Promise<void> {
    if (isSessionId(session)) await carryOn(() => this.end(session));
    else if (typeof session === "object" && session !== null) await session.abandon();
    else throw badId(session);
  }

  transaction<T>(
    session: HandleApi | string,
    fn: (session: HandleApi) => T | Promise<T>,
    options?: TransactionOptions,
  ): Promise<T> {
    if (typeof session === "string") return carryOn(() => this.#transactionOf(session, fn, options));
    if (typeof session !== "object" || session === null) return Promise.reject(badId(session));
    try {
      // The handle's promise is handed on as it is: another one around it would cost time at every transaction.
      return session.transaction(fn, options);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  async #transactionOf<T>(
    id: string,
    fn: (session: HandleApi) => T | Promise<T>,
    options: TransactionOptions | undefined,
  ): Promise<T> {
    const handle = await this.open(id);
    if (handle === undefined) throw new SessionError("ERR_SESSION_GONE", `There is no session ${id}.`);
    try {
      const value = await handle.transaction(fn, options);
      handle.end(A_TRANSACTION);
      return value;
    } catch (error) {
      handle.endInVain(A_TRANSACTION);
      throw error;
    }
  }

  async status(): Promise<DaemonStatus> {
    const { json } = await this.#connection.call("status", {});
    return JSON.parse(json);
  }

  close(): void {
    this.#isClosed = true;
    this.#connection.close();
    this.#cache.clear();
    this.#cache.versions = undefined;
  }

  // -- for handles and the middleware

  /** Contents, and what holds them, are always of one copy of the package: that of the client. */
  handle(found: Found, birthplace: Birthplace): Handle {
    return new Handle(this, found, birthplace);
  }

  /** The contents of this worker's copy, if the file still has their revision: one stat, no round trip. */
  current(id: string): Contents | undefined {
    return this.#cache.current(id, Date.now());
  }

  /** The contents of a current copy, or else the daemon's answer. Never rejects: a failure is in `problem`. */
  async find(id: string): Promise<Opened> {
    const contents = this.current(id);
    return contents === undefined ? this.ask(id) : { contents };
  }

  /** Asks the daemon, for a caller that has found no current copy. Never rejects: a failure is in `problem`. */
  async ask(id: string): Promise<Opened> {
    if (!isSessionId(id)) return ABSENT;
    try {
      const contents = await this.load(id);
      return contents === undefined ? ABSENT : { contents };
    } catch (error) {
      return { problem: error as Error };
    }
  }

  load(id: string): Promise<Contents | undefined> {
    const had = this.#had(id);
    return this.#connection.call("open", { sid: id, known: had.known?.base ?? 0 }).then((state) => {
      if (state.kind === KIND.absent) this.#cache.drop(id);
      return this.#adopt(id, state, had);
    });
  }

  /** Not async: a promise that only hands on another one would cost time at every commit. */
  apply(request: CommitRequest): Promise<Contents | undefined> {
    if (this.#maxSessionBytes === 0) return this.ready().then(() => this.apply(request));
    const confirmed = request.fence === undefined ? confirmAround() : undefined;
    return confirmed === undefined ? this.#apply(request) : confirmed.then(() => this.#apply(request));
  }

  #apply(request: CommitRequest): Promise<Contents | undefined> {
    const { id, base, unsaved } = request;
    // One that is in no file yet is made under its last id.
    const sid = base === undefined ? (unsaved.successor ?? id) : id;
    const delta = encodeDelta(unsaved.entries, unsaved.moved);
    this.#checkSize(delta.length + bytesBeside(request));
    const options = optionsOf(request, this.#held());
    const { sequence, floor } = this.#connection.nextSequence();
    return this.#connection
      .call("commit", {
        sid,
        sequence,
        base: base?.base ?? 0,
        delta,
        options,
        floor: this.#tellsMore ? floor : undefined,
      })
      .then((state) =>
        state.kind === KIND.same ? this.#adoptCommit(request, delta, state) : this.#adoptNew(request, state),
      );
  }

  /** What the daemon has sent is of the session under its new id, where it has got one. */
  #adoptNew({ id, unsaved: { successor } }: CommitRequest, state: State): Contents | undefined {
    if (successor !== undefined) this.#cache.drop(id);
    return this.#adopt(successor ?? id, state);
  }

  #adoptCommit(request: CommitRequest, delta: Buffer, state: State): Contents {
    const { id, base, unsaved } = request;
    const { timeoutSeconds, cookiePath } = unsaved.properties;
    const change = { delta, nowMs: state.startupMs, timeoutSeconds, cookiePath, shares: unsaved.shares };
    const contents = Contents.fromChange(state, base, change, unsaved);
    const keeping = { contents, state: answeredState(state) };
    this.#cache.keep(unsaved.successor ?? id, keeping, unsaved.entries.values());
    return contents;
  }

  /** A delta beyond the limit is refused here: the daemon would answer its frame by closing the connection. */
  #checkSize(bytes: number): void {
    if (bytes <= this.#maxSessionBytes) return;
    const what = `The changes take ${bytes} bytes; a session may have ${this.#maxSessionBytes}.`;
    throw new SessionError("ERR_TOO_LARGE", what);
  }

  async renew(id: string, contents: Contents | undefined): Promise<Contents | undefined> {
    const seen = this.#cache.look(id, Date.now());
    const state = await this.#connection.call("touch", { sid: id, base: contents?.base ?? 0, held: this.#held() });
    return this.#adopt(id, state, { known: contents, seen });
  }

  async end(id: string): Promise<void> {
    const confirmed = confirmAround();
    if (confirmed !== undefined) await confirmed;
    this.#cache.drop(id);
    await this.#connection.call("abandon", { sid: id, held: this.#held() });
    this.#cache.drop(id);
  }

  /** What another package keeps under a key that is to become this session; undefined: nothing, or that has been. */
  async adoptable(id: string, key: string): Promise<Buffer | undefined> {
    return (await this.#connection.call("adopt", { sid: id, key })).found ?? undefined;
  }

  async noteAdopted(id: string, key: string, isRemoved: boolean): Promise<void> {
    await this.#connection.call("adopted", { sid: id, key, isRemoved });
  }

  async lease(id: string, leaseMs: number, mustBeSure: boolean): Promise<Grant> {
    const had = this.#had(id);
    const held = this.#held();
    const asked = { sid: id, leaseMs, known: had.known?.base ?? 0, held };
    // Only what comes last is left out.
    const request = this.#tellsMore && !mustBeSure ? { ...asked, held: held ?? null, isOptimistic: true } : asked;
    const answer = await this.#connection.call("lease", request);
    const deadlineMs = performance.now() + (leaseMs === 0 ? this.#leaseMs : leaseMs);
    const isSure = answer.isUnverified !== true;
    const states = { isOver: false, isSure, isOvertaken: false };
    const lease = { id, fence: answer.fence, deadlineMs, life: this.#connection.life, ...states };
    try {
      const contents = this.#adopt(id, answer, had);
      if (contents === undefined) throw new SessionError("ERR_SESSION_GONE", `Session ${id} is gone.`);
      return { ...lease, contents };
    } catch (error) {
      await this.release(lease);
      throw error;
    }
  }

  async isNewest({ id, contents }: Grant): Promise<boolean> {
    return (await this.load(id))?.base === contents.base;
  }

  /**
   * Gives a lease back, unless that was done before. Never rejects: where the daemon cannot be told, this worker leaves
   * the connection, and the lease ends with it.
   */
  async release(lease: GrantedLease): Promise<void> {
    if (lease.isOver) return;
    lease.isOver = true;
    if (!this.isInForce(lease)) return;
    try {
      await this.#connection.call("release", { sid: lease.id, fence: lease.fence });
    } catch {
      // Any error: the turns after this lease must not wait for its deadline.
      this.#connection.leave(lease.life);
    }
  }

  /** False when the connection that owned the lease is closed: the lease has ended with it. */
  isInForce({ life }: HeldLease): boolean {
    return life === this.#connection.life;
  }

  /** The fences of the leases whose transactions run around this call, as far as this connection owns them. */
  #held(): number[] | undefined {
    const around = transactionsAround();
    if (around.length === 0) return undefined;
    const fences = around.filter(({ grant }) => this.isInForce(grant)).map(({ grant }) => grant.fence);
    return fences.length === 0 ? undefined : fences;
  }

  /** Before the daemon is asked. */
  #had(id: string): Had {
    return { known: this.#cache.peek(id), seen: this.#cache.look(id, Date.now()) };
  }

  #adopt(id: string, state: State, { known, seen }: Had = NOTHING_HAD): Contents | undefined {
    if (state.kind === KIND.absent) return undefined;
    const contents = state.image === null ? known?.stamped(state) : Contents.fromImage(state, state.image);
    if (contents === undefined)
      throw new SessionError("ERR_PROTOCOL", "The daemon sent no contents and none were known.");
    const keeping = { contents, state: answeredState(state, seen) };
    this.#cache.keep(id, keeping, state.image === null ? NONE_FRESH : [contents.image]);
    return contents;
  }
}

function badId(id: unknown): SessionError {
  return new SessionError("ERR_BAD_ID", `${said(id)} is not a session id.`);
}

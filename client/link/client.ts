// One worker's way to its sessions: the connection, the copies, and the calls that keep both in step.

import { statSync } from "node:fs";
import { join } from "node:path";
import { SessionError } from "../../protocol/errors.ts";
import { encodeDelta } from "../../protocol/image/image.ts";
import type { Places } from "../../protocol/places.ts";
import { isSessionId } from "../../protocol/session-id.ts";
import { KIND, type State } from "../../protocol/wire/operations.ts";
import type { Client as ClientApi, Handle as HandleApi, HandleOptions, TransactionOptions } from "../api.ts";
import { Cache, Contents } from "../copies/cache.ts";
import {
  A_TRANSACTION,
  type CommitRequest,
  type Grant,
  type GrantedLease,
  Handle,
  type Home,
  Transactions,
} from "../handle/handle.ts";
import { type ConnectOptions, DEFAULTS, resolvePlaces } from "../options.ts";
import { carryOn, type HeldLease, transactionsAround } from "../scope.ts";
import { Connection } from "./connection.ts";

/** How the session of an id was found. At most one of the two is there; neither: there is no such session. */
export interface Opened {
  readonly contents?: Contents;
  /** Why it could not be read. */
  readonly problem?: Error;
}

const ABSENT: Opened = {};
const NOTHING_HELD: [] = [];
/** What an envelope may take beside the largest delta without coming near the limit of a frame. */
const ENVELOPE_BYTES = 32 * 1024;
const NONE_FRESH: readonly Buffer[] = [];

export class Client implements ClientApi, Home {
  readonly places: Places;
  readonly #connection: Connection;
  readonly #cache: Cache;
  readonly transactions: Transactions<Handle> = new Transactions<Handle>(this);
  /** The daemon's default. */
  #leaseMs = 0;
  #isClosed = false;
  /** 0: no daemon has said it yet. */
  #maxSessionBytes = 0;

  constructor(options: ConnectOptions) {
    this.places = resolvePlaces(options);
    this.#cache = new Cache(options.cacheBytes ?? DEFAULTS.cacheBytes);
    const spawn = {
      idleExitMs: options.idleExitMs ?? DEFAULTS.idleExitMs,
      durability: options.durability ?? DEFAULTS.durability,
    };
    this.#connection = new Connection({
      places: this.places,
      spawn: (options.spawn ?? DEFAULTS.spawn) ? spawn : undefined,
      waitMs: options.waitMs ?? DEFAULTS.waitMs,
      onHello: (hello) => {
        if (options.root !== undefined) checkServes(this.places, hello.directory);
        this.#maxSessionBytes = hello.maxSessionBytes;
        this.#cache.directory = hello.directory;
        this.#leaseMs = hello.leaseMs;
      },
    });
  }

  // -- as `api.ts` says it

  get isClosed(): boolean {
    return this.#isClosed;
  }

  get directory(): string {
    return this.#cache.directory || join(this.places.root, "session");
  }

  ready(): Promise<void> {
    return this.#connection.ready();
  }

  async open(id: string, options: HandleOptions = {}): Promise<Handle | undefined> {
    const contents = this.current(id) ?? (isSessionId(id) ? await this.load(id) : undefined);
    return contents && new Handle(this, { id, contents }, options);
  }

  create(options: HandleOptions = {}): Handle {
    return new Handle(this, { id: null }, options);
  }

  commit(handle: HandleApi): Promise<void> {
    return handle.save();
  }

  async abandon(session: HandleApi | string): Promise<void> {
    if (session instanceof Handle) await session.abandon();
    else if (isSessionId(session)) await this.end(session);
    else throw new SessionError("ERR_BAD_ID");
  }

  transaction<T>(
    session: HandleApi | string,
    fn: (session: HandleApi) => T | Promise<T>,
    options: TransactionOptions = {},
  ): Promise<T> {
    if (typeof session === "string") return carryOn(() => this.#transactionOf(session, fn, options));
    try {
      // No promise around the one that the handle gives.
      return session.transaction(fn, options);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  async #transactionOf<T>(
    id: string,
    fn: (session: HandleApi) => T | Promise<T>,
    options: TransactionOptions,
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

  async status(): Promise<Record<string, unknown>> {
    const { json } = await this.#connection.call("status");
    return JSON.parse(json);
  }

  close(): void {
    this.#isClosed = true;
    this.#connection.close();
    this.#cache.clear();
  }

  // -- what handles and the middleware use

  /** The contents if this worker has them and the file has not changed since: one stat, no round trip. */
  current(id: string): Contents | undefined {
    return this.#cache.current(id, Date.now());
  }

  /** Like `current`, and asks the daemon if it must. Never rejects: what failed is in `problem`. */
  async find(id: string): Promise<Opened> {
    const contents = this.current(id);
    return contents === undefined ? this.ask(id) : { contents };
  }

  /** For who has no current copy. Never rejects: what failed is in `problem`. */
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
    const known = this.#cache.peek(id);
    return this.#connection.call("open", id, known?.base ?? 0).then((state) => {
      if (state.kind === KIND.absent) this.#cache.drop(id);
      return this.#adopt(id, state, known);
    });
  }

  /** Not async: a promise that only hands on another one is paid for at every commit. */
  apply(request: CommitRequest): Promise<Contents | undefined> {
    if (this.#maxSessionBytes === 0) return this.ready().then(() => this.apply(request));
    const { id, base } = request;
    const delta = encodeDelta(request.entries, request.moved);
    this.#checkSize(delta.length + bytesBeside(request));
    const sequence = this.#connection.nextSequence();
    return this.#connection
      .call("commit", id, sequence, base?.base ?? 0, delta, optionsOf(request, this.#held()))
      .then((state) => (state.kind === KIND.same ? this.#adoptCommit(request, delta, state) : this.#adopt(id, state)));
  }

  #adoptCommit(request: CommitRequest, delta: Buffer, state: State): Contents {
    const { id, base, timeoutSeconds, cookiePath, shares } = request;
    const change = { delta, nowMs: state.startupMs, timeoutSeconds, cookiePath, shares };
    const contents = Contents.fromChange(state, base, change, request);
    this.#cache.keep(id, contents, request.entries.values());
    return contents;
  }

  /** A frame that no session could hold would only cost the connection. */
  #checkSize(bytes: number): void {
    if (bytes <= this.#maxSessionBytes) return;
    const what = `The changes take ${bytes} bytes; a session may have ${this.#maxSessionBytes}.`;
    throw new SessionError("ERR_TOO_LARGE", what);
  }

  async touch(id: string, contents: Contents): Promise<Contents | undefined> {
    const state = await this.#connection.call("touch", id, contents.base, ...this.#held());
    return this.#adopt(id, state, contents);
  }

  async end(id: string): Promise<void> {
    this.#cache.drop(id);
    await this.#connection.call("abandon", id, ...this.#held());
    this.#cache.drop(id);
  }

  async lease(id: string, leaseMs: number): Promise<Grant> {
    const known = this.#cache.peek(id);
    const answer = await this.#connection.call("lease", id, leaseMs, known?.base ?? 0, ...this.#held());
    const deadlineMs = performance.now() + (leaseMs === 0 ? this.#leaseMs : leaseMs);
    const lease = { id, fence: answer.fence, deadlineMs, life: this.#connection.life, isOver: false };
    try {
      const contents = this.#adopt(id, answer, known);
      if (contents === undefined) throw new SessionError("ERR_SESSION_GONE", `Session ${id} is gone.`);
      return { ...lease, contents };
    } catch (error) {
      await this.release(lease);
      throw error;
    }
  }

  /** Gives a lease back, if that is not done. Never rejects: a daemon that cannot be told is left, and the lease ends with the connection. */
  async release(lease: GrantedLease): Promise<void> {
    if (lease.isOver) return;
    lease.isOver = true;
    if (!this.isInForce(lease)) return;
    try {
      await this.#connection.call("release", lease.id, lease.fence);
    } catch {
      // Whatever the reason: nobody may have to wait for the end of this lease.
      this.#connection.leave(lease.life);
    }
  }

  /** False when the connection that gave the lease is gone, and the lease with it. */
  isInForce({ life }: HeldLease): boolean {
    return life === this.#connection.life;
  }

  /** The field that tells which leases of this connection end only after the call, if there are such. */
  #held(): [] | [number[]] {
    const around = transactionsAround();
    if (around.length === 0) return NOTHING_HELD;
    const fences = around.filter(({ grant }) => this.isInForce(grant)).map(({ grant }) => grant.fence);
    return fences.length === 0 ? NOTHING_HELD : [fences];
  }

  /** @param known what `KIND.same` refers to. */
  #adopt(id: string, state: State, known?: Contents): Contents | undefined {
    if (state.kind === KIND.absent) return undefined;
    const contents = state.image === null ? known?.stamped(state) : Contents.fromImage(state, state.image);
    if (contents === undefined)
      throw new SessionError("ERR_PROTOCOL", "The daemon sent no contents and none were known.");
    this.#cache.keep(id, contents, state.image === null ? NONE_FRESH : [contents.image]);
    return contents;
  }
}

/** Sessions of one root must not be made in another because its daemon has got hold of the socket. */
function checkServes({ root, socket }: Places, directory: string): void {
  const wanted = join(root, "session");
  // None: its sessions are in no files.
  if (directory === "" || directory === wanted || isSameDirectory(directory, wanted)) return;
  const what = `The daemon on ${socket} keeps its sessions in ${directory}, not in ${wanted}.`;
  throw new SessionError("ERR_BAD_OPTION", what);
}

/** By another name: through a symbolic link, say. */
function isSameDirectory(one: string, other: string): boolean {
  try {
    const [a, b] = [statSync(one), statSync(other)];
    return a.ino === b.ino && a.dev === b.dev;
  } catch {
    // Whatever the system error: what cannot be looked at is not the same.
    return false;
  }
}

/** What travels beside the delta, where that is more than an envelope. */
function bytesBeside({ shares, cookiePath = "" }: CommitRequest): number {
  let bytes = 3 * cookiePath.length;
  for (const { key, otherKey } of shares) bytes += 64 + 3 * (key.length + otherKey.length);
  return bytes > ENVELOPE_BYTES ? bytes : 0;
}

function optionsOf(request: CommitRequest, [held]: readonly number[][]): object | null {
  const { isNew, isUnique, timeoutSeconds, cookiePath, fence, keepsLease, shares } = request;
  const isPlain = !isNew && !isUnique && fence === undefined && held === undefined && shares.length === 0;
  if (isPlain && timeoutSeconds === undefined && cookiePath === undefined) return null;
  const options: Record<string, unknown> = {};
  if (isNew) options.create = true;
  if (isUnique) options.unique = true;
  if (timeoutSeconds !== undefined) options.timeoutSeconds = timeoutSeconds;
  if (cookiePath !== undefined) options.cookiePath = cookiePath;
  if (fence !== undefined) Object.assign(options, keepsLease === true ? { fence } : { fence, release: true });
  else if (held !== undefined) options.held = held;
  if (shares.length > 0) options.shares = shares;
  return options;
}

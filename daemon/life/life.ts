// The life of a daemon: how it comes to serve its root, what it looks after meanwhile, and how it leaves.
//
//   CANDIDATE  nothing is written yet           CANDIDATE -> SERVING: elected, the backend is made, the socket listens
//                                               CANDIDATE -> STOPPED: it cannot be, or its place has gone to somebody else before
//   SERVING    calls are taken and answered     SERVING -> LEAVING: stop, retire, nobody came for `idleExitMs`
//                                               SERVING -> DEPOSED: pid file, lock directory or socket have gone to somebody else
//   LEAVING    calls that arrived are answered  LEAVING -> STOPPED; LEAVING -> DEPOSED: as above
//   DEPOSED    nothing is written or answered   DEPOSED -> STOPPED
//   STOPPED    nothing is left

import { SessionError } from "../../protocol/errors.ts";
import { VERSION } from "../../protocol/version.ts";
import type { Backend, Engine } from "../backend/backend.ts";
import { type Config, DEFAULT_TYPE } from "../config.ts";
import type { Daemon } from "../daemon.ts";
import { electedPid, Peer } from "../peer/peer.ts";
import { Log, Metrics } from "../report/report.ts";
import { makeServer, type Server, TurnEnd } from "../wire/wire.ts";
import { elect } from "./election.ts";
import { Place } from "./place.ts";
import { Pulse } from "./pulse.ts";
import { describeDaemon } from "./status.ts";

export { type Election, elect } from "./election.ts";

/** How soon a daemon knows that its place was taken, while nobody writes. */
const PLACE_MS = 1_000;
/** An idle daemon is looked at a few times within `idleExitMs`, and not so often that it costs anything. */
const IDLE_LOOKS = 4;
const MIN_IDLE_LOOK_MS = 50;
const MAX_IDLE_LOOK_MS = 1_000;

export class Life implements Daemon {
  readonly socket: string;
  readonly stopped: Promise<void>;
  readonly #config: Config;
  readonly #log: Log;
  readonly #metrics = new Metrics();
  readonly #turnEnd = new TurnEnd();
  readonly #timers: NodeJS.Timeout[] = [];
  #noteStopped: () => void = () => undefined;
  /** LEAVING or DEPOSED since there is one. */
  #stopping: Promise<void> | undefined;
  #isServing = false;
  /** Why its place is somebody else's. */
  #lost: string | undefined;
  #hasLostPlace = false;
  #place: Place | undefined;
  #backend: Backend | undefined;
  #server: Server | undefined;
  #idleSinceMs = performance.now();

  private constructor(config: Config) {
    this.#config = config;
    this.socket = config.socket;
    this.#log = Log.of(config);
    this.stopped = new Promise((resolve) => {
      this.#noteStopped = resolve;
    });
  }

  /**
   * Serves the sessions that the engine keeps, once this resolves.
   *
   * @throws SessionError ERR_DAEMON_RUNNING when another daemon serves this root already; ERR_SOCKET_PATH; ERR_STORE with the system's error.
   */
  static async begin(config: Config, engine: Engine): Promise<Daemon> {
    const life = new Life(config);
    try {
      await life.#begin(engine);
    } catch (error) {
      if (error instanceof SessionError) throw error;
      throw new SessionError("ERR_STORE", `No daemon could start in ${config.root}: ${error}.`, { cause: error });
    }
    return life;
  }

  get hasLostPlace(): boolean {
    return this.#hasLostPlace;
  }

  stop(): Promise<void> {
    this.#stopping ??= this.#leave();
    return this.#stopping;
  }

  async #begin(engine: Engine): Promise<void> {
    const place = await this.#takePlace();
    try {
      await this.#checkSocketIsFree();
      this.#checkHasPlace();
      const backend = await this.#makeBackend(engine, place);
      this.#checkHasPlace();
      await this.#serve(backend).listen();
      this.#checkHasPlace();
      this.#isServing = true;
      backend.start();
      this.#startTimers(place);
    } catch (error) {
      await this.#log.attempt("stop-failed", () => this.#server?.stopListening());
      await this.#takeApart();
      throw error;
    }
    const { root, type } = this.#config;
    this.#log.info("ready", {
      version: VERSION,
      socket: this.socket,
      root,
      ...(type === DEFAULT_TYPE ? {} : { type }),
    });
  }

  async #takePlace(): Promise<Place> {
    const config = this.#config;
    const election = await elect(config, (reason) => this.#stepDown(reason));
    if (election === undefined) {
      this.#metrics.stop();
      const what = `Another daemon (pid ${electedPid(config) ?? "unknown"}) already serves ${nameOf(config)}.`;
      throw new SessionError("ERR_DAEMON_RUNNING", what);
    }
    this.#place = new Place(election, {
      isNamed: () => this.#server?.isStillNamed === true,
      onLost: (reason) => this.#stepDown(reason),
      onUnknown: (error) => this.#log.warn("place-unknown", { error: String(error) }),
    });
    return this.#place;
  }

  /** A daemon of the same root and type that still has the socket is one whose place was taken; so is one that does not answer any more. */
  async #checkSocketIsFree(): Promise<void> {
    const { root, socket, type } = this.#config;
    const served = await new Peer(this.#config).served().catch(() => undefined);
    if (served === undefined || (served.root === root && served.type === type)) return;
    throw new SessionError("ERR_SOCKET_PATH", `The daemon of ${nameOf(served)} serves on ${socket} already.`);
  }

  /** While it waited another daemon may have begun to serve: its socket and its journal must stay. */
  #checkHasPlace(): void {
    if (this.#lost === undefined) return;
    const what = `The daemon of ${nameOf(this.#config)} has lost its place before it could serve: ${this.#lost}.`;
    throw new SessionError("ERR_DAEMON_RUNNING", what);
  }

  async #makeBackend(engine: Engine, place: Place): Promise<Backend> {
    this.#backend = await engine({
      config: this.#config,
      log: this.#log,
      metrics: this.#metrics,
      requestWork: () => this.#turnEnd.requestWork(),
      mayWrite: () => place.mayWrite(),
      every: (ms, action) => this.#every(ms, action),
    });
    return this.#backend;
  }

  #serve(backend: Backend): Server {
    const parts = { config: this.#config, log: this.#log, metrics: this.#metrics, backend, turnEnd: this.#turnEnd };
    const server = makeServer({
      ...parts,
      report: () => describeDaemon({ ...parts, server }),
      retire: () => this.#retire(),
    });
    this.#server = server;
    return server;
  }

  #startTimers(place: Place): void {
    const pulse = new Pulse(this.#log);
    const { idleExitMs } = this.#config;
    this.#every(PLACE_MS, () => place.check());
    this.#every(Pulse.everyMs, () => pulse.feel());
    if (idleExitMs === 0) return;
    const lookMs = Math.max(MIN_IDLE_LOOK_MS, Math.min(MAX_IDLE_LOOK_MS, idleExitMs / IDLE_LOOKS));
    this.#every(lookMs, () => this.#checkIdle(idleExitMs));
  }

  #every(ms: number, action: () => void): void {
    this.#timers.push(setInterval(action, ms).unref());
  }

  #checkIdle(idleExitMs: number): void {
    // An operator who only watches keeps no daemon from leaving.
    if (this.#server?.connectionCount !== this.#metrics.watches.count) this.#idleSinceMs = performance.now();
    else if (performance.now() - this.#idleSinceMs > idleExitMs) void this.stop();
  }

  #retire(): void {
    this.#log.info("retiring", { reason: "another daemon takes over" });
    void this.stop();
  }

  /** Somebody else may be the daemon now: nothing may be written any more, and those who wait ask that one. */
  #stepDown(reason: string): void {
    if (this.#lost !== undefined) return;
    this.#lost = reason;
    this.#log.error("stepping-down", { reason });
    this.#server?.destroy();
    if (this.#stopping !== undefined || !this.#isServing) return;
    this.#hasLostPlace = true;
    this.#stopping = this.#takeApart();
  }

  async #leave(): Promise<void> {
    await this.#log.attempt("stop-failed", () => this.#server?.stopListening());
    await this.#backend?.stop();
    await this.#server?.close();
    await this.#takeApart();
  }

  /** What fails here is left to the next daemon, which expects left-overs; the other steps follow. */
  async #takeApart(): Promise<void> {
    for (const timer of this.#timers) clearInterval(timer);
    this.#metrics.stop();
    await this.#backend?.close(() => this.#place?.isOurs !== false);
    await this.#log.attempt("stop-failed", () => this.#place?.leave());
    this.#log.info("stopped", { socket: this.socket });
    this.#noteStopped();
  }
}

/** A root, where it has the usual type, or both. */
function nameOf({ root, type }: { readonly root: string; readonly type: string }): string {
  return type === DEFAULT_TYPE ? root : `${root} (type ${type})`;
}

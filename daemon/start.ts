// Composition: puts the parts of a daemon together and takes them apart again. Knows every part and no detail.

import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { SessionError } from "../protocol/errors.ts";
import { maxOpenFiles } from "../protocol/places.ts";
import { PROTOCOL_VERSION } from "../protocol/wire/operations.ts";
import { servedRoot } from "./cli/ask.ts";
import { type Config, type DaemonOptions, prepareRoot, resolveConfig } from "./config.ts";
import { nativeProblem } from "./files/native.ts";
import { ForeignWriters, Reconcile } from "./foreign/foreign.ts";
import { type Election, elect, electedPid } from "./life/election.ts";
import { Journal, replayJournal, withoutOldChanges } from "./once/journal.ts";
import { Log } from "./report/log.ts";
import { Metrics } from "./report/metrics.ts";
import { Sessions, Sweep, Tombstones } from "./sessions/sessions.ts";
import { type GambasFileOptions, GambasFileStore } from "./store/gambas-file/store.ts";
import { MemoryStore } from "./store/memory/store.ts";
import type { ChangeWatch, Store } from "./store/store.ts";
import { VERSION } from "./version.ts";
import type { Connection } from "./wire/connection.ts";
import { Dispatch } from "./wire/dispatch.ts";
import { makeHandlers } from "./wire/handlers.ts";
import { Server } from "./wire/server.ts";
import { TurnEnd } from "./wire/turn-end.ts";

export type { DaemonOptions } from "./config.ts";

export interface Daemon {
  /** Path of the Unix socket it answers on. */
  readonly socket: string;
  /** Answers what is in flight, gives up the socket and the election, and resolves when nothing is left. */
  stop(): Promise<void>;
  /** Resolves when it has stopped, by `stop` or because its place was taken from it. */
  readonly stopped: Promise<void>;
  /** Its place was taken from it: it has not ended because somebody asked for that. */
  readonly hasLostPlace: boolean;
}

/** Around a session of the largest size. */
const FRAME_OVERHEAD_BYTES = 64 * 1024;
/** The session, its twin and its lock. */
const FILES_PER_SESSION = 3;
const PULSE_MS = 1000;
/** How soon it is known that a Gambas program has ended: until then it may be the one that has saved. */
const LOOK_MS = 200;
/** So often it is looked whether what an earlier daemon changed is too old to matter. */
const FORGET_MS = 60_000;
/** An event loop that was late by so much is told of. */
const STALL_MS = 1000;

/**
 * Runs a daemon in this process.
 *
 * @throws SessionError ERR_DAEMON_RUNNING when one serves this root already; ERR_BAD_ROOT, ERR_SOCKET_PATH, ERR_BAD_OPTION,
 *   ERR_STORE with the system's error.
 */
export async function startDaemon(options: DaemonOptions = {}): Promise<Daemon> {
  const config = resolveConfig(options);
  prepareRoot(config.root);
  const life = new Life(config);
  try {
    await life.begin();
  } catch (error) {
    if (error instanceof SessionError) throw error;
    throw new SessionError("ERR_STORE", `No daemon could start in ${config.root}: ${error}.`, { cause: error });
  }
  return life;
}

class Life implements Daemon {
  readonly socket: string;
  readonly stopped: Promise<void>;
  readonly #config: Config;
  readonly #log: Log;
  readonly #metrics = new Metrics();
  readonly #server: Server;
  readonly #timers: NodeJS.Timeout[] = [];
  #noteStopped: () => void = () => undefined;
  #stopping: Promise<void> | undefined;
  #hasLostPlace = false;
  #election: Election | undefined;
  #parts: Parts | undefined;
  #idleSinceMs = performance.now();
  #pulseMs = 0;

  constructor(config: Config) {
    this.#config = config;
    this.socket = config.socket;
    this.#log = new Log(config.logLevel, config.logFile);
    this.stopped = new Promise((resolve) => {
      this.#noteStopped = resolve;
    });
    this.#server = new Server(
      { socket: config.socket, maxFrameBytes: config.maxSessionBytes + FRAME_OVERHEAD_BYTES },
      {
        onFrame: (connection, frame) => this.#parts?.dispatch.receive(connection, frame),
        onClose: (connection) => this.#forget(connection),
        onCut: ({ client }, reason) => this.#log.warn("connection-cut", { client, reason }),
        onAcceptFailed: (error) => this.#log.error("accept-failed", { error: String(error) }),
        onUnsent: () => this.#parts?.turnEnd.request(),
      },
    );
  }

  get hasLostPlace(): boolean {
    return this.#hasLostPlace;
  }

  async begin(): Promise<void> {
    this.#election = await elect(this.#config.root, (reason) => this.#stepDown(reason));
    if (this.#election === undefined) {
      this.#metrics.stop();
      const { root } = this.#config;
      const what = `Another daemon (pid ${electedPid(root) ?? "unknown"}) already serves ${root}.`;
      throw new SessionError("ERR_DAEMON_RUNNING", what);
    }
    try {
      await this.#checkSocketIsFree();
      this.#parts = this.#makeParts();
      await this.#server.listen();
    } catch (error) {
      await this.#attempt(() => this.#server.stopListening());
      await this.#takeApart();
      throw error;
    }
    this.#parts.sweep.start();
    this.#parts.watch?.start();
    this.#startTimers(this.#parts);
    if (nativeProblem !== undefined) this.#log.warn("no-record-locks", { reason: nativeProblem });
    for (const words of this.#parts.store.fileSystem?.lacks ?? []) this.#noteLack(words);
    this.#log.info("ready", { version: VERSION, socket: this.socket, root: this.#config.root });
  }

  /** A daemon of the same root that still has it is one whose place was taken; so is one that does not answer any more. */
  async #checkSocketIsFree(): Promise<void> {
    const { root, socket } = this.#config;
    const served = await servedRoot(this.#config).catch(() => undefined);
    if (served === undefined || served === root) return;
    throw new SessionError("ERR_SOCKET_PATH", `The daemon of ${String(served)} serves on ${socket} already.`);
  }

  stop(): Promise<void> {
    this.#stopping ??= this.#leave();
    return this.#stopping;
  }

  /** Who never said hello has nothing anywhere. */
  #forget(connection: Connection): void {
    if (connection.client !== undefined) this.#parts?.sessions.forget(connection);
  }

  #makeParts(): Parts {
    const config = this.#config;
    const turnEnd = new TurnEnd([() => sessions.flush(), () => this.#server.flush()]);
    const tombstones = new Tombstones(config.maxTombstones, config.tombstoneSeconds);
    const store = makeStore(config, { log: this.#log, onLack: (words) => this.#noteLack(words) });
    if (config.durability === "fsync") store.flushes?.check();
    const { recovery } = store;
    const journalPath = join(config.root, "sessiond.journal");
    const replay = recovery === undefined ? { commits: [], ended: new Map() } : replayJournal(journalPath);
    for (const [id, endedMs] of replay.ended) tombstones.add(id, endedMs);
    tombstones.prune(Date.now());
    const published = replay.commits.filter(
      ({ isLast, id, revision, replaced }) => !isLast || recovery?.wasPublished(id, revision, replaced),
    );
    const applied = withoutOldChanges(published, steadyMs() - config.repairSeconds * 1000);
    const journal = recovery === undefined ? undefined : new Journal(journalPath, applied, () => tombstones.entries());
    const { maxReplacedValues, repairSeconds } = config;
    const { programs } = store;
    const foreign = new ForeignWriters({
      ...{ programs, maxReplacedValues, repairSeconds, steadyMs, earlier: applied },
      ...{ log: this.#log, metrics: this.#metrics },
    });
    const sessions = new Sessions({
      config,
      store,
      log: this.#log,
      metrics: this.#metrics,
      foreign,
      tombstones,
      journal,
      now: () => Date.now(),
      requestTurnEnd: () => turnEnd.request(),
      mayWrite: () => this.#mayWrite(),
    });
    sessions.recall(applied);
    try {
      recovery?.removeLeftovers();
    } catch (error) {
      journal?.close();
      throw error;
    }
    const sweep = new Sweep({ store, sessions, tombstones, log: this.#log, now: () => Date.now() }, config.sweepMs);
    const instance = randomBytes(9).toString("base64url");
    const report = (): Record<string, unknown> => this.#report();
    const retire = (): void => this.#retire();
    const problems = { log: this.#log, metrics: this.#metrics };
    const { metrics } = problems;
    const handlers = makeHandlers({ config, sessions, metrics, instance, directory: store.directory, report, retire });
    const dispatch = new Dispatch(handlers, problems);
    const reconcile = new Reconcile(sessions);
    const watch = this.#makeWatch(sessions, { store, reconcile });
    return { turnEnd, tombstones, foreign, store, journal, sessions, sweep, dispatch, reconcile, watch };
  }

  #noteLack(what: string): void {
    this.#log.warn("file-system", { root: this.#config.root, what });
  }

  #makeWatch(sessions: Sessions, { store, reconcile }: Pick<Parts, "store" | "reconcile">): ChangeWatch | undefined {
    const onMissed = (): void => reconcile.requestWhole();
    return store.watch?.({ onChange: (id) => sessions.lookAgain(id), onMissed });
  }

  #startTimers(parts: Parts): void {
    this.#pulseMs = performance.now();
    const { reconcileMs, idleExitMs } = this.#config;
    if (reconcileMs > 0 && parts.watch !== undefined) {
      this.#every(reconcileMs, () => parts.reconcile.request());
      this.#every(1000, () => parts.watch?.check());
    }
    this.#every(1000, () => this.#checkPlace());
    this.#every(LOOK_MS, () => parts.foreign.look());
    this.#every(PULSE_MS, () => this.#feelPulse());
    this.#every(FORGET_MS, () => parts.foreign.prune());
    if (idleExitMs > 0) this.#every(Math.max(50, Math.min(1000, idleExitMs / 4)), () => this.#checkIdle(idleExitMs));
  }

  #every(ms: number, action: () => void): void {
    this.#timers.push(setInterval(action, ms).unref());
  }

  /** Everybody waits while this process does not run: somebody stopped it, or the machine has no time for it. */
  #feelPulse(): void {
    const lateMs = performance.now() - this.#pulseMs - PULSE_MS;
    this.#pulseMs = performance.now();
    if (lateMs > STALL_MS) this.#log.warn("stalled", { ms: Math.round(lateMs) });
    this.#log.tellSuppressed();
  }

  /** Asked before everything that is written: a process that was stopped does not know how long. One stat. */
  #mayWrite(): boolean {
    try {
      if (this.#election?.isStillOurs() !== false) return true;
    } catch {
      // Whatever the system error: what comes next meets it too, and is answered with it.
      return true;
    }
    this.#stepDown("the pid file was replaced or removed");
    return false;
  }

  #checkPlace(): void {
    try {
      if (!this.#mayWrite()) return;
      if (!this.#server.isStillNamed) this.#stepDown("the socket was replaced or removed");
      else this.#parts?.journal?.keepName();
    } catch (error) {
      // What cannot be looked at now is looked at again in a second.
      this.#log.warn("place-unknown", { error: String(error) });
    }
  }

  #checkIdle(idleExitMs: number): void {
    if (this.#server.connectionCount > 0) this.#idleSinceMs = performance.now();
    else if (performance.now() - this.#idleSinceMs > idleExitMs) void this.stop();
  }

  #retire(): void {
    this.#log.info("retiring", { reason: "another daemon takes over" });
    void this.stop();
  }

  /** Somebody else may be the daemon now: nothing may be written any more. */
  #stepDown(reason: string): void {
    if (this.#stopping !== undefined) return;
    this.#log.error("stepping-down", { reason });
    this.#hasLostPlace = true;
    this.#server.destroy();
    this.#stopping = this.#takeApart();
  }

  async #leave(): Promise<void> {
    await this.#attempt(() => this.#server.stopListening());
    await this.#parts?.sweep.stop();
    await this.#attempt(() => this.#parts?.sessions.stop());
    await this.#server.close();
    await this.#takeApart();
  }

  async #takeApart(): Promise<void> {
    for (const timer of this.#timers) clearInterval(timer);
    this.#metrics.stop();
    const parts = this.#parts;
    await parts?.sweep.stop();
    await parts?.watch?.stop();
    parts?.reconcile.stop();
    await this.#attempt(() => parts?.sessions.stop());
    await this.#attempt(() => parts?.journal?.close());
    await this.#attempt(() => parts?.store.close());
    await this.#attempt(() => {
      // Another daemon's by now, if it is not ours any more.
      if (this.#election?.isStillOurs() !== false) parts?.store.recovery?.removeAside();
    });
    await this.#attempt(() => this.#election?.resign());
    this.#log.info("stopped", { socket: this.socket });
    this.#noteStopped();
  }

  /** One step of leaving. What fails is left to the next daemon, which expects left-overs; the other steps follow. */
  async #attempt(step: () => Promise<void> | void): Promise<void> {
    try {
      await step();
    } catch (error) {
      this.#log.error("stop-failed", { error: String(error) });
    }
  }

  #report(): Record<string, unknown> {
    const { sessions, sweep, tombstones } = this.#parts ?? {};
    return {
      version: VERSION,
      protocol: PROTOCOL_VERSION,
      pid: process.pid,
      root: this.#config.root,
      engine: this.#config.engine,
      durability: this.#config.durability,
      hasRecordLocks: nativeProblem === undefined && this.#parts?.store.fileSystem?.report.recordLocks !== false,
      fileSystem: this.#parts?.store.fileSystem?.report,
      gambas: this.#parts?.store.programs?.dialectInWords,
      isWatching: this.#parts?.watch?.isWatching,
      connections: this.#server.connectionCount,
      ...this.#server.waiting,
      sessionsCached: sessions?.count,
      sessionsAwake: sessions?.awakeCount,
      bytesCached: sessions?.bytes,
      waitingTurns: sessions?.waitingCount,
      sessionsOnDisk: sweep?.onDisk,
      tombstones: tombstones?.count,
      memoryBytes: memoryBytes(),
      ...this.#metrics.report(),
    };
  }
}

interface Parts {
  readonly turnEnd: TurnEnd;
  readonly tombstones: Tombstones;
  readonly foreign: ForeignWriters;
  readonly store: Store;
  readonly journal: Journal | undefined;
  readonly sessions: Sessions;
  readonly sweep: Sweep;
  readonly dispatch: Dispatch;
  readonly reconcile: Reconcile;
  readonly watch: ChangeWatch | undefined;
}

/** Unix time as it was when this process began, and the time that has passed since: no setting of the clock changes it. */
function steadyMs(): number {
  return performance.timeOrigin + performance.now();
}

/** Null when that cannot be found out, for want of a descriptor say: then the rest of the status matters all the more. */
function memoryBytes(): number | null {
  try {
    return process.memoryUsage.rss();
  } catch {
    return null;
  }
}

function makeStore(config: Config, told: Pick<GambasFileOptions, "log" | "onLack">): Store {
  const { root, engine, gambas, openSessions } = config;
  if (engine === "memory") return new MemoryStore();
  return new GambasFileStore({ root, gambas, openSessions: Math.min(openSessions, affordableSessions()), ...told });
}

/** Half of the descriptors are for connections and whatever else comes. */
function affordableSessions(): number {
  const files = maxOpenFiles((path) => readFileSync(path, "latin1")) ?? Number.POSITIVE_INFINITY;
  return Math.max(1, Math.floor(files / 2 / FILES_PER_SESSION));
}

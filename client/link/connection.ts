// A worker's connection to the daemon: hello, pending calls, one write per run of the event loop, and a new connection
// when the old one breaks.
//
// A call is in `#pending` from when it is made until it is answered or has failed. Each new connection sends all
// pending calls, in order and with their old numbers. So a commit survives the loss of its connection:
//   1. The worker sends the commit, and the connection breaks before the answer.
//   2. The worker connects again, maybe to a new daemon, and sends the commit with the same number.
//   3. A daemon that finds this commit applied answers it, and does not apply it again.
//
// A living daemon answers hello at any time, however long the calls themselves have to wait. So a silent daemon is sent
// a hello; if it does not answer that either (it was stopped, say), the worker waits for it no longer than for a daemon
// that is gone.

import { randomBytes } from "node:crypto";
import { connect as connectSocket, type Socket } from "node:net";
import { SessionError } from "../../protocol/errors.ts";
import { MAX_TIMER_MS, msLeft, type Places } from "../../protocol/places.ts";
import {
  type CallOf,
  FrameReader,
  FrameWriter,
  type OperationName,
  type OutgoingCall,
  olderVersion,
  PendingCall,
  PendingCalls,
  PROTOCOL_VERSION,
  type ResponseOf,
  readAnswer,
  readMessage,
  writeCall,
} from "../../protocol/wire/wire.ts";
import { runOutside } from "../scope.ts";
import type { DaemonProgram } from "./daemon-program.ts";
import { Sequences } from "./sequences.ts";
import { checkIsOurs } from "./socket-owner.ts";
import { OPEN_MORE, spawnDaemon } from "./spawn.ts";

export interface ConnectionOptions {
  readonly places: Places;
  /** Undefined: never start a daemon. */
  readonly spawn: DaemonProgram | undefined;
  readonly waitMs: number;
  readonly onHello: (hello: ResponseOf<"hello">) => void;
  /** There is no connection any more. */
  readonly onLost: () => void;
}

/** What a client needs of its connection. */
export type Line = Pick<Connection, "life" | "ready" | "call" | "nextSequence" | "leave" | "close">;

/** More than the largest session and its envelope take: no answer of a daemon is longer. */
const MAX_FRAME_BYTES = 1024 * 1024 * 1024;
const RETRY_PAUSE_MS = 20;
/** After a start that failed the worker rests this many times as long as the try took: each try costs the machine. */
const REST_FACTOR = 5;
const HELLO = 0;
/** So often within the time of `#silenceMs` the worker looks whether the daemon has said anything. */
const LOOKS = 10;
/** A daemon that is silent for less than this may only be busy: no shorter `waitMs` makes the worker give it up. */
const MIN_SILENCE_MS = 1_000;

export class Connection {
  readonly #options: ConnectionOptions;
  /** Names this worker to every daemon it meets. */
  readonly #clientName: string = randomBytes(12).toString("base64url");
  readonly #pending = new PendingCalls();
  readonly #writer = new FrameWriter();
  #socket: Socket | undefined;
  /** Waits for its answer to hello. */
  #greeted: Socket | undefined;
  #connecting: Promise<void> | undefined;
  #isFlushDue = false;
  readonly #sequences = new Sequences();
  #life = 0;
  #wasEverConnected = false;
  #closedBy: Error | undefined;
  /** One timer for the connection, not one for each call: a timer per call would cost time at every commit. */
  #lookout: NodeJS.Timeout | undefined;
  #wasHeard = false;
  #silentLooks = 0;

  constructor(options: ConnectionOptions) {
    this.#options = { ...options, waitMs: Math.min(options.waitMs, MAX_TIMER_MS) };
  }

  /** The number of connections made so far. A lease belongs to one connection, and is void on the next. */
  get life(): number {
    return this.#life;
  }

  /** Numbers a commit of this worker; `floor` is the lowest one that it waits for. To be called just before the call is made. */
  nextSequence(): { readonly sequence: number; readonly floor: number } {
    return { sequence: this.#sequences.next(), floor: this.#sequences.floor };
  }

  /** Connects, and starts a daemon if none answers. */
  ready(): Promise<void> {
    if (this.#closedBy !== undefined) return Promise.reject(this.#closedBy);
    if (this.#socket !== undefined) return Promise.resolve();
    this.#connecting ??= runOutside(() => this.#connect()).finally(() => {
      this.#connecting = undefined;
    });
    return this.#connecting;
  }

  call<N extends OperationName>(name: N, request: CallOf<N>): Promise<ResponseOf<N>> {
    if (this.#closedBy !== undefined) return Promise.reject(this.#closedBy);
    const call = new PendingCall(name, request);
    if (this.#pending.size === 0) this.#socket?.ref();
    this.#pending.add(call);
    if (this.#socket === undefined) this.#reconnect();
    else this.#send(call);
    return call.answer as Promise<ResponseOf<N>>;
  }

  close(): void {
    this.#end(new SessionError("ERR_CLOSED"));
  }

  /**
   * Leaves connection number `life`, unless it was left before. The daemon ends the turns and leases that it owns;
   * pending calls are sent again on the next connection.
   */
  leave(life: number): void {
    const socket = life === this.#life ? this.#leaveSocket() : undefined;
    socket?.destroy();
    if (socket !== undefined && this.#pending.size > 0) this.#reconnect();
  }

  #send(call: OutgoingCall<OperationName>): void {
    writeCall(this.#writer, call);
    if (this.#isFlushDue) return;
    this.#isFlushDue = true;
    setImmediate(() => this.#flush());
  }

  #flush(): void {
    this.#isFlushDue = false;
    if (this.#socket !== undefined && !this.#writer.isEmpty) this.#socket.write(this.#writer.take());
  }

  /** Calls wait, and there is no connection: makes one, or fails them. */
  #reconnect(): void {
    this.ready().catch((error: unknown) => this.#failPending(error as Error));
  }

  async #connect(): Promise<void> {
    const { places, spawn, waitMs } = this.#options;
    const deadlineMs = performance.now() + waitMs;
    let [lost, restUntilMs]: [SessionError | undefined, number] = [undefined, 0];
    for (;;) {
      checkIsOurs(places);
      const socket = await openSocket(places.socket);
      const found = typeof socket === "string" ? socket : await this.#greet(socket, deadlineMs);
      if (this.#closedBy !== undefined) throw this.#closedBy;
      if (found === "ready") return;
      const mayChange = found === "gone" || found === "full";
      const isHope = this.#wasEverConnected || spawn !== undefined || mayChange;
      const beganMs = performance.now();
      const mayWait = isHope && beganMs < deadlineMs;
      if (!mayWait) throw lost ?? failure(found, places, waitMs);
      if (mayChange || spawn === undefined || beganMs < restUntilMs) await pause();
      else {
        lost = await this.#spawn(spawn, deadlineMs);
        // Many workers try, and each try costs time. During the rest a worker of the next release may start a daemon.
        const triedMs = performance.now() - beganMs;
        if (lost !== undefined) restUntilMs = performance.now() + Math.max(RETRY_PAUSE_MS, REST_FACTOR * triedMs);
      }
    }
  }

  /**
   * Starts a daemon. Resolves to the reason where this process cannot start one but another process might: the worker
   * waits for a daemon of that one.
   */
  async #spawn(spawn: DaemonProgram, deadlineMs: number): Promise<SessionError | undefined> {
    const lost = await spawnDaemon(this.#options.places, spawn, msLeft(deadlineMs, performance.now()));
    if (lost !== undefined && !this.#wasEverConnected && !spawn.wasRemoved) throw lost;
    return lost;
  }

  /**
   * Says hello. "gone": the daemon closed the connection before it answered, or did not answer in time. "older": the
   * daemon is of an older release, and one that we start would take its place.
   */
  #greet(socket: Socket, deadlineMs: number): Promise<"ready" | "gone" | "older"> {
    this.#greeted = socket;
    // Closed while the connection was made.
    if (this.#closedBy !== undefined) socket.destroy();
    return new Promise((resolve, reject) => {
      const patience = setTimeout(() => socket.destroy(), msLeft(deadlineMs, performance.now()));
      let take = (frame: Buffer): void => {
        const answer = readMessage(frame);
        if (this.#options.spawn !== undefined && olderVersion(answer) !== undefined) {
          resolve("older");
          socket.destroy();
          return;
        }
        this.#options.onHello(readAnswer("hello", answer));
        clearTimeout(patience);
        this.#adopt(socket);
        resolve("ready");
        take = (next) => this.#receive(next);
      };
      const reader = new FrameReader(MAX_FRAME_BYTES);
      socket.on("data", (chunk) => {
        this.#wasHeard = true;
        try {
          reader.read(chunk, (frame) => take(frame));
        } catch (error) {
          // The daemon has refused the hello, or has sent no frames: a second try would end the same way.
          this.#failPending(error as Error);
          reject(error);
          socket.destroy();
        }
      });
      socket.once("close", () => {
        clearTimeout(patience);
        resolve("gone");
        this.#lost(socket);
      });
      socket.on("error", () => socket.destroy());
      const hello = new FrameWriter();
      writeCall(hello, this.#hello());
      socket.write(hello.take());
    });
  }

  #hello(): OutgoingCall<"hello"> {
    return { number: HELLO, name: "hello", request: { version: PROTOCOL_VERSION, client: this.#clientName } };
  }

  #adopt(socket: Socket): void {
    this.#wasEverConnected = true;
    this.#life += 1;
    this.#greeted = undefined;
    this.#socket = socket;
    this.#writer.take();
    for (const call of this.#pending.inOrder()) this.#send(call);
    if (this.#pending.size === 0) socket.unref();
    this.#silentLooks = 0;
    this.#lookout = setInterval(() => this.#look(), this.#silenceMs / LOOKS).unref();
  }

  get #silenceMs(): number {
    return Math.max(MIN_SILENCE_MS, this.#options.waitMs);
  }

  /**
   * Counts looks, not time:
   *   1. The worker itself is stalled for longer than `#silenceMs`, and meanwhile the daemon's answers arrive.
   *   2. The worker goes on: the first look counts as one, however much time has passed.
   *   3. The worker reads the answers before the next look, which finds that the daemon was heard.
   */
  #look(): void {
    const isSilent = this.#pending.size > 0 && !this.#wasHeard;
    this.#silentLooks = isSilent ? this.#silentLooks + 1 : 0;
    this.#wasHeard = false;
    if (this.#silentLooks === 2) this.#send(this.#hello());
    if (this.#silentLooks > LOOKS) this.#giveUp();
  }

  /**
   * Fails the pending calls; the next call connects anew. A daemon that goes on later may still carry out calls that it
   * finds in this connection.
   */
  #giveUp(): void {
    const socket = this.#leaveSocket();
    socket?.destroy();
    this.#failPending(unanswering(this.#options.places, this.#silenceMs));
  }

  #leaveSocket(): Socket | undefined {
    const socket = this.#socket;
    this.#socket = undefined;
    clearInterval(this.#lookout);
    if (socket !== undefined) this.#options.onLost();
    return socket;
  }

  #receive(frame: Buffer): void {
    const fields = readMessage(frame);
    const number = fields[0] as number;
    const pending = this.#take(number);
    if (pending === undefined) return;
    if (this.#pending.size === 0) this.#socket?.unref();
    try {
      pending.resolve(readAnswer(pending.name, fields));
    } catch (error) {
      pending.reject(error as Error);
    }
  }

  #lost(socket: Socket): void {
    if (this.#socket !== socket) return;
    this.#leaveSocket();
    if (this.#pending.size > 0) this.#reconnect();
  }

  #end(reason: Error): void {
    this.#closedBy ??= reason;
    this.#leaveSocket()?.destroy();
    this.#greeted?.destroy();
    this.#failPending(reason);
  }

  #failPending(error: Error): void {
    for (const { number } of this.#pending.inOrder()) this.#take(number)?.reject(error);
  }

  /** A call that is sent no more. */
  #take(number: number): PendingCall | undefined {
    const call = this.#pending.take(number);
    if (call?.name === "commit") this.#sequences.end((call.request as CallOf<"commit">).sequence);
    return call;
  }
}

/**
 * "nobody": no daemon listens on the path. "gone": so many workers wait to be let in that this one must try again. "full": this process may open no
 * more files, as long as its application has so many.
 */
function openSocket(path: string): Promise<Socket | "nobody" | "gone" | "full"> {
  return new Promise((resolve) => {
    const socket = connectSocket(path);
    socket.once("connect", () => {
      socket.removeAllListeners("error");
      resolve(socket);
    });
    socket.once("error", ({ code }: NodeJS.ErrnoException) => {
      if (code === "EMFILE" || code === "ENFILE") resolve("full");
      else resolve(code === "EAGAIN" ? "gone" : "nobody");
    });
  });
}

function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, RETRY_PAUSE_MS));
}

function failure(found: "nobody" | "gone" | "older" | "full", places: Places, waitMs: number): SessionError {
  if (found === "full") return exhausted(places);
  return found === "nobody" ? unavailable(places) : unanswering(places, waitMs);
}

function unavailable(places: Places): SessionError {
  return new SessionError("ERR_DAEMON_UNAVAILABLE", `No daemon answers on ${places.socket}.`);
}

function unanswering(places: Places, ms: number): SessionError {
  const what = `The daemon on ${places.socket} has not answered for ${ms} ms.`;
  const remedy = "If it is stopped, continue or kill it. A write that was under way may have been done.";
  return new SessionError("ERR_DAEMON_UNAVAILABLE", what, { remedy });
}

function exhausted(places: Places): SessionError {
  const what = `No connection to the daemon on ${places.socket} can be made: this process may open no more files (EMFILE).`;
  return new SessionError("ERR_DAEMON_UNAVAILABLE", what, { remedy: OPEN_MORE });
}

// One socket to the daemon: hello, pending calls, one write per turn of the event loop, and a new connection when the old one breaks.
//
// A call is in `#pending` from when it is made until it is answered or failed. Whenever a connection is (re)made everything pending is sent,
// in order and with the same numbers; the daemon answers a commit that was applied before and does not apply it again.
//
// A daemon that is alive answers hello at any time, however long the calls themselves have to wait: so one that says nothing is asked for
// it now and then, and one that does not answer that either, because it is stopped, say, is waited for no longer than one that is gone.

import { randomBytes } from "node:crypto";
import { connect as connectSocket, type Socket } from "node:net";
import { isErrorCode, SessionError } from "../../protocol/errors.ts";
import { MAX_TIMER_MS, type Places } from "../../protocol/places.ts";
import { type Field, FrameReader, FrameWriter, readMessage } from "../../protocol/wire/frame.ts";
import {
  OPERATIONS,
  type OperationName,
  olderVersion,
  PROTOCOL_VERSION,
  type ResponseOf,
} from "../../protocol/wire/operations.ts";
import { PendingCall, PendingCalls } from "../../protocol/wire/pending-calls.ts";
import { readFields } from "../../protocol/wire/shape.ts";
import { checkIsOurs } from "./socket-owner.ts";
import { mayBeReplaced, type SpawnOptions, spawnDaemon } from "./spawn.ts";

export interface ConnectionOptions {
  readonly places: Places;
  /** Undefined: never start a daemon. */
  readonly spawn: SpawnOptions | undefined;
  readonly waitMs: number;
  readonly onHello: (hello: ResponseOf<"hello">) => void;
}

/** No answer is larger than the largest session and its envelope. */
const MAX_FRAME_BYTES = 1024 * 1024 * 1024;
const RETRY_PAUSE_MS = 20;
/** After a daemon that could not be started it rests this many times as long as that took. */
const REST_FACTOR = 5;
const HELLO = 0;
/** So often within `waitMs` it is looked whether anything was heard. */
const LOOKS = 10;
/** A daemon that is silent for less than this is only busy, however little a call would wait. */
const MIN_SILENCE_MS = 1_000;

export class Connection {
  readonly #options: ConnectionOptions;
  /** Names this worker to every daemon it meets. */
  readonly #clientName: string = randomBytes(12).toString("base64url");
  readonly #pending = new PendingCalls();
  readonly #writer = new FrameWriter();
  #socket: Socket | undefined;
  #connecting: Promise<void> | undefined;
  #isFlushDue = false;
  #lastSequence = 0;
  #life = 0;
  #wasEverConnected = false;
  #closedBy: Error | undefined;
  /** One for the connection, whatever the number of calls. */
  #lookout: NodeJS.Timeout | undefined;
  #wasHeard = false;
  #silentLooks = 0;

  constructor(options: ConnectionOptions) {
    this.#options = { ...options, waitMs: Math.min(options.waitMs, MAX_TIMER_MS) };
  }

  /** Counts the connections made: what belongs to one is worth nothing on the next. */
  get life(): number {
    return this.#life;
  }

  /** Numbers the commits of this worker. */
  nextSequence(): number {
    this.#lastSequence += 1;
    return this.#lastSequence;
  }

  /** Connects, starting a daemon if need be. */
  ready(): Promise<void> {
    if (this.#closedBy !== undefined) return Promise.reject(this.#closedBy);
    if (this.#socket !== undefined) return Promise.resolve();
    this.#connecting ??= this.#connect().finally(() => {
      this.#connecting = undefined;
    });
    return this.#connecting;
  }

  call<N extends OperationName>(name: N, ...fields: readonly Field[]): Promise<ResponseOf<N>> {
    if (this.#closedBy !== undefined) return Promise.reject(this.#closedBy);
    const call = new PendingCall(name, fields);
    if (this.#pending.size === 0) this.#socket?.ref();
    this.#pending.add(call);
    if (this.#socket === undefined) this.#reconnect();
    else this.#send(call);
    return call.answer as Promise<ResponseOf<N>>;
  }

  close(): void {
    this.#end(new SessionError("ERR_CLOSED"));
  }

  /** Leaves connection number `life`, if it still is the one: what belongs to it ends, and what is not answered is asked on the next. */
  leave(life: number): void {
    const socket = life === this.#life ? this.#leaveSocket() : undefined;
    socket?.destroy();
    if (socket !== undefined && this.#pending.size > 0) this.#reconnect();
  }

  #send({ number, name, fields }: PendingCall): void {
    this.#writer.push(number, OPERATIONS[name].number, ...fields);
    if (this.#isFlushDue) return;
    this.#isFlushDue = true;
    setImmediate(() => this.#flush());
  }

  #flush(): void {
    this.#isFlushDue = false;
    if (this.#socket !== undefined && !this.#writer.isEmpty) this.#socket.write(this.#writer.take());
  }

  /** Something waits and nobody is there to answer. */
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
      if (found === "ready") return;
      const isHope = this.#wasEverConnected || spawn !== undefined || found === "gone";
      const beganMs = performance.now();
      const mayWait = isHope && beganMs < deadlineMs;
      if (!mayWait) throw lost ?? (found === "nobody" ? unavailable(places) : unanswering(places, waitMs));
      if (found === "gone" || spawn === undefined || beganMs < restUntilMs) await pause();
      else {
        lost = await this.#spawn(spawn, deadlineMs);
        // Many workers try, and each try costs: meanwhile one of the next release may have started a daemon.
        const triedMs = performance.now() - beganMs;
        if (lost !== undefined) restUntilMs = performance.now() + Math.max(RETRY_PAUSE_MS, REST_FACTOR * triedMs);
      }
    }
  }

  /** Resolves to why this process can start none where another one might: whoever takes the place of its release is waited for. */
  async #spawn(spawn: SpawnOptions, deadlineMs: number): Promise<SessionError | undefined> {
    const lost = await spawnDaemon(this.#options.places, spawn, deadlineMs - performance.now());
    if (lost !== undefined && !this.#wasEverConnected && !mayBeReplaced()) throw lost;
    return lost;
  }

  /** "gone": it left before it answered, or did not answer in time. "older": one of ours would take its place. */
  #greet(socket: Socket, deadlineMs: number): Promise<"ready" | "gone" | "older"> {
    return new Promise((resolve, reject) => {
      const patience = setTimeout(() => socket.destroy(), Math.max(1, deadlineMs - performance.now()));
      let take = (frame: Buffer): void => {
        const answer = readMessage(frame);
        if (this.#options.spawn !== undefined && olderVersion(answer) !== undefined) {
          resolve("older");
          socket.destroy();
          return;
        }
        this.#options.onHello(readHello(answer));
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
          // Refused at hello, or no sense in what it says: asking again would give the same.
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
      hello.push(HELLO, OPERATIONS.hello.number, PROTOCOL_VERSION, this.#clientName);
      socket.write(hello.take());
    });
  }

  #adopt(socket: Socket): void {
    this.#wasEverConnected = true;
    this.#life += 1;
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

  /** Counts looks and no time: a worker that was stalled itself hears what has arrived before it judges. */
  #look(): void {
    const isSilent = this.#pending.size > 0 && !this.#wasHeard;
    this.#silentLooks = isSilent ? this.#silentLooks + 1 : 0;
    this.#wasHeard = false;
    if (this.#silentLooks === 2) this.#send(new PendingCall("hello", [PROTOCOL_VERSION, this.#clientName]));
    if (this.#silentLooks > LOOKS) this.#giveUp();
  }

  /** The next call connects anew. What the daemon finds of this connection when it goes on, it may still carry out. */
  #giveUp(): void {
    const socket = this.#leaveSocket();
    socket?.destroy();
    this.#failPending(unanswering(this.#options.places, this.#silenceMs));
  }

  #leaveSocket(): Socket | undefined {
    const socket = this.#socket;
    this.#socket = undefined;
    clearInterval(this.#lookout);
    return socket;
  }

  #receive(frame: Buffer): void {
    const fields = readMessage(frame);
    const number = fields[0] as number;
    const pending = this.#pending.take(number);
    if (pending === undefined) return;
    if (this.#pending.size === 0) this.#socket?.unref();
    try {
      if (fields[1] !== 0) throw errorOf(fields[2], fields[3]);
      pending.resolve(readFields(OPERATIONS[pending.name].response, fields, 2));
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
    this.#failPending(reason);
  }

  #failPending(error: Error): void {
    for (const { number } of this.#pending.inOrder()) this.#pending.take(number)?.reject(error);
  }
}

function readHello(fields: readonly unknown[]): ResponseOf<"hello"> {
  if (fields[1] !== 0) throw errorOf(fields[2], fields[3]);
  return readFields(OPERATIONS.hello.response, fields, 2);
}

/** "nobody" listens there, or so many wait to be let in that one has to come again. */
function openSocket(path: string): Promise<Socket | "nobody" | "gone"> {
  return new Promise((resolve) => {
    const socket = connectSocket(path);
    socket.once("connect", () => {
      socket.removeAllListeners("error");
      resolve(socket);
    });
    socket.once("error", (error: NodeJS.ErrnoException) => resolve(error.code === "EAGAIN" ? "gone" : "nobody"));
  });
}

function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, RETRY_PAUSE_MS));
}

function unavailable(places: Places): SessionError {
  return new SessionError("ERR_DAEMON_UNAVAILABLE", `No daemon answers on ${places.socket}.`);
}

function unanswering(places: Places, ms: number): SessionError {
  return new SessionError("ERR_DAEMON_UNAVAILABLE", `The daemon on ${places.socket} has not answered for ${ms} ms.`);
}

/** The message of the other side says what to do already: it is not said twice. */
function errorOf(code: unknown, text: unknown): SessionError {
  const error = new SessionError(isErrorCode(code) ? code : "ERR_INTERNAL");
  if (typeof text === "string") error.message = text;
  return error;
}

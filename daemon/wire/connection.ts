// One worker's connection: bytes <-> frames, limits, backpressure. Knows no operation.
//
// What a connection holds is bounded, whatever the worker does: before hello next to nothing; then one unfinished frame, the calls that are
// not answered, and 4 MiB of answers that were not read. Answers beyond those stay what they were made of, images that the sessions
// share, until there is room for their bytes.
//
//   STRANGER  has not said hello: its frames are short    STRANGER -> GREETED: greet
//   GREETED   calls are taken and answered                GREETED -> CHOKED: more than 4 MiB wait in the socket
//   CHOKED    no call is taken, no answer written         CHOKED -> GREETED: the socket has drained
//   BROKEN    no call is taken, what was answered leaves  any -> BROKEN: a frame that cannot be read
//   CLOSED    nothing is held any more                    any -> CLOSED: the socket is closed, by whomever

import type { Socket } from "node:net";
import { FrameReader, FrameWriter } from "../../protocol/wire/wire.ts";

/** Answers that wait for a worker to read them, before it is read from no more. */
const MAX_UNREAD_BYTES = 4 * 1024 * 1024;
/** Hello is short. */
const MAX_HELLO_BYTES = 1024;
/** Looks at a connection that has not said hello, or has begun a frame and not ended it, before it is closed. */
const MAX_LOOKS = 4;

/** An answer or a failure, for as long as it is not in bytes. */
export interface Reply {
  writeTo(writer: FrameWriter): void;
}

export interface ConnectionEvents {
  receive(connection: Connection, frame: Buffer): void;
  noteClosed(connection: Connection): void;
  /** `send` has something to be flushed for the first time since the last flush. */
  noteUnsent(connection: Connection): void;
  /** The connection is closed because of what the worker sent, or did not send. */
  noteCut(connection: Connection, reason: string): void;
}

export class Connection {
  readonly #socket: Socket;
  readonly #reader: FrameReader;
  readonly #writer = new FrameWriter();
  readonly #events: ConnectionEvents;
  readonly #maxFrameBytes: number;
  #client: string | undefined;
  #isOpen = true;
  #isChoked = false;
  #unwritten: Reply[] = [];
  /** Calls that are not answered yet. */
  #waitingCalls = 0;
  /** Bytes of commits this connection has sent that are not answered yet. */
  #waitingBytes = 0;
  #waitingCommits = 0;
  #hasFramed = false;
  #isBroken = false;
  #looks = 0;
  #arrivedMs = 0;

  constructor(socket: Socket, maxFrameBytes: number, events: ConnectionEvents) {
    this.#socket = socket;
    this.#maxFrameBytes = maxFrameBytes;
    this.#reader = new FrameReader(Math.min(MAX_HELLO_BYTES, maxFrameBytes));
    this.#events = events;
    socket.on("data", (chunk: Buffer) => this.#receive(chunk));
    socket.on("close", () => this.#closed());
    // The error itself says nothing we could act on: "close" follows.
    socket.on("error", () => socket.destroy());
    socket.on("drain", () => this.#drained());
  }

  /** The worker behind it, once it said hello. */
  get client(): string | undefined {
    return this.#client;
  }

  greet(client: string): void {
    this.#client = client;
    this.#reader.maxFrameBytes = this.#maxFrameBytes;
  }

  get waitingCalls(): number {
    return this.#waitingCalls;
  }

  /** performance.now() of when the frames that are being taken arrived. */
  get arrivedMs(): number {
    return this.#arrivedMs;
  }

  get waitingBytes(): number {
    return this.#waitingBytes;
  }

  get waitingCommits(): number {
    return this.#waitingCommits;
  }

  addWaiting(bytes: number): void {
    this.#waitingCommits += 1;
    this.#waitingBytes += bytes;
  }

  removeWaiting(bytes: number): void {
    this.#waitingCommits -= 1;
    this.#waitingBytes -= bytes;
  }

  /** Answers one call. Keeps the reply for as long as it cannot be written. */
  send(reply: Reply): void {
    this.#waitingCalls -= 1;
    if (!this.#isOpen) return;
    if (this.#isChoked) this.#unwritten.push(reply);
    else this.#write(reply);
  }

  #write(reply: Reply): void {
    if (this.#writer.isEmpty) this.#events.noteUnsent(this);
    reply.writeTo(this.#writer);
    if (this.#writer.length > MAX_UNREAD_BYTES) this.flush();
  }

  /** Everything sent since the last flush leaves with one write. */
  flush(): void {
    if (!this.#isOpen || this.#writer.isEmpty) return;
    this.#socket.write(this.#writer.take());
    if (this.#isChoked || this.#socket.writableLength <= MAX_UNREAD_BYTES) return;
    this.#isChoked = true;
    this.#socket.pause();
  }

  #drained(): void {
    this.#isChoked = false;
    const unwritten = this.#unwritten;
    this.#unwritten = [];
    for (const reply of unwritten) {
      if (this.#isChoked) this.#unwritten.push(reply);
      else this.#write(reply);
    }
    if (!this.#isChoked && !this.#isBroken) this.#socket.resume();
  }

  /**
   * Called every few seconds. Closes a connection that keeps the daemon waiting for a hello, or for the end of a frame. Counts looks and no
   * time: after a stall of the daemon's the frames that have arrived are read before any connection is judged.
   */
  look(): void {
    const isUnfinished = this.#reader.heldBytes > 0 && !this.#isChoked;
    const isAwaited = this.#client === undefined || this.#isBroken || isUnfinished;
    this.#looks = isAwaited && !this.#hasFramed ? this.#looks + 1 : 0;
    this.#hasFramed = false;
    if (this.#looks > MAX_LOOKS) this.cut(this.#client === undefined ? "it says no hello" : "it ends no frame");
  }

  /** Closes at once, and says so to the operator. */
  cut(reason: string): void {
    if (!this.#isOpen) return;
    this.#events.noteCut(this, reason);
    this.#socket.destroy();
  }

  /** Flushes and closes. */
  end(): void {
    this.flush();
    this.#socket.end();
  }

  onceClosed(callback: () => void): void {
    if (this.#isOpen) this.#socket.once("close", callback);
    else callback();
  }

  /** Closes as soon as everything was written. */
  destroySoon(): void {
    this.#socket.destroySoon();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  #receive(chunk: Buffer): void {
    this.#arrivedMs = performance.now();
    try {
      this.#reader.read(chunk, (frame) => {
        this.#hasFramed = true;
        this.#waitingCalls += 1;
        this.#events.receive(this, frame);
      });
      // The worker of this connection need not wait until the calls of the other connections are answered: it works while the daemon does.
      if (this.#waitingCalls === 0) this.flush();
    } catch (error) {
      // A stream that lost its frames cannot be read any further. The worker may still read what was answered before.
      this.#isBroken = true;
      this.#socket.pause();
      this.#events.noteCut(this, error instanceof Error ? error.message : String(error));
      this.flush();
      this.#socket.destroySoon();
    }
  }

  #closed(): void {
    this.#isOpen = false;
    this.#unwritten = [];
    this.#events.noteClosed(this);
  }
}

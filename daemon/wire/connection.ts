// One worker's connection: bytes <-> frames, limits, backpressure. Knows no operation.
//
// The memory of a connection is bounded, whatever the worker does. Before hello it is next to nothing; afterwards it is
// one unfinished frame, the calls without an answer, and 4 MiB of answers that the worker has not read. Replies beyond
// those are kept unwritten, as references to images that the sessions share, until the socket has room for their bytes.
//
//   STRANGER  the worker has not said hello: short frames    STRANGER -> GREETED: greet
//   GREETED   calls are taken and answered                   GREETED -> CHOKED: more than 4 MiB wait in the socket
//   CHOKED    no call is taken, no reply is written          CHOKED -> GREETED: the socket has drained
//   BROKEN    no call is taken; written answers still leave  any -> BROKEN: a frame that cannot be read
//   CLOSED    the connection holds nothing any more          any -> CLOSED: either side has closed the socket

import type { Socket } from "node:net";
import { FrameReader, FrameWriter } from "../../protocol/wire/wire.ts";

/** With more bytes of unread answers than this, the daemon takes no calls of the worker until it has read them. */
const MAX_UNREAD_BYTES = 4 * 1024 * 1024;
/** The limit of a frame before hello, which is short: a stranger must not make the daemon hold more. */
const MAX_HELLO_BYTES = 1024;
/** Looks, a few seconds apart, that a worker has for saying hello, or for ending a frame that it has begun. */
const MAX_LOOKS = 4;

/** An answer or a failure that is not yet bytes of a frame. */
export interface Reply {
  writeTo(writer: FrameWriter): void;
}

export interface ConnectionEvents {
  receive(connection: Connection, frame: Buffer): void;
  noteClosed(connection: Connection): void;
  /** A reply was written, the first one since the last flush: a flush is due. */
  noteUnsent(connection: Connection): void;
  /** The daemon closes the connection for a fault of the worker: a frame it sent, or failed to send. */
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
  /** Calls without an answer. */
  #waitingCalls = 0;
  /** Bytes of the commits without an answer. */
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
    // An error asks for nothing that "close", which follows it, does not do.
    socket.on("error", () => socket.destroy());
    socket.on("drain", () => this.#drained());
  }

  /** The client name of the worker, once it has said hello. */
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

  /** When the frames arrived that are being taken now, by performance.now(). */
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

  /** Answers one call. A choked connection keeps the reply until the socket has drained. */
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

  /** Hands all replies since the last flush to the socket, in one write. */
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
   * Called every few seconds. Closes a connection whose worker keeps the daemon waiting for a hello, or for the end of
   * a frame. Counts looks, not time: after a stall of its own, the daemon reads the frames that have arrived before the
   * count can condemn any connection.
   */
  look(): void {
    const isUnfinished = this.#reader.heldBytes > 0 && !this.#isChoked;
    const isAwaited = this.#client === undefined || this.#isBroken || isUnfinished;
    this.#looks = isAwaited && !this.#hasFramed ? this.#looks + 1 : 0;
    this.#hasFramed = false;
    if (this.#looks > MAX_LOOKS) this.cut(this.#client === undefined ? "it says no hello" : "it ends no frame");
  }

  /** Closes the connection at once, and tells the operator why. */
  cut(reason: string): void {
    if (!this.#isOpen) return;
    this.#events.noteCut(this, reason);
    this.#socket.destroy();
  }

  /** Flushes, and closes the connection. */
  end(): void {
    this.flush();
    this.#socket.end();
  }

  onceClosed(callback: () => void): void {
    if (this.#isOpen) this.#socket.once("close", callback);
    else callback();
  }

  /** Closes the connection as soon as all flushed replies are written. */
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
      // All calls of this worker are answered. It gets the answers before the daemon takes the calls of the other
      // connections, and works while the daemon does.
      if (this.#waitingCalls === 0) this.flush();
    } catch (error) {
      // Behind a frame that cannot be read no other frame can be found. The worker may still read earlier answers.
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

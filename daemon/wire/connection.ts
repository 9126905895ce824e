// One worker's connection: bytes <-> frames, limits, backpressure. Knows no operation.
//
// What it holds is bounded, whatever the other side does: before hello next to nothing; then one unfinished frame, the calls that are
// not answered, and 4 MiB of answers that were not read. More answers than that stay what they were made of, images that the sessions
// share, until there is room for their bytes.

import type { Socket } from "node:net";
import { type Field, FrameReader, FrameWriter } from "../../protocol/wire/frame.ts";

/** Answers that wait for a worker to read them, before it is read from no more. */
const MAX_UNREAD_BYTES = 4 * 1024 * 1024;
/** Hello is short. */
const MAX_HELLO_BYTES = 1024;
/** Looks at a connection that has not said hello, or has begun a frame and not ended it, before it is closed. */
const MAX_LOOKS = 4;

export interface ConnectionEvents {
  readonly onFrame: (connection: Connection, frame: Buffer) => void;
  readonly onClose: (connection: Connection) => void;
  /** Called when `send` has something to be flushed for the first time since the last flush. */
  readonly onUnsent: (connection: Connection) => void;
  /** It is closed because of what it sent, or did not send. */
  readonly onCut: (connection: Connection, reason: string) => void;
}

export class Connection {
  readonly #socket: Socket;
  readonly #reader: FrameReader;
  readonly #writer = new FrameWriter();
  readonly #events: ConnectionEvents;
  readonly #maxFrameBytes: number;
  #client: string | undefined;
  #isOpen = true;
  /** More than may wait was not read: neither calls are taken nor answers written. */
  #isChoked = false;
  #unwritten: (readonly Field[])[] = [];
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

  get isOpen(): boolean {
    return this.#isOpen;
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

  /** Answers one call. Keeps the fields for as long as they cannot be written. */
  send(fields: readonly Field[]): void {
    this.#waitingCalls -= 1;
    if (!this.#isOpen) return;
    if (this.#isChoked) this.#unwritten.push(fields);
    else this.#write(fields);
  }

  #write(fields: readonly Field[]): void {
    if (this.#writer.isEmpty) this.#events.onUnsent(this);
    this.#writer.push(...fields);
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
    for (const fields of unwritten) {
      if (this.#isChoked) this.#unwritten.push(fields);
      else this.#write(fields);
    }
    if (!this.#isChoked && !this.#isBroken) this.#socket.resume();
  }

  /**
   * Called every few seconds. Closes what keeps us waiting for a hello, or for the end of a frame. Counts looks and no time: after a stall
   * of ours what has arrived is read before anybody is judged.
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
    this.#events.onCut(this, reason);
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
        this.#events.onFrame(this, frame);
      });
      // Its worker need not wait until those of the other connections are answered, too: it works while we do.
      if (this.#waitingCalls === 0) this.flush();
    } catch (error) {
      // A stream that lost its frames cannot be read any further. What was answered before may still be read.
      this.#isBroken = true;
      this.#socket.pause();
      this.#events.onCut(this, error instanceof Error ? error.message : String(error));
      this.flush();
      this.#socket.destroySoon();
    }
  }

  #closed(): void {
    this.#isOpen = false;
    this.#unwritten = [];
    this.#events.onClose(this);
  }
}

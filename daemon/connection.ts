// One worker's connection: bytes <-> frames, limits, backpressure. Knows no operation.

import type { Socket } from "node:net";
import { type Field, FrameReader, FrameWriter } from "../protocol/frame.ts";

/** Answers that wait for a worker to read them, before it is read from no more. */
const MAX_UNREAD_BYTES = 4 * 1024 * 1024;

export interface ConnectionEvents {
  readonly onFrame: (connection: Connection, frame: Buffer) => void;
  readonly onClose: (connection: Connection) => void;
  /** Called when `send` has something to be flushed for the first time since the last flush. */
  readonly onUnsent: (connection: Connection) => void;
}

export class Connection {
  readonly #socket: Socket;
  readonly #reader: FrameReader;
  readonly #writer = new FrameWriter();
  readonly #events: ConnectionEvents;
  #isOpen = true;
  /** Bytes of commits this connection has sent that are not answered yet. */
  #waitingBytes = 0;
  #waitingCommits = 0;
  /** The worker behind it, once it said hello. */
  client: string | undefined;

  constructor(socket: Socket, maxFrameBytes: number, events: ConnectionEvents) {
    this.#socket = socket;
    this.#reader = new FrameReader(maxFrameBytes);
    this.#events = events;
    socket.on("data", (chunk: Buffer) => this.#receive(chunk));
    socket.on("close", () => this.#closed());
    // The error itself says nothing we could act on: "close" follows.
    socket.on("error", () => socket.destroy());
    socket.on("drain", () => socket.resume());
  }

  get isOpen(): boolean {
    return this.#isOpen;
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

  send(...fields: readonly Field[]): void {
    if (!this.#isOpen) return;
    if (this.#writer.isEmpty) this.#events.onUnsent(this);
    this.#writer.push(...fields);
  }

  /** Everything sent since the last flush leaves with one write. */
  flush(): void {
    if (!this.#isOpen || this.#writer.isEmpty) return;
    this.#socket.write(this.#writer.take());
    if (this.#socket.writableLength > MAX_UNREAD_BYTES) this.#socket.pause();
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
    try {
      this.#reader.read(chunk, (frame) => this.#events.onFrame(this, frame));
    } catch {
      // A stream that lost its frames cannot be read any further.
      this.flush();
      this.#socket.destroySoon();
    }
  }

  #closed(): void {
    this.#isOpen = false;
    this.#events.onClose(this);
  }
}

// Floor of everything that asks another process: frames like ours there and back over a Unix socket, all of one turn in one write.
// A request says how many bytes it wants back, and of which session it is; nothing is looked up, decoded or kept. The daemon in C writes its bytes to a file.

import { connect, type Socket } from "node:net";
import { FrameReader, LENGTH_BYTES } from "../../protocol/wire/frame.ts";
import { sizeOf, type Values } from "../session-values.ts";
import type { Entry, Held, Subject } from "./contender.ts";

const SMALL_BYTES = 48;
const MAX_FRAME_BYTES = 1024 * 1024;

class EchoSubject implements Subject {
  readonly #socket: Socket;
  readonly #reader = new FrameReader(MAX_FRAME_BYTES);
  #waiting: (() => void)[] = [];
  #next = 0;
  #unsent: Buffer[] = [];
  #valueBytes = 0;
  #valueCount = 0;
  #sessionCount = 0;

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("data", (chunk: Buffer) => this.#reader.read(chunk, () => this.#answered()));
  }

  async create(values: Values): Promise<string> {
    this.#valueBytes = sizeOf(values);
    this.#valueCount = Object.keys(values).length;
    this.#sessionCount += 1;
    return `${this.#valueBytes}.${this.#valueCount}.${this.#sessionCount}`;
  }

  async get(id: string): Promise<number> {
    const [bytes = 0, count = 0] = id.split(".").map(Number);
    await this.#ask(SMALL_BYTES, bytes);
    return count;
  }

  async hold(id: string): Promise<Held> {
    const [bytes = 0, , session = 0] = id.split(".").map(Number);
    const change = (): Promise<void> => this.#ask(bytes, SMALL_BYTES, session);
    return { change, touch: () => this.#ask(SMALL_BYTES, SMALL_BYTES) };
  }

  close(): void {
    this.#socket.destroy();
  }

  #ask(bytes: number, answerBytes: number, session = 0): Promise<void> {
    const frame = Buffer.allocUnsafe(LENGTH_BYTES + bytes);
    frame.writeUInt32BE(bytes, 0);
    frame.writeUInt32BE(answerBytes, LENGTH_BYTES);
    frame.writeUInt32BE(session, 2 * LENGTH_BYTES);
    if (this.#unsent.push(frame) === 1) setImmediate(() => this.#flush());
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  #flush(): void {
    this.#socket.write(this.#unsent.length === 1 ? (this.#unsent[0] ?? "") : Buffer.concat(this.#unsent));
    this.#unsent = [];
  }

  #answered(): void {
    this.#waiting[this.#next++]?.();
    if (this.#next < this.#waiting.length) return;
    this.#waiting = [];
    this.#next = 0;
  }
}

export const floorSocket: Entry = {
  open: (places) =>
    new Promise((resolve, reject) => {
      const socket = connect(places.socket, () => resolve(new EchoSubject(socket)));
      socket.once("error", reject);
    }),
};

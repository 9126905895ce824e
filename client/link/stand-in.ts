// What answers in a rehearsal in place of a daemon, at once and in this process: it has one session, in memory. Calls and answers become frames all
// the same, and are read again. No socket, no file and no timer is behind it.

import { applyDelta, newImage } from "../../protocol/image/image.ts";
import {
  type AnswerOf,
  type CallOf,
  FrameReader,
  FrameWriter,
  KIND,
  type OperationName,
  PROTOCOL_VERSION,
  type ResponseOf,
  readAnswer,
  readMessage,
  type State,
  writeAnswer,
  writeCall,
} from "../../protocol/wire/wire.ts";
import type { ConnectionOptions, Line } from "./connection.ts";

const MAX_BYTES = 64 * 1024;
const NUMBER = 1;

export class StandIn implements Line {
  readonly life = 1;
  #image: Buffer = newImage({ nowMs: Date.now(), timeoutSeconds: 60 });
  readonly #writer = new FrameWriter();
  readonly #reader = new FrameReader(MAX_BYTES);
  #commits = 0;

  /** Its client hears hello before it has made a call. */
  constructor({ onHello }: ConnectionOptions) {
    onHello(this.#carry("hello", { version: PROTOCOL_VERSION, client: "rehearsal" }, hello()));
  }

  ready(): Promise<void> {
    return Promise.resolve();
  }

  nextSequence(): { readonly sequence: number; readonly floor: number } {
    this.#commits += 1;
    return { sequence: this.#commits, floor: this.#commits };
  }

  call<N extends OperationName>(name: N, request: CallOf<N>): Promise<ResponseOf<N>> {
    if (name === "commit") this.#commit(request as CallOf<"commit">);
    const state = name === "open" ? this.#state(KIND.contents, this.#image) : this.#state(KIND.same, null);
    return new AtOnce(this.#carry(name, request, state as AnswerOf<N>)) as unknown as Promise<ResponseOf<N>>;
  }

  #commit({ delta }: CallOf<"commit">): void {
    this.#image = applyDelta(this.#image, { delta, nowMs: Date.now() });
  }

  leave(): void {}
  close(): void {}

  #state(kind: number, image: Buffer | null): State {
    return { kind, ino: 1, size: this.#image.length, mtimeMs: this.#commits, startupMs: Date.now(), image };
  }

  #carry<N extends OperationName>(name: N, request: CallOf<N>, answer: AnswerOf<N>): ResponseOf<N> {
    writeCall(this.#writer, { number: NUMBER, name, request });
    this.#writer.take();
    writeAnswer(this.#writer, { number: NUMBER, name }, answer);
    const frames: Buffer[] = [];
    this.#reader.read(this.#writer.take(), (frame) => frames.push(frame));
    return readAnswer(name, readMessage(frames[0] ?? Buffer.alloc(0)));
  }
}

/** What waits for an answer goes on at once: with a promise it would do so only behind the code that makes the middleware, and listens. */
class AtOnce<T> {
  readonly #value: T;

  constructor(value: T) {
    this.#value = value;
  }

  // biome-ignore lint/suspicious/noThenProperty: it stands in for a promise.
  then<R>(go: (value: T) => R): AtOnce<R> | R {
    const value = go(this.#value);
    return isThenable(value) ? value : new AtOnce(value);
  }
}

function isThenable(value: unknown): boolean {
  return typeof value === "object" && value !== null && "then" in value;
}

/** Its sessions are in no files: nothing is looked at. */
function hello(): AnswerOf<"hello"> {
  const limits = { leaseMs: 1_000, maxLeaseMs: 1_000, maxSessionBytes: MAX_BYTES };
  return { version: PROTOCOL_VERSION, pid: process.pid, instance: "stand-in", directory: "", ...limits };
}

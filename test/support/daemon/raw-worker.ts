// A worker without our client: says to the daemon exactly what a test wants to say, and hears exactly what it answers.

import { createConnection, type Socket } from "node:net";
import { type ErrorCode, SessionError } from "../../../protocol/errors.ts";
import { decodeAll, encodeDelta, layoutOf } from "../../../protocol/image/image.ts";
import { encodeValue, Origins } from "../../../protocol/value/value.ts";
import { type Field, FrameReader, FrameWriter, readMessage } from "../../../protocol/wire/frame.ts";
import { failureOf, isFailure, readAnswer } from "../../../protocol/wire/message.ts";
import {
  type CommitOptions,
  ERRORS_OF_ALL,
  OPERATIONS,
  type OperationName,
  PROTOCOL_VERSION,
  type ResponseOf,
  type State,
} from "../../../protocol/wire/operations.ts";

const MAX_FRAME_BYTES = 64 * 1024 * 1024;

interface Waiting {
  readonly resolve: (fields: readonly unknown[]) => void;
  readonly reject: (error: Error) => void;
}

interface CommitExtras {
  readonly options?: CommitOptions;
  /** Default: one that was never used. */
  readonly sequence?: number;
}

/** Below are those that tests choose themselves. */
let lastSequence = 1000;

export class RawWorker {
  readonly closed: Promise<void>;
  readonly #socket: Socket;
  readonly #waiting = new Map<number, Waiting>();
  #lastNumber = 0;
  #isClosed = false;

  private constructor(socket: Socket) {
    this.#socket = socket;
    const reader = new FrameReader(MAX_FRAME_BYTES);
    socket.on("data", (chunk) => reader.read(chunk, (frame) => this.#receive(frame)));
    socket.on("error", () => socket.destroy());
    this.closed = new Promise((resolve) => {
      socket.once("close", () => {
        this.#isClosed = true;
        for (const { reject } of this.#waiting.values()) reject(closedByDaemon());
        this.#waiting.clear();
        resolve();
      });
    });
  }

  /** Connected, with hello said and answered. */
  static async connect(path: string, name = "raw"): Promise<RawWorker> {
    const worker = await RawWorker.connectSilently(path);
    await worker.call("hello", PROTOCOL_VERSION, name);
    return worker;
  }

  /** Connected, and nothing said. */
  static connectSilently(path: string): Promise<RawWorker> {
    return new Promise((resolve, reject) => {
      const socket = createConnection(path);
      socket.once("error", reject);
      socket.once("connect", () => {
        socket.off("error", reject);
        resolve(new RawWorker(socket));
      });
    });
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** Rejects with the daemon's SessionError; with another error when the row of the operation does not name its code. */
  async call<N extends OperationName>(name: N, ...fields: readonly Field[]): Promise<ResponseOf<N>> {
    const answer = await this.callNumber(OPERATIONS[name].number, ...fields).catch((error: unknown) => {
      if (error instanceof SessionError) checkIsNamed(name, error.code);
      throw error;
    });
    return readAnswer(name, answer);
  }

  /** The same for an operation that may not exist. */
  callNumber(operation: number, ...fields: readonly Field[]): Promise<readonly unknown[]> {
    this.#lastNumber += 1;
    const [number, writer] = [this.#lastNumber, new FrameWriter()];
    writer.push(number, operation, ...fields);
    if (this.#isClosed) return Promise.reject(closedByDaemon());
    return new Promise((resolve, reject) => {
      this.#waiting.set(number, { resolve, reject });
      this.#socket.write(writer.take());
    });
  }

  sendBytes(bytes: Uint8Array): void {
    this.#socket.write(bytes);
  }

  open(id: string, known = 0): Promise<State> {
    return this.call("open", id, known);
  }

  /** undefined deletes a key. */
  commit(id: string, changes: Readonly<Record<string, unknown>>, extras: CommitExtras = {}): Promise<State> {
    lastSequence += 1;
    const { options, sequence = lastSequence } = extras;
    return this.call("commit", id, sequence, 0, deltaOf(changes), options === undefined ? null : { ...options });
  }

  create(id: string, values: Readonly<Record<string, unknown>>, options: CommitOptions = {}): Promise<State> {
    return this.commit(id, values, { options: { ...options, create: true } });
  }

  lease(id: string, leaseMs = 0): Promise<ResponseOf<"lease">> {
    return this.call("lease", id, leaseMs, 0);
  }

  /** Commits under a lease and ends it. */
  commitLeased(id: string, changes: Readonly<Record<string, unknown>>, fence: number): Promise<State> {
    return this.commit(id, changes, { options: { fence, release: true } });
  }

  async abandon(id: string): Promise<void> {
    await this.call("abandon", id);
  }

  /** What the session holds now; undefined when there is none. */
  async values(id: string): Promise<Record<string, unknown> | undefined> {
    return valuesOf(await this.open(id));
  }

  /** What the daemon counts. */
  async status(): Promise<Record<string, number>> {
    const { json } = await this.call("status");
    return JSON.parse(json) as Record<string, number>;
  }

  /** Everything sent before has been read by the daemon when this resolves. */
  async settle(): Promise<void> {
    await this.call("status");
  }

  /** Lets the answers pile up. */
  stopReading(): void {
    this.#socket.pause();
  }

  goOnReading(): void {
    this.#socket.resume();
  }

  async close(): Promise<void> {
    this.#socket.destroy();
    await this.closed;
  }

  #receive(frame: Buffer): void {
    const fields = readMessage(frame);
    const waiting = this.#waiting.get(fields[0] as number);
    this.#waiting.delete(fields[0] as number);
    if (isFailure(fields)) waiting?.reject(failureOf(fields));
    else waiting?.resolve(fields);
  }
}

function checkIsNamed(name: OperationName, code: ErrorCode): void {
  const named: readonly ErrorCode[] = [...OPERATIONS[name].errors, ...ERRORS_OF_ALL];
  if (!named.includes(code))
    throw new Error(`${name} answered ${code}, which its row in the operation table does not name`);
}

function closedByDaemon(): Error {
  return new Error("the daemon closed the connection");
}

export function deltaOf(changes: Readonly<Record<string, unknown>>): Buffer {
  const entries = Object.entries(changes).map(
    ([key, value]) => [key, value === undefined ? undefined : Buffer.from(encodeValue(value, key).bytes)] as const,
  );
  return encodeDelta(entries);
}

export function valuesOf(state: State): Record<string, unknown> | undefined {
  return state.image === null ? undefined : valuesIn(state.image);
}

export function valuesIn(image: Buffer): Record<string, unknown> {
  const decoded = decodeAll(image, layoutOf(image), new Origins());
  return Object.fromEntries([...decoded].map(([key, { value }]) => [key, value]));
}

// Several calls to the daemon, one after the other, over one connection: what the commands about sessions need.

import { connect, type Socket } from "node:net";
import { isCode, SessionError } from "../../protocol/errors.ts";
import type { Places } from "../../protocol/places.ts";
import {
  type CallOf,
  FrameReader,
  FrameWriter,
  OPERATOR,
  type OperationName,
  PROTOCOL_VERSION,
  type ResponseOf,
  readAnswer,
  readMessage,
  writeCall,
} from "../../protocol/wire/wire.ts";
import { electedPid } from "./pid-file.ts";

/** A session whole, whatever the daemon's limits are. */
const MAX_ANSWER_BYTES = 128 * 1024 * 1024;

/** A daemon that is alive answers hello, and whoever asks how it is or asks it to leave, at once, whatever else it does. */
export const PATIENCE_MS = 5_000;

/** Why a daemon that has its place does not answer is for whoever runs it to find out: it is named. */
export function silentDaemon(places: Places): SessionError {
  const pid = electedPid(places);
  const what = `The daemon on ${places.socket} (pid ${pid ?? "unknown"}) has not answered for ${PATIENCE_MS} ms.`;
  const whom = pid ?? "PID";
  const remedy = `Continue it if it is stopped (kill -CONT ${whom}), or end it (kill -KILL ${whom}): nothing that was acknowledged is lost.`;
  return new SessionError("ERR_DAEMON_UNAVAILABLE", what, { remedy });
}

const OF_LEAVING = "Ask again when the next one is there: what was asked may have been done.";

interface Waiting {
  readonly resolve: (fields: readonly unknown[] | undefined) => void;
  readonly reject: (error: unknown) => void;
}

export class Conversation {
  readonly #socket: Socket;
  readonly #places: Places;
  #waiting: Waiting | undefined;
  #isOver = false;

  private constructor(places: Places) {
    this.#places = places;
    this.#socket = connect(places.socket);
    const reader = new FrameReader(MAX_ANSWER_BYTES);
    this.#socket.on("error", () => this.#socket.destroy());
    this.#socket.on("close", () => this.#end());
    this.#socket.on("data", (chunk) => {
      try {
        reader.read(chunk, (frame) => this.#settle()?.resolve(readMessage(frame)));
      } catch (error) {
        this.#settle()?.reject(error);
        this.#socket.destroy();
      }
    });
  }

  /** Undefined when nobody is there, or whoever asks has left meanwhile. @throws SessionError ERR_PROTOCOL_VERSION; ERR_DAEMON_UNAVAILABLE when a daemon is there and does not answer. */
  static async begin(places: Places, leaving?: AbortSignal): Promise<Conversation | undefined> {
    const conversation = new Conversation(places);
    conversation.#closeAt(leaving);
    const request = { version: PROTOCOL_VERSION, client: OPERATOR };
    const fields = await conversation.#askAlive("hello", request);
    if (fields === undefined) return undefined;
    try {
      readAnswer("hello", fields);
      return conversation;
    } catch (error) {
      conversation.close();
      throw error;
    }
  }

  /**
   * One at a time, however long it takes, as long as the daemon is alive.
   *
   * @throws SessionError what the daemon answers; ERR_DAEMON_UNAVAILABLE when it has gone, or stands still.
   */
  async call<N extends OperationName>(name: N, request: CallOf<N>): Promise<ResponseOf<N>> {
    const lookout = setInterval(() => void this.#look(), PATIENCE_MS);
    try {
      return this.#answer(name, await this.#ask(name, request));
    } finally {
      clearInterval(lookout);
    }
  }

  /** The same, for what a daemon that is alive answers at once. Throws ERR_DAEMON_UNAVAILABLE also where it does not. */
  async callAlive<N extends OperationName>(name: N, request: CallOf<N>): Promise<ResponseOf<N>> {
    return this.#answer(name, await this.#askAlive(name, request));
  }

  /** The other side has gone, or this one. */
  get isOver(): boolean {
    return this.#isOver;
  }

  close(): void {
    this.#socket.destroy();
  }

  #closeAt(leaving: AbortSignal | undefined): void {
    if (leaving === undefined) return;
    const close = (): void => this.close();
    leaving.addEventListener("abort", close);
    this.#socket.once("close", () => leaving.removeEventListener("abort", close));
    if (leaving.aborted) close();
  }

  #answer<N extends OperationName>(name: N, fields: readonly unknown[] | undefined): ResponseOf<N> {
    if (fields !== undefined) return readAnswer(name, fields);
    const what = `The daemon on ${this.#places.socket} has left before it answered.`;
    throw new SessionError("ERR_DAEMON_UNAVAILABLE", what, { remedy: OF_LEAVING });
  }

  #askAlive<N extends OperationName>(name: N, request: CallOf<N>): Promise<readonly unknown[] | undefined> {
    const patience = setTimeout(() => this.#giveUp(silentDaemon(this.#places)), PATIENCE_MS);
    return this.#ask(name, request).finally(() => clearTimeout(patience));
  }

  #ask<N extends OperationName>(name: N, request: CallOf<N>): Promise<readonly unknown[] | undefined> {
    if (this.#isOver) return Promise.resolve(undefined);
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject };
      const writer = new FrameWriter();
      writeCall(writer, { number: 0, name, request });
      this.#socket.write(writer.take());
    });
  }

  /** One that is alive says hello to others, too. */
  async #look(): Promise<void> {
    try {
      (await Conversation.begin(this.#places))?.close();
    } catch (error) {
      // Any other error is that of a daemon that has taken the place of this one, which ends our connection itself.
      if (isCode(error, "ERR_DAEMON_UNAVAILABLE")) this.#giveUp(error);
    }
  }

  #settle(): Waiting | undefined {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    return waiting;
  }

  #giveUp(reason: SessionError): void {
    this.#settle()?.reject(reason);
    this.#socket.destroy();
  }

  #end(): void {
    this.#isOver = true;
    this.#settle()?.resolve(undefined);
  }
}

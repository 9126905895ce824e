// Another daemon, as the command line and a daemon that starts meet it: whether one answers on a socket, how it is, and how it is made to leave.

import { connect } from "node:net";
import { SessionError } from "../../protocol/errors.ts";
import type { Places } from "../../protocol/places.ts";
import { DEFAULT_TYPE } from "../../protocol/types.ts";
import {
  FrameReader,
  FrameWriter,
  failureOf,
  isFailure,
  OPERATOR,
  olderVersion,
  PROTOCOL_VERSION,
  type ResponseOf,
  readAnswer,
  readMessage,
  writeCall,
} from "../../protocol/wire/wire.ts";
import { PATIENCE_MS, silentDaemon } from "./conversation.ts";

export { Conversation } from "./conversation.ts";
export { electedPid, pathOfPid } from "./pid-file.ts";

/** A status has a few KiB. */
const MAX_ANSWER_BYTES = 1024 * 1024;
/** Between two tries to reach a daemon that was just elected: it listens some milliseconds later. */
const PAUSE_MS = 10;

/** hello and both questions have been the same in every version. */
type Question = "status" | "retire";
const QUESTION_NUMBER = 1;

type Answered<Q extends Question> =
  | { readonly kind: "answer"; readonly answer: ResponseOf<Q> }
  /** A daemon of another version, or one that refuses. */
  | { readonly kind: "failure"; readonly fields: readonly unknown[] }
  /** Nobody is there, or has left before it answered. */
  | { readonly kind: "nobody" };

/** Talks to whichever daemon has the socket, one connection for each question. */
export class Peer {
  readonly #places: Places;

  constructor(places: Places) {
    this.#places = places;
  }

  /**
   * What the daemon says of itself, as one JSON text; undefined when there is none, or whoever asks has left meanwhile.
   *
   * @throws SessionError ERR_DAEMON_UNAVAILABLE when there is one that does not answer, ERR_PROTOCOL_VERSION when it is newer.
   */
  async status(leaving?: AbortSignal): Promise<string | undefined> {
    return (await this.#ask("status", leaving))?.json;
  }

  /** What a daemon of our version serves; undefined when none answers. One that names no type keeps files. */
  async served(): Promise<{ readonly root: string; readonly type: string } | undefined> {
    const answered = await this.#askOnce("status", PROTOCOL_VERSION);
    if (answered.kind !== "answer") return undefined;
    const { root, type = DEFAULT_TYPE } = JSON.parse(answered.answer.json);
    return { root, type };
  }

  /** Makes the daemon leave, whatever older version it is of. Resolves to its pid, or to undefined when there is none. Throws as `status`. */
  async retire(): Promise<number | undefined> {
    return (await this.#ask("retire"))?.pid;
  }

  /** The same if it is of an older version. Resolves to whether it is. */
  async retireOlder(): Promise<boolean> {
    const answered = await this.#askOnce("status", PROTOCOL_VERSION);
    const version = answered.kind === "failure" ? olderVersion(answered.fields) : undefined;
    if (version === undefined) return false;
    await this.#askOnce("retire", version);
    return true;
  }

  /** True when somebody answers on the socket; false when nobody does for a while, so that an election may be tried again. */
  async isServing(tries: number): Promise<boolean> {
    for (let count = 0; count < tries; count++) {
      if (await this.#isReached()) return true;
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
    return false;
  }

  async #ask<Q extends Question>(question: Q, leaving?: AbortSignal): Promise<ResponseOf<Q> | undefined> {
    const first = await this.#askOnce(question, PROTOCOL_VERSION, leaving);
    const version = first.kind === "failure" ? olderVersion(first.fields) : undefined;
    const answered = version === undefined ? first : await this.#askOnce(question, version, leaving);
    if (answered.kind === "failure") throw failureOf(answered.fields);
    return answered.kind === "answer" ? answered.answer : undefined;
  }

  #askOnce<Q extends Question>(question: Q, version: number, leaving?: AbortSignal): Promise<Answered<Q>> {
    return new Promise((resolve, reject) => {
      const socket = connect(this.#places.socket);
      socket.write(framesOf(question, version));
      const end = (act: () => void): void => {
        act();
        socket.destroy();
      };
      const patience = setTimeout(() => end(() => reject(silentDaemon(this.#places))), PATIENCE_MS);
      const leave = (): void => void socket.destroy();
      leaving?.addEventListener("abort", leave);
      socket.once("error", leave);
      socket.once("close", () => {
        clearTimeout(patience);
        leaving?.removeEventListener("abort", leave);
        resolve({ kind: "nobody" });
      });
      const reader = new FrameReader(MAX_ANSWER_BYTES);
      const take = (frame: Buffer): void => {
        const fields = readMessage(frame);
        if (isFailure(fields)) end(() => resolve({ kind: "failure", fields }));
        else if (fields[0] === QUESTION_NUMBER) {
          const answer = readAnswer(question, fields);
          end(() => resolve({ kind: "answer", answer }));
        }
      };
      socket.on("data", (chunk) => {
        try {
          reader.read(chunk, take);
        } catch (error) {
          end(() => reject(this.#stranger(error)));
        }
      });
    });
  }

  #isReached(): Promise<boolean> {
    return new Promise((resolve) => {
      const socket = connect(this.#places.socket);
      const tell = (isReached: boolean): void => {
        socket.destroy();
        resolve(isReached);
      };
      socket.once("connect", () => tell(true));
      socket.once("error", () => tell(false));
    });
  }

  #stranger(error: unknown): SessionError {
    const what = `What answers on ${this.#places.socket} is no daemon of this package.`;
    const remedy = "Name another socket, or end what answers there.";
    return new SessionError("ERR_DAEMON_UNAVAILABLE", what, { cause: error, remedy });
  }
}

function framesOf(question: Question, version: number): Buffer {
  const writer = new FrameWriter();
  writeCall(writer, { number: 0, name: "hello", request: { version, client: OPERATOR } });
  writeCall(writer, { number: QUESTION_NUMBER, name: question, request: {} });
  return writer.take();
}

// Stands between workers and a daemon and hears every call: lets it pass, answers it in the daemon's place, or cuts the connection.
import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";
import { FrameReader, FrameWriter, readMessage } from "../../../protocol/wire/frame.ts";
import { type OperationName, operationName } from "../../../protocol/wire/operations.ts";

/** "pass"; "cut": before it gets to the daemon; "cut after": when the daemon has answered it; else the code of an error it is answered with. */
export type Verdict = string;
export type Judge = (name: OperationName, fields: readonly unknown[]) => Verdict;

const MAX_FRAME_BYTES = 64 * 1024 * 1024;

export class Interposer {
  readonly socket: string;
  judge: Judge = () => "pass";
  readonly #daemon: string;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(socket: string, daemon: string) {
    this.socket = socket;
    this.#daemon = daemon;
    this.#server = createServer((worker) => this.#join(worker));
  }

  static async open(socket: string, daemon: string): Promise<Interposer> {
    const interposer = new Interposer(socket, daemon);
    interposer.#server.listen(socket);
    await once(interposer.#server, "listening");
    return interposer;
  }

  #join(worker: Socket): void {
    const daemon = connect(this.#daemon);
    const cutAfter = new Set<unknown>();
    const cut = (): void => {
      worker.destroy();
      daemon.destroy();
    };
    for (const socket of [worker, daemon]) {
      this.#sockets.add(socket);
      socket.on("error", cut);
      socket.on("close", () => {
        this.#sockets.delete(socket);
        cut();
      });
    }
    const calls = new FrameReader(MAX_FRAME_BYTES);
    worker.on("data", (chunk) =>
      calls.read(chunk, (frame) => {
        const [number, operation, ...fields] = readMessage(frame);
        const verdict = this.judge(operationName(operation) ?? "status", fields);
        if (verdict === "cut") cut();
        else if (verdict === "pass" || verdict === "cut after") {
          if (verdict === "cut after") cutAfter.add(number);
          daemon.write(framed(frame));
        } else {
          const answer = new FrameWriter();
          answer.push(number as number, 1, verdict, `${verdict}, as the test wants it.`);
          worker.write(answer.take());
        }
      }),
    );
    const answers = new FrameReader(MAX_FRAME_BYTES);
    daemon.on("data", (chunk) =>
      answers.read(chunk, (frame) => {
        if (cutAfter.has(readMessage(frame)[0])) cut();
        else worker.write(framed(frame));
      }),
    );
  }

  async close(): Promise<void> {
    const closed = once(this.#server, "close");
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }
}

/** A frame as it travels: a copy, since the reader uses its memory again. */
function framed(frame: Buffer): Buffer {
  const bytes = Buffer.allocUnsafe(4 + frame.length);
  bytes.writeUInt32BE(frame.length, 0);
  frame.copy(bytes, 4);
  return bytes;
}

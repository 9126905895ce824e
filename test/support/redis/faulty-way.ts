// A way to a server that a test makes bad: it loses answers, stands still, or breaks.

import { once } from "node:events";
import { createConnection, createServer, type Server, type Socket } from "node:net";

interface Target {
  readonly port: number;
  readonly host: string;
}

/** "keeps": what the server says waits until it is let through, piece by piece. "deaf": so it does, and what is said to the server is thrown away. */
export type Mode = "passes" | "loses" | "holds" | "keeps" | "deaf";

interface Piece {
  readonly bytes: Buffer;
  readonly to: Socket;
}

export class FaultyWay {
  readonly port: number;
  readonly #server: Server;
  readonly #kept: Piece[] = [];
  readonly #pairs = new Set<readonly [Socket, Socket]>();
  /** "loses": what the server says is thrown away, and the connection broken with the first bytes of it. */
  mode: Mode = "passes";
  /** In mode "passes": what is said arrives so much later, in each direction, in ms. */
  delayMs = 0;
  /** Connections that were made. */
  connections = 0;

  private constructor(server: Server, target: Target) {
    this.#server = server;
    this.port = (server.address() as { port: number }).port;
    server.on("connection", (near) => this.#join(near, createConnection(target.port, target.host)));
  }

  static async to(port: number, host = "127.0.0.1"): Promise<FaultyWay> {
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    return new FaultyWay(server, { port, host });
  }

  get url(): string {
    return `redis://127.0.0.1:${this.port}`;
  }

  /** Pieces that are kept. */
  get kept(): number {
    return this.#kept.length;
  }

  /** Lets so many pieces through that were kept. */
  let(count: number): void {
    for (const { bytes, to } of this.#kept.splice(0, count)) to.write(bytes);
  }

  cut(): void {
    for (const pair of this.#pairs) for (const socket of pair) socket.destroy();
  }

  async close(): Promise<void> {
    this.cut();
    this.#server.close();
    await once(this.#server, "close");
  }

  #join(near: Socket, far: Socket): void {
    this.connections++;
    const pair = [near, far] as const;
    this.#pairs.add(pair);
    for (const [from, to] of [pair, [far, near] as const]) {
      from.on("error", () => undefined);
      from.on("close", () => {
        to.destroy();
        this.#pairs.delete(pair);
      });
    }
    near.on("data", (bytes) => {
      if (this.mode !== "deaf") this.#carry(bytes, far);
    });
    far.on("data", (bytes) => {
      if (this.mode === "passes") this.#carry(bytes, near);
      if (this.mode === "loses") near.destroy();
      if (this.mode === "keeps" || this.mode === "deaf") this.#kept.push({ bytes, to: near });
    });
  }

  #carry(bytes: Buffer, to: Socket): void {
    if (this.delayMs === 0) to.write(bytes);
    else setTimeout(() => to.write(bytes), this.delayMs);
  }
}

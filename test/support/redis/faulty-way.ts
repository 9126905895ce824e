// A way to a server that a test makes bad: it loses answers, stands still, or breaks.

import { once } from "node:events";
import { createConnection, createServer, type Server, type Socket } from "node:net";

export class FaultyWay {
  readonly port: number;
  readonly #server: Server;
  readonly #pairs = new Set<readonly [Socket, Socket]>();
  /** "loses": what the server says is thrown away, and the connection broken with the first bytes of it. */
  mode: "passes" | "loses" | "holds" = "passes";
  /** Connections that were made. */
  connections = 0;

  private constructor(server: Server, target: number) {
    this.#server = server;
    this.port = (server.address() as { port: number }).port;
    server.on("connection", (near) => this.#join(near, createConnection(target, "127.0.0.1")));
  }

  static async to(port: number): Promise<FaultyWay> {
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    return new FaultyWay(server, port);
  }

  get url(): string {
    return `redis://127.0.0.1:${this.port}`;
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
    near.on("data", (bytes) => far.write(bytes));
    far.on("data", (bytes) => {
      if (this.mode === "passes") near.write(bytes);
      if (this.mode === "loses") near.destroy();
    });
  }
}

// A way to Redis on which answers get lost: between a daemon and a server, over Unix sockets.

import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";
import { join } from "node:path";

/** A request that loses its answer, or itself. */
interface Doom {
  readonly isIt: (request: Buffer) => boolean;
  readonly tell: () => void;
}

export class LossyProxy {
  readonly socket: string;
  readonly #target: string;
  readonly #server: Server;
  readonly #open = new Set<Socket>();
  #isBlocked = false;
  #doomedAnswer: Doom | undefined;
  #doomedRequest: Doom | undefined;
  #keptRequest: Doom | undefined;
  #deliver: (() => Promise<void>) | undefined;
  #keptBy: Socket | undefined;

  private constructor(socket: string, target: string) {
    this.socket = socket;
    this.#target = target;
    this.#server = createServer((client) => this.#join(client));
  }

  /** @param target a Unix socket; the proxy's own is beside it, by this name. */
  static async open(target: string, name: string): Promise<LossyProxy> {
    const proxy = new LossyProxy(join(target, "..", name), target);
    await new Promise<void>((resolve) => proxy.#server.listen(proxy.socket, resolve));
    return proxy;
  }

  get url(): string {
    return `unix://${this.socket}`;
  }

  /**
   * The next request like this reaches the server, its answer does not reach anybody, and all connections break. Nobody gets a new one before
   * `unblock`. Resolves when that has happened.
   */
  loseAnswer(isIt: (request: Buffer) => boolean): Promise<void> {
    return new Promise((tell) => {
      this.#doomedAnswer = { isIt, tell };
    });
  }

  /** The same, but the request does not reach the server. */
  loseRequest(isIt: (request: Buffer) => boolean): Promise<void> {
    return new Promise((tell) => {
      this.#doomedRequest = { isIt, tell };
    });
  }

  /** The same, but the request is on its way for longer than its connection is there, until `deliver`. */
  keepRequest(isIt: (request: Buffer) => boolean): Promise<void> {
    return new Promise((tell) => {
      this.#keptRequest = { isIt, tell };
    });
  }

  /** What was kept arrives. Resolves when the server has done it. */
  async deliver(): Promise<void> {
    await this.#deliver?.();
    this.#deliver = undefined;
  }

  unblock(): void {
    this.#isBlocked = false;
  }

  block(): void {
    this.#isBlocked = true;
    for (const socket of this.#open) socket.destroy();
  }

  /** All connections break, and may be made again. */
  cut(): void {
    for (const socket of this.#open) socket.destroy();
  }

  async close(): Promise<void> {
    this.block();
    this.#keptBy?.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #carryOut({ tell }: Doom): void {
    this.block();
    tell();
  }

  /** The server sees no end of the connection before it has the request. */
  #keep(server: Socket, request: Buffer): void {
    this.#open.delete(server);
    this.#keptBy = server;
    this.#deliver = async () => {
      server.end(request);
      await once(server, "close");
    };
  }

  #join(client: Socket): void {
    if (this.#isBlocked) {
      client.destroy();
      return;
    }
    const server = connect(this.#target);
    let doom: Doom | undefined;
    client.on("data", (request) => {
      const lost = this.#doomedRequest;
      if (lost?.isIt(request) === true) {
        this.#doomedRequest = undefined;
        this.#carryOut(lost);
        return;
      }
      const kept = this.#keptRequest;
      if (kept?.isIt(request) === true) {
        this.#keptRequest = undefined;
        this.#keep(server, request);
        this.#carryOut(kept);
        return;
      }
      if (this.#doomedAnswer?.isIt(request) === true) {
        doom = this.#doomedAnswer;
        this.#doomedAnswer = undefined;
      }
      server.write(request);
    });
    server.on("data", (answer) => {
      if (doom === undefined) client.write(answer);
      else this.#carryOut(doom);
    });
    for (const [one, other] of [
      [client, server],
      [server, client],
    ] as const) {
      this.#open.add(one);
      // What follows it is done by "close".
      one.on("error", () => undefined);
      one.on("close", () => {
        this.#open.delete(one);
        if (other !== this.#keptBy) other.destroy();
      });
    }
  }
}

// A way to a server that a test makes bad: it loses answers and requests, keeps them back, stands still, or breaks.

import { once } from "node:events";
import { createConnection, createServer, type Server, type Socket } from "node:net";

interface Target {
  readonly port: number;
  readonly host: string;
}

/**
 * "loses": what the server says is thrown away, and the connection broken with the first bytes of it. "holds": it is thrown away. "keeps": it waits until it
 * is let through, piece by piece. "deaf": so it does, and what is said to the server is thrown away.
 */
export type Mode = "passes" | "loses" | "holds" | "keeps" | "deaf";

interface Piece {
  readonly bytes: Buffer;
  readonly to: Socket;
}

interface Pair {
  readonly near: Socket;
  readonly far: Socket;
  /** Of the request whose answer is to be lost. */
  doom?: Doom;
}

/** What becomes of one request: it loses its answer or itself, or arrives later than its connection is there. */
interface Doom {
  readonly loses: "answer" | "request" | "connection";
  readonly isIt: (request: Buffer) => boolean;
  readonly tell: () => void;
}

export class FaultyWay {
  readonly port: number;
  readonly #server: Server;
  readonly #kept: Piece[] = [];
  readonly #pairs = new Set<Pair>();
  #dooms: readonly Doom[] = [];
  #isBlocked = false;
  /** The request that is on its way for longer than its connection. */
  #late: Piece | undefined;
  mode: Mode = "passes";
  /** In mode "passes": what is said arrives so much later, in each direction, in ms. */
  delayMs = 0;
  /** Connections that were made. */
  connections = 0;

  private constructor(server: Server, target: Target) {
    this.#server = server;
    this.port = (server.address() as { port: number }).port;
    server.on("connection", (near) => {
      if (this.#isBlocked) near.destroy();
      else this.#join({ near, far: createConnection(target.port, target.host) });
    });
  }

  static async to(port: number, host = "127.0.0.1"): Promise<FaultyWay> {
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    return new FaultyWay(server, { port, host });
  }

  get url(): string {
    return `redis://127.0.0.1:${this.port}`;
  }

  // -- all that goes along it

  /** Pieces that are kept. */
  get kept(): number {
    return this.#kept.length;
  }

  /** Lets so many pieces through that were kept. */
  let(count: number): void {
    for (const { bytes, to } of this.#kept.splice(0, count)) to.write(bytes);
  }

  /** All connections break, and may be made again. */
  cut(): void {
    for (const { near, far } of this.#pairs) {
      near.destroy();
      if (far !== this.#late?.to) far.destroy();
    }
  }

  /** All connections break, and nobody gets a new one before `unblock`. */
  block(): void {
    this.#isBlocked = true;
    this.cut();
  }

  unblock(): void {
    this.#isBlocked = false;
  }

  // -- one request

  /** The next request like this reaches the server, its answer does not reach anybody: the way is blocked instead. Resolves when it is. */
  loseAnswer(isIt: Doom["isIt"]): Promise<void> {
    return this.#doom("answer", isIt);
  }

  /** The same, but the request does not reach the server. */
  loseRequest(isIt: Doom["isIt"]): Promise<void> {
    return this.#doom("request", isIt);
  }

  /** The same, but the request is on its way for longer than its connection is there, until `deliver`. */
  keepRequest(isIt: Doom["isIt"]): Promise<void> {
    return this.#doom("connection", isIt);
  }

  /** What was kept arrives. Resolves when the server has done it. */
  async deliver(): Promise<void> {
    if (this.#late === undefined) return;
    const { to, bytes } = this.#late;
    this.#late = undefined;
    to.end(bytes);
    await once(to, "close");
  }

  async close(): Promise<void> {
    this.#late?.to.destroy();
    this.#late = undefined;
    this.block();
    this.#server.close();
    await once(this.#server, "close");
  }

  #doom(loses: Doom["loses"], isIt: Doom["isIt"]): Promise<void> {
    return new Promise((tell) => {
      this.#dooms = [...this.#dooms.filter((doom) => doom.loses !== loses), { loses, isIt, tell }];
    });
  }

  #carryOut({ tell }: Doom): void {
    this.block();
    tell();
  }

  #join(pair: Pair): void {
    const { near, far } = pair;
    this.connections++;
    this.#pairs.add(pair);
    near.on("data", (request) => this.#request(pair, request));
    far.on("data", (answer) => this.#answer(pair, answer));
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      // What follows it is done by "close".
      from.on("error", () => undefined);
      from.on("close", () => {
        this.#pairs.delete(pair);
        // The server sees no end of the connection before it has the request.
        if (to !== this.#late?.to) to.destroy();
      });
    }
  }

  #request(pair: Pair, bytes: Buffer): void {
    const doom = this.#dooms.find(({ isIt }) => isIt(bytes));
    if (doom !== undefined) this.#dooms = this.#dooms.filter((one) => one !== doom);
    if (doom?.loses === "answer") pair.doom = doom;
    if (doom?.loses === "connection") this.#late = { bytes, to: pair.far };
    if (doom !== undefined && doom.loses !== "answer") this.#carryOut(doom);
    else if (this.mode !== "deaf") this.#carry(bytes, pair.far);
  }

  #answer({ near, doom }: Pair, bytes: Buffer): void {
    if (doom !== undefined) this.#carryOut(doom);
    else if (this.mode === "passes") this.#carry(bytes, near);
    else if (this.mode === "loses") near.destroy();
    else if (this.mode !== "holds") this.#kept.push({ bytes, to: near });
  }

  #carry(bytes: Buffer, to: Socket): void {
    if (this.delayMs === 0) to.write(bytes);
    else setTimeout(() => to.write(bytes), this.delayMs);
  }
}

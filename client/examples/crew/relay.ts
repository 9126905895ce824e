// A way from one host to Redis that can be cut, as a network is: nothing comes through any more, and nobody is told. Knows nothing of Redis.

import { once } from "node:events";
import { type AddressInfo, connect, createServer, type NetConnectOpts, type Socket } from "node:net";

export class Relay {
  readonly #server = createServer((near) => this.#join(near));
  readonly #target: NetConnectOpts;
  readonly #open = new Set<Socket>();
  #isCut = false;

  private constructor(target: NetConnectOpts) {
    this.#target = target;
  }

  static async open(target: NetConnectOpts): Promise<Relay> {
    const relay = new Relay(target);
    relay.#server.listen(0, "127.0.0.1");
    await once(relay.#server, "listening");
    return relay;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get isCut(): boolean {
    return this.#isCut;
  }

  /** What is sent from now on gets lost, both ways; connections stay open, and are silent. */
  cut(): void {
    this.#isCut = true;
  }

  /** Connections from before the cut have lost bytes, so they break; new ones go through. */
  heal(): void {
    this.#isCut = false;
    this.#breakAll();
  }

  async close(): Promise<void> {
    const closed = once(this.#server, "close");
    this.#server.close();
    this.#breakAll();
    await closed;
  }

  #join(near: Socket): void {
    const far = connect(this.#target);
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      this.#open.add(one);
      one.on("data", (bytes) => {
        if (!this.#isCut) other.write(bytes);
      });
      // Either end may break at any time, and the other end learns of it unless the way is cut.
      one.on("error", () => undefined);
      one.on("close", () => {
        this.#open.delete(one);
        if (!this.#isCut) other.destroy();
      });
    }
  }

  #breakAll(): void {
    for (const socket of this.#open) socket.destroy();
    this.#open.clear();
  }
}

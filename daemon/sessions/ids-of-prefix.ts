// The ids of one prefix, for Unique. Those who keep sessions name them in no order, and a look at all their names costs as much as there are: so whoever
// asks while one look is under way waits for the next, with all others who ask meanwhile.

import { prefixOf } from "../../protocol/session-id.ts";

/** One who waits for a look. */
interface Waiting {
  readonly prefix: string;
  readonly resolve: (ids: readonly string[]) => void;
  readonly reject: (error: unknown) => void;
}

export class IdsOfPrefix {
  readonly #ids: () => AsyncIterable<string>;
  #waiting: Waiting[] = [];
  #isLooking = false;

  /** @param ids all ids, in any order. */
  constructor(ids: () => AsyncIterable<string>) {
    this.#ids = ids;
  }

  /** Found by a look that begins now or later. @throws whatever the ids cannot be named for. */
  find(prefix: string): Promise<readonly string[]> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ prefix, resolve, reject });
      if (!this.#isLooking) void this.#work();
    });
  }

  async #work(): Promise<void> {
    this.#isLooking = true;
    while (this.#waiting.length > 0) await this.#lookFor(this.#waiting.splice(0));
    this.#isLooking = false;
  }

  async #lookFor(waiting: readonly Waiting[]): Promise<void> {
    const found = new Map<string, string[]>(waiting.map(({ prefix }) => [prefix, []]));
    try {
      for await (const id of this.#ids()) found.get(prefixOf(id))?.push(id);
      for (const { prefix, resolve } of waiting) resolve(found.get(prefix) ?? []);
    } catch (error) {
      for (const { reject } of waiting) reject(error);
    }
  }
}

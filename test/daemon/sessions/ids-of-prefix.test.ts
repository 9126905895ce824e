// The ids of one prefix, by few looks at all ids, however many ask at once.

import { expect, test } from "vitest";
import { IdsOfPrefix } from "../../../daemon/sessions/ids-of-prefix.ts";

/** Names ids, and counts how often. */
class House {
  readonly ids: string[];
  looks = 0;
  problem: Error | undefined;
  readonly found: IdsOfPrefix;

  constructor(ids: readonly string[]) {
    this.ids = [...ids];
    this.found = new IdsOfPrefix(() => this.#name());
  }

  async *#name(): AsyncGenerator<string> {
    this.looks += 1;
    if (this.problem !== undefined) throw this.problem;
    for (const one of this.ids) {
      await Promise.resolve();
      yield one;
    }
  }
}

const PREFIXES = Array.from({ length: 100 }, (_, n) => `user${n}`);

function id(prefix: string, n: number): string {
  return `${prefix}:${String(n).padStart(24, "0")}`;
}

function idsOf(prefix: string): string[] {
  return [id(prefix, 1), id(prefix, 2)];
}

test("a hundred who ask at once share two looks at all ids, and each finds its own", async () => {
  const house = new House([...PREFIXES.flatMap(idsOf), id("user", 1), id("user1:1", 2)]);
  const found = await Promise.all(PREFIXES.map((prefix) => house.found.find(prefix)));
  expect(found).toEqual(PREFIXES.map(idsOf));
  expect(house.looks).toBe(2);
  expect(await house.found.find("nobody")).toEqual([]);
  expect(house.looks).toBe(3);
});

test("who asks sees what was there when it asked, also while a look is under way that has begun before", async () => {
  const house = new House(idsOf("b"));
  const first = house.found.find("a");
  await Promise.resolve();
  house.ids.unshift(id("a", 1));
  const [, second, third] = await Promise.all([first, house.found.find("a"), house.found.find("a")]);
  expect([second, third]).toEqual([[id("a", 1)], [id("a", 1)]]);
  expect(house.looks).toBe(2);
});

test("where the ids cannot be named all who wait for that look are told, and later ones may go well", async () => {
  const house = new House([id("a", 1)]);
  house.problem = new Error("EIO: i/o error, opendir");
  const asked = Promise.allSettled([house.found.find("a"), house.found.find("a")]);
  expect((await asked).map(({ status }) => status)).toEqual(["rejected", "rejected"]);
  house.problem = undefined;
  expect(await house.found.find("a")).toEqual([id("a", 1)]);
});

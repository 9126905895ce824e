// The ids of lists: every one once and in order, however they are named, paged and interrupted, by few looks at all of them.

import { afterEach, describe, expect, it, vi } from "vitest";
import { MAX_LISTED } from "../../../daemon/backend/backend.ts";
import { IdPages } from "../../../daemon/survey/survey.ts";
import { Random } from "../../support/values/random.ts";

const OWNER = {};

/** Ids in an order of chance, a few of them named twice, as SCAN does. */
class House {
  readonly ids: string[];
  readonly pages: IdPages;
  looks = 0;
  problem: Error | undefined;
  /** What `ids` has been asked for. */
  readonly prefixes: (string | null)[] = [];

  constructor(ids: readonly string[], most?: number) {
    const random = new Random(ids.length);
    this.ids = ids
      .flatMap((id) => (random.below(20) === 0 ? [id, id] : [id]))
      .map((id) => [random.below(1_000_000_000), id] as const)
      .sort(([a], [b]) => a - b)
      .map(([, id]) => id);
    this.pages = new IdPages((prefix) => this.#name(prefix), most);
  }

  async *#name(prefix: string | null): AsyncGenerator<string> {
    this.looks += 1;
    this.prefixes.push(prefix);
    if (this.problem !== undefined) throw this.problem;
    yield* [...this.ids];
  }

  page(after = "", { limit = 10, prefix = null, owner = OWNER }: Partial<Asked> = {}) {
    return this.pages.page({ caller: { owner, client: "anna" }, after, prefix, limit });
  }

  async list(asked: Partial<Asked> = {}): Promise<string[]> {
    const listed: string[] = [];
    for (let after: string | null = ""; after !== null; ) {
      const { ids, next } = await this.page(after, asked);
      listed.push(...ids);
      after = next;
    }
    return listed;
  }
}

interface Asked {
  readonly limit: number;
  readonly prefix: string | null;
  readonly owner: object;
}

function idsOf(count: number, prefix = "a"): string[] {
  return Array.from({ length: count }, (_, n) => `${prefix}:${(n * 7).toString(16).toUpperCase().padStart(24, "0")}`);
}

afterEach(() => void vi.useRealTimers());

describe("pages of ids", () => {
  it.each([0, 1, 9, 10, 11, 400])("name %i ids once each and in order, by one look", async (count) => {
    const house = new House(idsOf(count));
    expect(await house.list()).toEqual(idsOf(count));
    expect(house.looks).toBe(1);
  });

  it("name more than one look finds", async () => {
    const ids = idsOf(5 * MAX_LISTED);
    const house = new House(ids, MAX_LISTED);
    expect(await house.list({ limit: MAX_LISTED })).toEqual(ids);
    expect(house.looks).toBe(5 + 1);
    expect(await house.list({ limit: 1_000 })).toEqual(ids);
    expect(house.looks).toBeLessThanOrEqual(2 * (5 + 1));
  });

  it("are no longer than is asked for, nor than a message may be", async () => {
    const house = new House(idsOf(2 * MAX_LISTED));
    for (const [limit, length] of [
      [0, 1],
      [1, 1],
      [7, 7],
      [MAX_LISTED + 1, MAX_LISTED],
    ] as const) {
      expect((await house.page("", { limit })).ids.length).toBe(length);
    }
  });

  it("are of one prefix, and not of those that begin with it", async () => {
    const house = new House([...idsOf(30, "shop"), ...idsOf(30, "shop:b"), ...idsOf(30, "")]);
    expect(await house.list({ prefix: "shop" })).toEqual(idsOf(30, "shop"));
    expect(await house.list({ prefix: "" })).toEqual(idsOf(30, ""));
    expect(await house.list({ prefix: "none" })).toEqual([]);
    expect(house.prefixes).toEqual(["shop", "", "none"]);
  });

  it("begin behind any id, whether there is one or not", async () => {
    const ids = idsOf(40);
    const house = new House(ids);
    expect(await house.page(ids[4])).toEqual({ ids: ids.slice(5, 15), next: ids[14] });
    expect((await house.page("a:5")).ids).toEqual([]);
    expect(await house.page(`${ids[35]}0`)).toEqual({ ids: ids.slice(36), next: null });
  });

  it.each([2, 4])("are found by one look for each of %i lists that go on in turns", async (count) => {
    const ids = idsOf(400);
    const house = new House(ids);
    // Two of them are of one connection, as those of one worker are.
    const owners = Array.from({ length: count }, (_, n) => (n < 2 ? OWNER : {}));
    const lists = owners.map((owner, n) => ({
      asked: { owner, prefix: n === 1 ? "a" : null },
      listed: [] as string[],
    }));
    const afters: (string | null)[] = lists.map(() => "");
    while (afters.some((after) => after !== null)) {
      for (const [n, { asked, listed }] of lists.entries()) {
        const after = afters[n];
        if (after === null) continue;
        const page = await house.page(after, asked);
        listed.push(...page.ids);
        afters[n] = page.next;
      }
    }
    for (const { listed } of lists) expect(listed).toEqual(ids);
    expect(house.looks).toBe(count);
  });

  it("are kept for the last few lists alone", async () => {
    const house = new House(idsOf(400));
    const owners = Array.from({ length: 40 }, () => ({}));
    for (const owner of owners) await house.page("", { owner });
    const after = idsOf(400)[9];
    for (const owner of owners.slice(-4)) await house.page(after, { owner });
    expect(house.looks).toBe(40);
    await house.page(after, { owner: owners[0] ?? {} });
    expect(house.looks).toBe(41);
  });

  it("name every session that is there all the time once, whichever come and go meanwhile", async () => {
    for (const seed of [1, 2]) {
      const random = new Random(seed);
      const ids = idsOf(2 * MAX_LISTED + random.below(MAX_LISTED));
      const staying = ids.filter((_, n) => n % 3 !== 0);
      const house = new House(ids, MAX_LISTED);
      const listed: string[] = [];
      for (let after: string | null = ""; after !== null; ) {
        const { ids: page, next }: Awaited<ReturnType<House["page"]>> = await house.page(after, {
          limit: 1 + random.below(900),
        });
        listed.push(...page);
        after = next;
        for (let n = 0; n < 20; n++) {
          const id = random.of(ids);
          if (!staying.includes(id)) house.ids.splice(house.ids.indexOf(id) >>> 0, 1);
          else house.ids.push(`${id}-${n}`);
        }
      }
      expect(listed).toEqual([...new Set(listed)].sort());
      const found = new Set(listed);
      expect(staying.filter((id) => !found.has(id))).toEqual([]);
    }
  });

  it("are found anew by whoever begins, has another prefix, goes elsewhere, or is somebody else", async () => {
    const ids = idsOf(40);
    const house = new House(ids);
    await house.page();
    house.ids.push("a:");
    expect((await house.page()).ids.slice(0, 2)).toEqual(["a:", ids[0]]);
    expect((await house.page(ids[8], { owner: {} })).ids[0]).toBe(ids[9]);
    expect((await house.page(ids[18], { prefix: "a" })).ids[0]).toBe(ids[19]);
    expect((await house.page(ids[2])).ids[0]).toBe(ids[3]);
    expect(house.looks).toBe(5);
    expect((await house.page(ids[12])).ids[0]).toBe(ids[13]);
    expect(house.looks).toBe(5);
  });

  it("are kept for a while, and for one whose connection is open", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    const house = new House(idsOf(40));
    const { next } = await house.page();
    house.pages.forget({});
    const second = await house.page(next ?? "");
    expect(house.looks).toBe(1);
    vi.advanceTimersByTime(10_000);
    const third = await house.page(second.next ?? "");
    expect(house.looks).toBe(2);
    house.pages.forget(OWNER);
    expect((await house.page(third.next ?? "")).next).toBeNull();
    expect(house.looks).toBe(3);
    expect(vi.getTimerCount()).toBe(0);
  });

  it("let others have their turn while many are put in order", async () => {
    const house = new House(idsOf(12 * MAX_LISTED));
    let turns = 0;
    let isOver = false;
    const count = (): void => {
      turns += 1;
      if (!isOver) setImmediate(count);
    };
    setImmediate(count);
    await house.page();
    isOver = true;
    // Each of the twelve parts is merged with what was found before it.
    expect(turns).toBeGreaterThan((12 * 13) / 2 - 12);
  });

  it("fail with what keeps the ids from being named, and the next one may go well", async () => {
    const house = new House(idsOf(5));
    house.problem = new Error("EIO: i/o error, opendir");
    await expect(house.page()).rejects.toThrow("EIO");
    house.problem = undefined;
    expect((await house.page()).ids).toEqual(idsOf(5));
  });
});

// The ids of lists, a page at a time, in their order. Those who keep sessions name them in no order, and each look at all their names costs: so one
// look finds the ids of many pages, and whoever goes on where his last page ended is given the next from there, for a while. Nobody needs what is
// found ahead: whoever comes late, or to another daemon, or when many others have come since, has another look made.

import { prefixOf } from "../../protocol/session-id.ts";
import { type ListTurn, MAX_LISTED } from "../backend/backend.ts";

/** Some 10 MB of ids. Of a million sessions all are listed in 8 looks. */
const AHEAD_IDS = 128 * 1024;
/** So long a session that begins meanwhile may be missed. */
const AHEAD_MS = 10_000;
/** Lists that go on at one time without a look for each page: an operator's, and those of a few workers. More take turns in looking. */
const MAX_AHEAD = 4;
/** Ids that are sorted, or merged, before others have their turn: 2 ms. */
const IDS_PER_SLICE = 4_096;

type Asked = Pick<ListTurn, "caller" | "after" | "prefix" | "limit">;

/** What one look has found. */
interface Found {
  readonly owner: object;
  readonly prefix: string | null;
  readonly ids: readonly string[];
  /** No id is behind them. */
  readonly isAll: boolean;
  readonly deadline: NodeJS.Timeout;
  /** Where the next page begins, and the last id before. */
  at: number;
  after: string;
}

interface IdPage {
  readonly ids: readonly string[];
  /** What the next page is behind; null: there is none. */
  readonly next: string | null;
}

export class IdPages {
  readonly #ids: (prefix: string | null) => AsyncIterable<string>;
  readonly #most: number;
  /** What is found ahead, for each list that goes on; the one used last at the end. */
  #ahead: Found[] = [];

  /**
   * @param ids all ids, in any order, those of other prefixes too, one of them more than once.
   * @param most so many are found by one look.
   */
  constructor(ids: (prefix: string | null) => AsyncIterable<string>, most: number = AHEAD_IDS) {
    this.#ids = ids;
    this.#most = Math.max(most, MAX_LISTED);
  }

  /**
   * The first ids behind `after`, `limit` of them and no more than `MAX_LISTED`. One page is asked for at a time.
   *
   * @throws whatever the ids cannot be named for.
   */
  async page(asked: Asked): Promise<IdPage> {
    const limit = Math.max(1, Math.min(asked.limit, MAX_LISTED));
    const found = this.#take(asked, limit) ?? (await this.#look(asked));
    const ids = found.ids.slice(found.at, found.at + limit);
    found.at += ids.length;
    found.after = ids.at(-1) ?? found.after;
    const isOver = found.at === found.ids.length;
    if (isOver) clearTimeout(found.deadline);
    else this.#keep(found);
    return { ids, next: isOver && found.isAll ? null : found.after };
  }

  /** A connection is closed: nobody goes on with its lists. */
  forget(owner: object): void {
    for (const found of this.#ahead.filter((one) => one.owner === owner)) this.#drop(found);
  }

  /** What a list goes on with. It is not kept any more: too little for a page is of no use to anybody. */
  #take({ caller, after, prefix }: Asked, limit: number): Found | undefined {
    const found = this.#ahead.find((one) => one.owner === caller.owner && one.prefix === prefix && one.after === after);
    if (found === undefined) return undefined;
    this.#ahead = this.#ahead.filter((one) => one !== found);
    if (found.isAll || found.ids.length - found.at >= limit) return found;
    clearTimeout(found.deadline);
    return undefined;
  }

  #keep(found: Found): void {
    this.#ahead.push(found);
    const [oldest] = this.#ahead;
    if (this.#ahead.length > MAX_AHEAD && oldest !== undefined) this.#drop(oldest);
  }

  async #look({ caller, after, prefix }: Asked): Promise<Found> {
    const ids = await this.#firstBehind(after, prefix);
    const deadline = setTimeout(() => this.#drop(found), AHEAD_MS).unref();
    const isAll = ids.length < this.#most;
    const found: Found = { owner: caller.owner, prefix, ids, isAll, deadline, at: 0, after };
    return found;
  }

  async #firstBehind(after: string, prefix: string | null): Promise<readonly string[]> {
    let first: readonly string[] = [];
    let others: string[] = [];
    for await (const id of this.#ids(prefix)) {
      if (id <= after || (prefix !== null && prefixOf(id) !== prefix)) continue;
      if (first.length === this.#most && id >= (first.at(-1) ?? "")) continue;
      others.push(id);
      if (others.length < IDS_PER_SLICE) continue;
      first = await merge(first, others.sort(), this.#most);
      others = [];
    }
    return merge(first, others.sort(), this.#most);
  }

  #drop(found: Found): void {
    clearTimeout(found.deadline);
    this.#ahead = this.#ahead.filter((one) => one !== found);
  }
}

/** The first of both, each once, in their order. Others have their turn between two slices. */
async function merge(one: readonly string[], other: readonly string[], most: number): Promise<readonly string[]> {
  const merged: string[] = [];
  for (let [i, j] = [0, 0]; merged.length < most; ) {
    const [a, b] = [one[i], other[j]];
    const isFirst = b === undefined || (a !== undefined && a <= b);
    const next = isFirst ? a : b;
    if (next === undefined) break;
    if (isFirst) i += 1;
    else j += 1;
    if (next === merged.at(-1)) continue;
    merged.push(next);
    if (merged.length % IDS_PER_SLICE === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  return merged;
}

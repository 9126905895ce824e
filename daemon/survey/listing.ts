// Names the sessions of a store, a page at a time, in the order of their ids, by their headers only. Whoever asks says behind which id the next page
// begins, and may ask another daemon for it.

import { isExpired, startupMs, timeoutSeconds } from "../../protocol/image/image.ts";
import type { ListedSession } from "../../protocol/wire/wire.ts";
import type { ListPage, ListTurn } from "../backend/backend.ts";
import type { Log } from "../report/report.ts";
import type { SessionFiles } from "../store/store.ts";
import { IdPages } from "./id-pages.ts";
import { namesIn } from "./names.ts";

/** Headers that are read at once: other callers wait no longer. */
const HEADERS_PER_SLICE = 32;

interface ListingParts {
  readonly store: Pick<SessionFiles, "ids" | "header" | "sizeOf">;
  readonly tombstones: { has(id: string): boolean };
  readonly log: Log;
  /** The clock, in Unix ms. */
  readonly now: () => number;
}

export class Listing {
  readonly #parts: ListingParts;
  readonly #pages: IdPages;
  /** However many pages are asked for, one is made at a time: other callers wait for a slice of that, and no more ids are kept. */
  #waiting: ListTurn[] = [];
  #isWorking = false;

  constructor(parts: ListingParts) {
    this.#parts = parts;
    this.#pages = new IdPages(() => namesIn(parts.store));
  }

  list(turn: ListTurn): void {
    this.#waiting.push(turn);
    if (!this.#isWorking) void this.#work();
  }

  /** A connection is closed: nobody reads the pages that it has asked for. */
  forget(owner: object): void {
    this.#waiting = this.#waiting.filter(({ caller }) => caller.owner !== owner);
    this.#pages.forget(owner);
  }

  async #work(): Promise<void> {
    this.#isWorking = true;
    for (let turn = this.#waiting.shift(); turn !== undefined; turn = this.#waiting.shift()) {
      await this.#page(turn).then(turn.answer, turn.fail);
    }
    this.#isWorking = false;
  }

  async #page(turn: ListTurn): Promise<ListPage> {
    const { ids, next } = await this.#pages.page(turn);
    const sessions: ListedSession[] = [];
    for (const [index, id] of ids.entries()) {
      const session = this.#look(id);
      if (session !== undefined) sessions.push(session);
      if (index % HEADERS_PER_SLICE === HEADERS_PER_SLICE - 1) await new Promise((resolve) => setImmediate(resolve));
    }
    return { sessions, next };
  }

  /** Undefined for one that has expired, has ended, or is none. */
  #look(id: string): ListedSession | undefined {
    const { store, tombstones, log, now } = this.#parts;
    if (tombstones.has(id)) return undefined;
    try {
      const header = store.header(id);
      const size = store.sizeOf(id);
      if (header === undefined || size === undefined || isExpired(header, now())) return undefined;
      return { id, size, startupMs: startupMs(header), timeoutSeconds: timeoutSeconds(header) };
    } catch (error) {
      // Whatever the system error: one that cannot be looked at hides no other.
      log.warn("list-failed", { session: id, error: String(error) });
      return undefined;
    }
  }
}

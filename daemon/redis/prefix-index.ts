// Which sessions there are of a prefix, for Unique: a sorted set for each, in the order in which they came. An id that expired stays in it for a while and
// does no harm: some are looked at by chance, as the set grows, and those of no session go.

import { prefixOf } from "../../protocol/session-id.ts";
import type { Calls } from "./calls/calls.ts";
import { MEMBERS } from "./calls/calls.ts";

/** An index is kept so many times the life time of a session that was used lately: longer than any in it can live without being used. */
const LIFE_TIMES = 2;
const MAX_KEEP_MS = 1e13;
/** A set of this many is looked through, some at a time, once for so many that come. Of what is left about a third is of no session. */
const MANY = 64;
const ADDS_PER_LOOK = 16;
const LOOKS = 48;
/** An id younger than this may be of a session that is about to be made. */
const YOUNG_MICROS = 60_000_000;

export interface IndexParts {
  readonly calls: Calls;
  readonly keyOf: (id: string) => string;
  readonly indexOf: (prefix: string) => string;
}

export class PrefixIndex {
  readonly #parts: IndexParts;
  #adds = 0;

  constructor(parts: IndexParts) {
    this.#parts = parts;
  }

  /** Puts it in, if it is not there. @throws ServerError */
  async add(id: string, timeoutSeconds: number): Promise<void> {
    await this.#put(id, "add", timeoutSeconds);
  }

  /** Makes it the last. Resolves to its place; undefined: it was claimed, or is not there any more. @throws ServerError */
  raise(id: string, timeoutSeconds: number): Promise<number | undefined> {
    return this.#put(id, "last", timeoutSeconds);
  }

  /** Those of the same prefix before this place. @throws ServerError */
  async below(id: string, place: number): Promise<readonly string[]> {
    return ((await this.#ask(id, "below", place.toFixed(0))) as Buffer[]).map(String);
  }

  /** Whether it is before this place: then it is raised no more. @throws ServerError */
  async claim(id: string, place: number): Promise<boolean> {
    return (await this.#ask(id, "claim", `${place.toFixed(0)} ${id}`)) === 1;
  }

  /** @throws ServerError */
  async remove(id: string): Promise<void> {
    await this.#ask(id, "remove", id);
  }

  async #put(id: string, what: "add" | "last", timeoutSeconds: number): Promise<number | undefined> {
    const keepMs = Math.min(MAX_KEEP_MS, Math.max(1, Math.ceil(LIFE_TIMES * 1000 * timeoutSeconds)));
    const { calls, indexOf } = this.#parts;
    const [place, count] = await calls.index(indexOf(prefixOf(id)), [
      id,
      what,
      String(Number.isNaN(keepMs) ? 1 : keepMs),
    ]);
    this.#adds += 1;
    if (count >= MANY && this.#adds % ADDS_PER_LOOK === 0) {
      // Whatever the reason: the next look finds as much.
      this.#lookThrough(id).catch(() => undefined);
    }
    return place === "" ? undefined : Number(place);
  }

  async #lookThrough(id: string): Promise<void> {
    const answer = (await this.#ask(id, "some", String(LOOKS))) as (Buffer | number | readonly (Buffer | number)[])[];
    const flat = answer.flat();
    const some = flat.flatMap((member, n) =>
      n % 2 === 0 ? [[String(member), Number(String(flat[n + 1]))] as const] : [],
    );
    const last = Math.max(...some.map(([, place]) => place));
    const old = some.filter(([, place]) => place < last - YOUNG_MICROS).map(([one]) => one);
    const { calls, keyOf } = this.#parts;
    const looks = await calls.look(old.map(keyOf));
    const gone = old.filter((_, n) => looks[n] instanceof Buffer && looks[n].length === 0);
    await Promise.all(gone.map((one) => this.remove(one)));
  }

  #ask(id: string, what: string, more: string): Promise<unknown> {
    return this.#parts.calls.run(MEMBERS, this.#parts.indexOf(prefixOf(id)), [what, more]);
  }
}

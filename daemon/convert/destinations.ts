// Under which id a session is in the new place. As a rule under its own; where one of the two places knows several ids as one session, sometimes
// under none: then it stays where it is. Asks for no session.

import type { Holdings } from "../backend/backend.ts";
import type { OriginalIds } from "./original-ids.ts";

export type Destination =
  | { readonly id: string; readonly isAddress: boolean }
  | { readonly id: undefined; readonly fate: "unnamed" | "alike"; readonly why: string };

export interface Between {
  readonly from: Pick<Holdings, "nameOf" | "ids">;
  readonly to: Pick<Holdings, "nameOf">;
  readonly originals: OriginalIds;
}

export class Destinations {
  readonly #between: Between;
  /** Names in the new place that several ids of the old one would have. */
  readonly #alike: ReadonlySet<string>;

  private constructor(between: Between, alike: ReadonlySet<string>) {
    this.#between = between;
    this.#alike = alike;
  }

  /** Goes through all ids of the old place, where the new one may know two of them as one. */
  static async between(between: Between): Promise<Destinations> {
    const { from, to } = between;
    const mayMeet = to.nameOf !== undefined && from.nameOf === undefined;
    return new Destinations(between, mayMeet ? await namesOfSeveral(from.ids(), to.nameOf) : new Set());
  }

  /** @param name the id as the old place knows it. */
  of(name: string): Destination {
    const { from, to } = this.#between;
    if (to.nameOf !== undefined) return this.#alike.has(to.nameOf(name)) ? ALIKE : { id: name, isAddress: false };
    return from.nameOf === undefined ? { id: name, isAddress: false } : this.#original(name);
  }

  #original(name: string): Destination {
    const original = this.#between.originals.of(name);
    if (original.id !== undefined) return original;
    const some = original.readings.length > 0 ? `: it may have been ${original.readings.join(" or ")}` : "";
    return { id: undefined, fate: "unnamed", why: `its name does not tell the id it was made with${some}.` };
  }
}

const ALIKE: Destination = {
  id: undefined,
  fate: "alike",
  why: "in the new place it would be one session with that of another id, which is left, too.",
};

async function namesOfSeveral(
  ids: AsyncIterable<string>,
  nameOf: (id: string) => string,
): Promise<ReadonlySet<string>> {
  const several = new Set<string>();
  const firsts = new Map<string, string>();
  for await (const id of ids) {
    const name = nameOf(id);
    const first = firsts.get(name);
    if (first === undefined) firsts.set(name, id);
    else if (first !== id) several.add(name);
  }
  return several;
}

// Floor of reading: a Map of plain objects. No other process, no copy, no encoding.

import { changedValues, type Values } from "../session-values.ts";
import type { Entry, Held, Subject } from "./contender.ts";

class MapSubject implements Subject {
  readonly #sessions = new Map<string, Record<string, unknown>>();

  async create(values: Values): Promise<string> {
    const id = `map:${this.#sessions.size}`;
    this.#sessions.set(id, { ...values });
    return id;
  }

  get(id: string): number {
    const session = this.#session(id);
    let count = 0;
    for (const key in session) if (session[key] !== undefined) count += 1;
    return count;
  }

  async hold(id: string): Promise<Held> {
    const session = this.#session(id);
    return { change: (visit, isLong) => void Object.assign(session, changedValues(visit, isLong)) };
  }

  close(): void {
    this.#sessions.clear();
  }

  #session(id: string): Record<string, unknown> {
    const session = this.#sessions.get(id);
    if (session === undefined) throw new Error(`session ${id} is not there`);
    return session;
  }
}

export const floorMap: Entry = { open: async () => new MapSubject() };

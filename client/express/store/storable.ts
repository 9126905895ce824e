// Values of applications that were written for JSON: what no session can hold becomes what JSON.stringify makes of it. Everything else stays as
// it is, a Date a Date and bytes bytes. Knows no session.

import { isCode } from "../../../protocol/errors.ts";
import { isInstance } from "../../../protocol/value/value.ts";

/** Calls `store` with the value, or where that is refused with what JSON would make of it. */
export function storeAsJson(store: (value: unknown) => void, value: unknown): void {
  try {
    store(value);
  } catch (error) {
    if (!isCode(error, "ERR_BAD_VALUE")) throw error;
    store(storable(value));
  }
}

/** A copy of what can be stored; undefined for a function or a symbol. The codec names what is left to refuse. */
export function storable(value: unknown): unknown {
  return new Copying().copy(value, "");
}

class Copying {
  readonly #copies = new Map<object, unknown>();

  copy(value: unknown, key: string): unknown {
    if (typeof value === "function" || typeof value === "symbol") return undefined;
    if (typeof value !== "object" || value === null) return value;
    if (this.#copies.has(value)) return this.#copies.get(value);
    if (hasOwnJson(value)) {
      const json = value.toJSON(key);
      if (json !== value) return this.copy(json, key);
    }
    if (Array.isArray(value)) return this.#list(value);
    if (value instanceof Map) return this.#map(value);
    if (value instanceof Date) return Number.isNaN(value.getTime()) ? null : value;
    if (value instanceof Number || value instanceof String || value instanceof Boolean) return value.valueOf();
    return isInstance(value) || isPlain(value) ? this.#members(value) : value;
  }

  #list(list: readonly unknown[]): unknown[] {
    const copy: unknown[] = [];
    this.#copies.set(list, copy);
    for (const [index, value] of list.entries()) copy.push(this.copy(value, String(index)) ?? null);
    return copy;
  }

  #map(map: ReadonlyMap<unknown, unknown>): object {
    const copy: Record<string, unknown> = Object.create(null);
    this.#copies.set(map, copy);
    for (const [key, value] of map) if (typeof key === "string") this.#add(copy, key, value);
    return copy;
  }

  #members(object: object): object {
    const copy: Record<string, unknown> = Object.create(null);
    this.#copies.set(object, copy);
    for (const key of Object.keys(object)) this.#add(copy, key, (object as Record<string, unknown>)[key]);
    return copy;
  }

  #add(copy: Record<string, unknown>, key: string, value: unknown): void {
    const member = this.copy(value, key);
    if (member !== undefined) copy[key] = member;
  }
}

/** Says itself what it is in JSON. A Date and bytes do so, too, and are stored as what they are. */
function hasOwnJson(value: object): value is { toJSON(key: string): unknown } {
  const isAsked = isInstance(value) || isPlain(value);
  return isAsked && "toJSON" in value && typeof value.toJSON === "function";
}

function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

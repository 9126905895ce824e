// Reads a JavaScript object member by member, once, and puts the members into the order they are written in. Knows no bytes.

import { isSameOrder, orderOf } from "./match.ts";

export interface ReadMembers {
  keys: string[];
  values: unknown[];
  /** Decoding gives an object of the same shape. */
  isCanonical: boolean;
  /** Why the object cannot be stored. */
  problem?: string;
}

export function readMap(map: ReadonlyMap<unknown, unknown>): ReadMembers {
  const read: ReadMembers = { keys: [], values: [], isCanonical: false };
  for (const [key, value] of map) {
    if (typeof key !== "string") read.problem = "a Map with a key that is not a string";
    else if (value !== undefined) addMember(read, key, value);
  }
  return read;
}

/** Every member is read once, as JSON does: it may be an accessor. Members that are undefined are left out. */
export function readPlain(object: object): ReadMembers {
  const read: ReadMembers = { keys: [], values: [], isCanonical: Object.getPrototypeOf(object) !== null };
  for (const symbol of Object.getOwnPropertySymbols(object)) {
    if (!Object.prototype.propertyIsEnumerable.call(object, symbol)) continue;
    read.problem = `an object with the symbol ${String(symbol)} as a key`;
    return read;
  }
  for (const key of Object.keys(object)) {
    const value = (object as Record<string, unknown>)[key];
    if (value === undefined) read.isCanonical = false;
    else addMember(read, key, value);
  }
  return read;
}

function addMember(read: ReadMembers, key: string, value: unknown): void {
  read.keys.push(key);
  read.values.push(value);
}

/**
 * Puts the keys that are still there into their stored order and the new ones behind them: an object moves keys that look like
 * indexes to the front by itself. Does nothing when the keys were put in another order on purpose.
 */
export function putInStoredOrder(read: ReadMembers, stored: readonly string[]): void {
  const { keys, values } = read;
  if (isSameOrder(stored, keys)) return;
  const indexes = new Map(keys.map((key, index) => [key, index]));
  const kept = [...new Set(stored)].filter((key) => indexes.has(key));
  const keptKeys = new Set(kept);
  const shown = keys.filter((key) => keptKeys.has(key));
  if (!isSameOrder(orderOf(kept), orderOf(shown))) return;
  read.keys = kept.concat(keys.filter((key) => !keptKeys.has(key)));
  read.values = read.keys.map((key) => values[indexes.get(key) as number]);
}

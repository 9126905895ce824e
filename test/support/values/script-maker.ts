// Makes JavaScript values of every kind a session can hold, with objects that occur twice and circles; compares values with what
// came back, including which objects are one.

import type { Dice } from "./dice.ts";

const SCALARS: readonly unknown[] = [
  0,
  1,
  -1,
  true,
  false,
  "",
  "text",
  "häuser €",
  null,
  3.25,
  -0,
  Number.NaN,
  Number.POSITIVE_INFINITY,
  2 ** 31,
  -(2 ** 31),
  2 ** 53 - 1,
  2 ** 53,
  2n ** 60n,
  -(2n ** 63n),
  1e300,
  0.1,
  Math.fround(0.1),
  200,
  -30000,
  "x".repeat(300),
];

const KEYS = ["a", "b", "10", "2", "__proto__", "toString", "with space", "ключ", "0"];

export class ScriptMaker {
  readonly #dice: Dice;
  readonly #objects: object[] = [];
  #depth = 0;

  constructor(dice: Dice) {
    this.#dice = dice;
  }

  value(): unknown {
    const kind = this.#dice.roll(12);
    if (kind < 6 || this.#depth > 6) return this.scalar();
    if (kind === 6 && this.#objects.length > 0) return this.#dice.one(this.#objects);
    return this.object();
  }

  scalar(): unknown {
    return this.#dice.one(SCALARS);
  }

  object(): object {
    this.#depth++;
    const object = this.#object();
    this.#depth--;
    return object;
  }

  #object(): object {
    switch (this.#dice.roll(8)) {
      case 0:
        return new Date(this.#dice.one([0, 1, -1, 1_577_934_245_678, -5_000_000_000_000, 86_399_999]));
      case 1:
        return this.#known(Buffer.from(Array.from({ length: this.#dice.roll(4) }, () => this.#dice.roll(256))));
      case 2:
      case 3:
      case 4:
        return this.#list();
      default:
        return this.#plain();
    }
  }

  #known<T extends object>(object: T): T {
    this.#objects.push(object);
    return object;
  }

  #list(): unknown[] {
    const list: unknown[] = this.#known([]);
    const isAlike = this.#dice.roll(2) === 0;
    const first = this.value();
    for (let left = this.#dice.roll(4); left > 0; left--) list.push(isAlike ? this.#like(first) : this.value());
    return list;
  }

  #like(first: unknown): unknown {
    const alike = SCALARS.filter((value) => typeof value === typeof first && value !== null);
    return alike.length > 0 ? this.#dice.one(alike) : first;
  }

  #plain(): object {
    const object = this.#known({});
    for (let left = this.#dice.roll(4); left > 0; left--) setOwn(object, this.#dice.one(KEYS), this.value());
    return object;
  }

  /** Changes something somewhere inside a value, if there is anything to change. */
  mutate(root: unknown): void {
    const objects = [...reachable(root)];
    if (objects.length === 0) return;
    const object = this.#dice.one(objects);
    if (object instanceof Date) object.setTime(this.#dice.one([0, 5, 1_600_000_000_000]));
    else if (Buffer.isBuffer(object)) object.fill(this.#dice.roll(256));
    else if (Array.isArray(object)) this.#mutateList(object, objects);
    else this.#mutatePlain(object as Record<string, unknown>, objects);
  }

  #any(objects: readonly object[]): unknown {
    return this.#dice.roll(3) === 0 ? this.#dice.one(objects) : this.value();
  }

  #mutateList(list: unknown[], objects: readonly object[]): void {
    const index = this.#dice.roll(Math.max(1, list.length));
    switch (this.#dice.roll(5)) {
      case 0:
        list.push(this.#any(objects));
        break;
      case 1:
        list.shift();
        break;
      case 2:
        list.reverse();
        break;
      case 3:
        list.length = index;
        break;
      default:
        list[index] = this.#any(objects);
    }
  }

  #mutatePlain(object: Record<string, unknown>, objects: readonly object[]): void {
    const key = this.#dice.one([...Object.keys(object), ...KEYS]);
    if (this.#dice.roll(3) === 0) delete object[key];
    else setOwn(object, key, this.#any(objects));
  }
}

export function setOwn(object: object, key: string, value: unknown): void {
  Object.defineProperty(object, key, { value, writable: true, enumerable: true, configurable: true });
}

function reachable(value: unknown, found: Set<object> = new Set()): Set<object> {
  if (typeof value !== "object" || value === null || found.has(value)) return found;
  found.add(value);
  if (!(value instanceof Date) && !Buffer.isBuffer(value))
    for (const member of Object.values(value)) reachable(member, found);
  return found;
}

/** How `left` and `right` differ, as a path; undefined when they are alike, one object for one object. Dates have no identity. */
export function difference(
  left: unknown,
  right: unknown,
  pairs: Map<object, object> = new Map(),
  path = "value",
): string | undefined {
  if (typeof left !== "object" || left === null)
    return Object.is(left, right) ? undefined : `${path}: ${String(left)} is ${String(right)}`;
  if (typeof right !== "object" || right === null) return `${path}: an object is ${String(right)}`;
  if (left instanceof Date)
    return right instanceof Date && left.getTime() === right.getTime() ? undefined : `${path}: other date`;
  const known = pairs.get(left) ?? pairs.get(right);
  if (known !== undefined)
    return pairs.get(left) === right && pairs.get(right) === left ? undefined : `${path}: not the same object`;
  if (Buffer.isBuffer(left)) return differentBytes(left, right, pairs, path);
  pairs.set(left, right);
  pairs.set(right, left);
  if (Array.isArray(left) !== Array.isArray(right)) return `${path}: an array is none`;
  const keys = Object.keys(left);
  const others = Object.keys(right);
  if (keys.length !== others.length) return `${path}: ${keys.join()} is ${others.join()}`;
  for (const key of keys) {
    if (!Object.hasOwn(right, key)) return `${path}: no ${key}`;
    const found = difference(
      (left as Record<string, unknown>)[key],
      (right as Record<string, unknown>)[key],
      pairs,
      `${path}.${key}`,
    );
    if (found !== undefined) return found;
  }
  return undefined;
}

function differentBytes(left: Buffer, right: object, pairs: Map<object, object>, path: string): string | undefined {
  if (!Buffer.isBuffer(right) || !left.equals(right)) return `${path}: other bytes`;
  // A Buffer that is a String in the session has no identity there.
  if (Buffer.from(left.toString()).equals(left)) {
    pairs.set(left, right);
    pairs.set(right, left);
  }
  return undefined;
}

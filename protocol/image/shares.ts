// Decides which objects of different values are one object: those a worker says it shares, if they really are equal. When another worker has
// changed one of them meanwhile they are two.

import { CLASS_VARIANTS } from "../value/format.ts";
import type { Source } from "./graph.ts";

interface Node {
  readonly source: Source;
  readonly number: number;
}

export class Identities {
  readonly #sources: readonly Source[];
  readonly #parents = new Map<number, number>();
  /** The entries that an object is part of, or any object that is one with it; by the id that stands for all of these. */
  readonly #entries = new Map<number, Set<number>>();

  /** `sources` in the order of their bases; `orders` the ids of the objects of each entry. */
  constructor(sources: readonly Source[], orders: Iterable<readonly number[]>) {
    this.#sources = sources;
    let entry = 0;
    for (const ids of orders) {
      for (const id of ids) this.#entriesOf(id).add(entry);
      entry++;
    }
  }

  #entriesOf(id: number): Set<number> {
    const root = this.find(id);
    const known = this.#entries.get(root);
    if (known !== undefined) return known;
    const entries = new Set<number>();
    this.#entries.set(root, entries);
    return entries;
  }

  /** The id that stands for all that are one with `id`. */
  find(id: number): number {
    let root = id;
    for (let parent = this.#parents.get(root); parent !== undefined; parent = this.#parents.get(root)) root = parent;
    for (let at = id; at !== root; ) {
      const next = this.#parents.get(at) as number;
      this.#parents.set(at, root);
      at = next;
    }
    return root;
  }

  /** Makes two objects one, and with them all objects inside. Does nothing when they differ anywhere. */
  unify(left: number, right: number): void {
    const pairs = this.#pairUp(left, right);
    if (pairs === undefined) return;
    for (const [one, other] of pairs) if (!this.#canMerge(one, other)) return;
    for (const [one, other] of pairs) if (this.#canMerge(one, other)) this.#merge(one, other);
  }

  /** Two objects of one entry stay two, whatever a worker says. */
  #canMerge(one: number, other: number): boolean {
    if (this.find(one) === this.find(other)) return true;
    const entries = this.#entriesOf(one);
    for (const entry of this.#entriesOf(other)) if (entries.has(entry)) return false;
    return true;
  }

  #merge(one: number, other: number): void {
    const to = this.find(one);
    const from = this.find(other);
    if (from === to) return;
    const entries = this.#entriesOf(one);
    for (const entry of this.#entriesOf(other)) entries.add(entry);
    this.#parents.set(from, to);
  }

  /** Which object of the left corresponds to which of the right, one to one, or undefined when they are not alike. */
  #pairUp(left: number, right: number): ReadonlyMap<number, number> | undefined {
    const pairs = new Map<number, number>([[left, right]]);
    const reverse = new Map<number, number>([[right, left]]);
    const waiting: [number, number][] = [[left, right]];
    for (let pair = waiting.pop(); pair !== undefined; pair = waiting.pop()) {
      if (this.find(pair[0]) === this.find(pair[1])) continue;
      const members = this.#membersIfAlike(this.#nodeOf(pair[0]), this.#nodeOf(pair[1]));
      if (members === undefined) return undefined;
      for (const [one, other] of members) {
        if (pairs.get(one) === other && reverse.get(other) === one) continue;
        if (pairs.has(one) || reverse.has(other)) return undefined;
        pairs.set(one, other);
        reverse.set(other, one);
        waiting.push([one, other]);
      }
    }
    return pairs;
  }

  #nodeOf(id: number): Node {
    let low = 0;
    let high = this.#sources.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >>> 1;
      if ((this.#sources[middle] as Source).base < id) low = middle;
      else high = middle - 1;
    }
    const source = this.#sources[low] as Source;
    return { source, number: id - source.base };
  }

  /** The objects directly inside both, pair by pair, when everything else in them is the same to the byte. */
  #membersIfAlike(left: Node, right: Node): [number, number][] | undefined {
    if (isRoot(left) || isRoot(right) || !isSameClass(left, right)) return undefined;
    const one = new ObjectWalk(left);
    const other = new ObjectWalk(right);
    const members: [number, number][] = [];
    for (;;) {
      const run = one.nextRun();
      if (!run.equals(other.nextRun()) || one.isAtEnd !== other.isAtEnd) return undefined;
      if (one.isAtEnd) return members;
      members.push([one.takeMember(), other.takeMember()]);
    }
  }
}

function isRoot({ source, number }: Node): boolean {
  return source.hasRoot && number === 1;
}

function isSameClass(left: Node, right: Node): boolean {
  const code = left.source.table.classes[left.number];
  if (code !== right.source.table.classes[right.number]) return false;
  return code !== CLASS_VARIANTS || elementTypeOf(left) === elementTypeOf(right);
}

function elementTypeOf({ source: { table }, number }: Node): number | undefined {
  return table.bytes[(table.counts[number] as number) - 1];
}

/** Walks over one object from its count on: bytes, inner object, bytes, inner object, bytes. */
class ObjectWalk {
  isAtEnd = false;
  readonly #source: Source;
  readonly #end: number;
  #at: number;
  #event: number;

  constructor({ source, number }: Node) {
    const { table } = source;
    this.#source = source;
    this.#at = table.counts[number] as number;
    this.#end = table.ends[number] as number;
    this.#event = table.firstEvents[number] as number;
  }

  /** The bytes up to the next inner object or the end. */
  nextRun(): Buffer {
    const { table } = this.#source;
    const eventAt = table.eventAts[this.#event];
    this.isAtEnd = eventAt === undefined || eventAt >= this.#end;
    const end = this.isAtEnd ? this.#end : (eventAt as number);
    return table.bytes.subarray(this.#at, end);
  }

  /** The id of the inner object, and past it. */
  takeMember(): number {
    const { table, base } = this.#source;
    const target = table.eventTargets[this.#event] as number;
    const number = Math.abs(target);
    this.#at = target > 0 ? (table.ends[number] as number) : (table.eventAts[this.#event] as number) + 5;
    this.#event = target > 0 ? (table.endEvents[number] as number) : this.#event + 1;
    return base + number;
  }
}

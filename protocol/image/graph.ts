// Objects that are referred to: the GraphWriter writes entries so that every object is written out once, where it comes first, and referred
// to afterwards. Works on bytes and tables of where objects are. Knows no JavaScript values, and keeps its own stack.

import { CLASS_VARIANTS, classOfElementType, readLength, TAG, unreadable } from "../value/format.ts";
import { kindOfContext, type Output, writeArrayHeader } from "../value/output.ts";
import type { ObjectTable } from "../value/scan.ts";

/** The bytes some objects are in. `base` + number makes their numbers unique among all sources of a graph. */
export interface Source {
  readonly table: ObjectTable;
  readonly base: number;
  /** The object 1 is the root of an image, which is not in any entry. */
  readonly hasRoot: boolean;
}

/** A value in a source. */
export interface Slot {
  readonly source: Source;
  readonly at: number;
  readonly end: number;
}

interface Level {
  readonly source: Source;
  readonly end: number;
  at: number;
  event: number;
}

/** Stands for the root in a value that stands alone: a number that no reader accepts. */
export const ROOT_ALONE = 0;

export class GraphWriter {
  /** Ids of the objects in the order in which they were numbered. */
  readonly order: number[] = [];
  /** Whether a reference was written. */
  hasReferences = false;
  readonly #out: Output;
  readonly #rootNumber: number;
  readonly #first: number;
  readonly #numbers = new Map<number, number>();
  readonly #unify: ((id: number) => number) | undefined;

  /** `rootNumber` is what stands for the root; objects are numbered from `rootNumber + 1`. */
  constructor(out: Output, rootNumber: number, unify?: (id: number) => number) {
    this.#out = out;
    this.#rootNumber = rootNumber;
    this.#first = rootNumber + 1;
    this.#unify = unify;
  }

  /** Writes the value of a slot into a variant. */
  write(slot: Slot): void {
    const { source, at, end } = slot;
    const stack: Level[] = [{ source, at, end, event: firstEventFrom(source.table, at) }];
    for (let level = stack.at(-1); level !== undefined; level = stack.at(-1)) {
      const { table } = level.source;
      const eventAt = table.eventAts[level.event];
      if (eventAt === undefined || eventAt >= level.end) {
        this.#out.copy(table.bytes, level.at, level.end);
        stack.pop();
        continue;
      }
      this.#out.copy(table.bytes, level.at, eventAt);
      const inner = this.#event(level, eventAt);
      if (inner !== undefined) stack.push(inner);
    }
  }

  /** Moves the level past its next event; returns the level of an object that has to be written out here. */
  #event(level: Level, at: number): Level | undefined {
    const { source } = level;
    const { table } = source;
    const target = table.eventTargets[level.event] as number;
    const number = Math.abs(target);
    const context = table.eventContexts[level.event] as number;
    const isDefinition = target > 0;
    const known = this.#numberOf(source, number);
    if (isDefinition && known === undefined) {
      this.#define(source, number);
      level.at = at;
      level.event++;
      return undefined;
    }
    level.at = isDefinition ? (table.ends[number] as number) : at + 5;
    level.event = isDefinition ? (table.endEvents[number] as number) : level.event + 1;
    if (known === undefined) return this.#inline(source, number, context);
    this.hasReferences = true;
    this.#out.byte(TAG.REFERENCE);
    this.#out.int32(known);
    return undefined;
  }

  #idOf(source: Source, number: number): number {
    const id = source.base + number;
    return this.#unify === undefined ? id : this.#unify(id);
  }

  #numberOf(source: Source, number: number): number | undefined {
    if (source.hasRoot && number === 1) return this.#rootNumber;
    return this.#numbers.get(this.#idOf(source, number));
  }

  #define(source: Source, number: number): void {
    const id = this.#idOf(source, number);
    this.#numbers.set(id, this.#first + this.order.length);
    this.order.push(source.base + number);
  }

  /** Writes the object where a reference to it stood. */
  #inline(source: Source, number: number, context: number): Level {
    const { table } = source;
    this.#define(source, number);
    const countAt = table.counts[number] as number;
    const code = table.classes[number] as number;
    if (code < 16 || kindOfContext(table.contexts[number]) === kindOfContext(context)) {
      this.#out.copy(table.bytes, table.starts[number] as number, countAt);
    } else {
      requireRegular(table, countAt, code);
      writeArrayHeader(this.#out, code, context);
    }
    return { source, at: countAt, end: table.ends[number] as number, event: table.firstEvents[number] as number };
  }
}

/** The elements of a Variant[] in a Variant[][] can lack their tags. No program writes that, and elsewhere it would mean another class. */
function requireRegular(table: ObjectTable, countAt: number, code: number): void {
  if (code !== CLASS_VARIANTS) return;
  const count = readLength(table.bytes, countAt);
  if (count > 0 && classOfElementType(table.bytes[countAt - 1] as number, count) !== code) {
    throw unreadable(countAt, "a shared Variant[] without the types of its elements cannot be moved");
  }
}

/** Index of the first event at `at` or later. */
function firstEventFrom(table: ObjectTable, at: number): number {
  return firstNotBelow(table.eventAts, at);
}

/** Number of the first object that starts at `at` or later. */
export function firstObjectFrom(table: ObjectTable, at: number): number {
  return firstNotBelow(table.starts, at);
}

function firstNotBelow(sorted: readonly number[], wanted: number): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((sorted[middle] as number) < wanted) low = middle + 1;
    else high = middle;
  }
  return low;
}

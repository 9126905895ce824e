// Makes valid Gambas bytes of every form that 3.18 reads, canonical or not: long lengths, class names in any case, element types
// that say nothing, both array tags, references in every context. Shares nothing with protocol/.

import type { Dice } from "./dice.ts";

const BASES = [
  "Boolean",
  "Byte",
  "Short",
  "Integer",
  "Long",
  "Single",
  "Float",
  "Date",
  "String",
  "Pointer",
  "Variant",
  "Object",
  "Collection",
];
const TYPES = [1, 2, 3, 4, 5, 6, 7, 8, 9, 0x0b, 0x0c, 0x10, 0x10];
const SIZES = [1, 1, 2, 4, 8, 4, 8, 8, 0, 8];

const TEXTS = ["", "a", "häuser", "10", "2", "€uro", "x".repeat(200), "__proto__", "constructor", "tail"];
const RAW = [Buffer.from([0xff, 0x00, 0xfe]), Buffer.from([0xc3]), Buffer.from([0x61, 0xed, 0xa0, 0x80])];

export interface Shape {
  /** Only what Gambas itself would write. */
  readonly isCanonical?: boolean;
  readonly hasReferences?: boolean;
}

export class ByteMaker {
  readonly #dice: Dice;
  readonly #shape: Shape;
  /** Class of every object made so far. */
  readonly classes: string[] = [];
  #depth = 0;

  constructor(dice: Dice, shape: Shape = {}, classes: readonly string[] = []) {
    this.#dice = dice;
    this.#shape = shape;
    this.classes.push(...classes);
  }

  #isOdd(): boolean {
    return this.#shape.isCanonical !== true && this.#dice.once(5);
  }

  length(value: number): Buffer {
    const form = this.#isOdd() ? this.#dice.roll(3) : 0;
    if (value < 0x80 && form === 0) return Buffer.of(value);
    if (value < 0x4000 && form < 2) return Buffer.of(0x80 | (value >> 8), value & 0xff);
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32BE(value + 0xc0000000);
    return bytes;
  }

  text(): Buffer {
    const bytes = this.#dice.once(6) ? this.#dice.one(RAW) : Buffer.from(this.#dice.one(TEXTS));
    return Buffer.concat([this.length(bytes.length), bytes]);
  }

  /** A value as a key or a Variant[] holds it. */
  variant(): Buffer {
    // Objects have to be frequent for references to be.
    const kind = this.#dice.roll(this.#shape.hasReferences === true ? 30 : 18);
    if (kind >= 13 && this.#depth < 6) return this.object("Variant");
    if (kind === 12) return Buffer.of(this.#isOdd() ? 0x00 : 0x0f);
    if (kind >= 10) return Buffer.concat([Buffer.of(this.#isOdd() ? 0x0a : 9), this.text()]);
    return Buffer.concat([Buffer.of(TYPES[kind] as number), this.payload(kind)]);
  }

  payload(kind: number): Buffer {
    if (kind === 8) return this.text();
    const bytes = Buffer.from(Array.from({ length: SIZES[kind] as number }, () => this.#dice.roll(256)));
    if (kind === 0 && this.#shape.isCanonical === true) bytes[0] = (bytes[0] as number) & 1 ? 0xff : 0;
    if (kind === 7) this.#date(bytes);
    return bytes;
  }

  #date(bytes: Buffer): void {
    const isOdd = this.#isOdd();
    bytes.writeInt32LE(this.#dice.one([0, 2_490_955, 2_472_692, -1, 1]), 0);
    bytes.writeInt32LE(isOdd ? this.#dice.one([86_400_000, -1, -5]) : this.#dice.one([0, 11_045_000, 86_399_999]), 4);
  }

  /** An object where `context` may stand: Variant, Object, Collection or an array class. Object and below may be null. */
  object(context: string): Buffer {
    if (context !== "Variant" && this.#dice.once(6)) return Buffer.of(0);
    if (this.#shape.hasReferences !== false && this.#dice.once(3)) {
      const reference = this.#reference(context);
      if (reference !== undefined) return reference;
    }
    this.#depth++;
    const isCollection = context === "Collection" || (isOpen(context) && this.#dice.roll(2) === 0);
    const bytes = isCollection ? this.collection() : this.array(context);
    this.#depth--;
    return bytes;
  }

  #reference(context: string): Buffer | undefined {
    const fitting = this.classes.flatMap((name, index) => (isOpen(context) || name === context ? [index + 1] : []));
    // The root of an image is no value that can be shown.
    const usable = fitting.filter((number) => this.classes[number - 1] !== "root");
    if (usable.length === 0) return undefined;
    const bytes = Buffer.from([0x40, 0, 0, 0, 0]);
    bytes.writeInt32LE(this.#dice.one(usable), 1);
    return bytes;
  }

  collection(): Buffer {
    this.classes.push("Collection");
    const members = new Map<string, Buffer>();
    for (let left = this.#dice.roll(4); left > 0; left--) {
      const key = this.text();
      const name = key.toString("latin1").slice(key[0] === undefined || key[0] < 0x80 ? 1 : key[0] < 0xc0 ? 2 : 4);
      if (name !== "" && !members.has(name)) members.set(name, Buffer.concat([key, this.variant()]));
    }
    const tag = Buffer.of(this.#isOdd() ? 0x63 : 0x43);
    return Buffer.concat([tag, this.length(members.size), ...members.values()]);
  }

  array(context: string): Buffer {
    const depth = this.#depth > 5 ? 1 : 1 + this.#dice.roll(3);
    const name = isOpen(context) ? this.#dice.one(BASES) + "[]".repeat(depth) : context;
    const base = BASES.indexOf(name.replaceAll("[]", ""));
    const isFlat = name.lastIndexOf("[") === name.indexOf("[");
    let type = isFlat ? (TYPES[base] as number) : 0x10;
    // Only for Variant[] does 3.18 look at it; and where the class is left out.
    const isOpenTag = context === "Object" && isFlat && base !== 12 && this.#isOdd();
    if (name !== "Variant[]" && !isOpenTag && this.#isOdd()) type = this.#dice.roll(256);
    const shown =
      name === "Collection[]" || !isFlat || base > 10
        ? name
        : this.#isOdd() && !isOpenTag
          ? this.#alias(name, base)
          : name;
    if (shown !== name) type = TYPES[base] as number;
    this.classes.push(name);
    const count = this.#depth > 6 ? 0 : this.#dice.roll(4);
    const header = this.#header(context, shown, type, isOpenTag);
    const elements = Array.from({ length: count }, () => this.#element(name.slice(0, -2)));
    return Buffer.concat([header, this.length(count), ...elements]);
  }

  /** Variant[] with the element type of another class is that class, where no class is wanted. */
  #alias(name: string, base: number): string {
    return base <= 10 && this.#dice.once(2) ? "Variant[]" : name;
  }

  #header(context: string, name: string, type: number, isOpenTag: boolean): Buffer {
    const isTyped = !isOpen(context);
    if (isOpenTag) return Buffer.of(0x41, type);
    if (isTyped && (this.#shape.isCanonical === true || !this.#dice.once(3))) return Buffer.of(0x41, type);
    const shown = this.#isOdd() ? name.toLowerCase() : name;
    const tag = context === "Variant" && this.#isOdd() ? 0x41 : 0x61;
    const safe = isTyped ? context : shown;
    return Buffer.concat([Buffer.of(tag, safe.length), Buffer.from(safe), Buffer.of(type)]);
  }

  #element(name: string): Buffer {
    if (name === "Variant") return this.variant();
    const base = BASES.indexOf(name);
    return base >= 0 && base < 10 ? this.payload(base) : this.object(name);
  }
}

function isOpen(context: string): boolean {
  return context === "Variant" || context === "Object";
}

// Reads Gambas bytes into the neutral typed JSON of test/fixtures/README.md. Written apart from protocol/, as a second opinion:
// it knows nothing of its tables, and is meant for bytes that are whole.

export type Typed =
  | { type: "Null" | "Boolean" | "Byte" | "Short" | "Integer" | "Long" | "Pointer"; value?: unknown }
  | { type: "Single" | "Float"; bits: string }
  | { type: "Date"; day: number; msec: number }
  | { type: "String"; value: string }
  | { type: "String"; hex: string }
  | { type: "Array"; class: string; value: Typed[] }
  | { type: "Collection"; value: [string, Typed][] }
  | { type: "Ref"; id: number };

const SCALARS = [
  "",
  "Boolean",
  "Byte",
  "Short",
  "Integer",
  "Long",
  "Single",
  "Float",
  "Date",
  "String",
  "String",
  "Pointer",
];
const CANONICAL = ["Variant[]", "Object[]", "Collection[]", ...SCALARS.slice(1).map((name) => `${name}[]`)];

export class TypedView {
  #at: number;
  #objects: number;
  readonly #bytes: Buffer;

  /** `objects` is how many objects come before: 1 inside an image, 0 for a value that stands alone. */
  constructor(bytes: Buffer, at: number, objects: number) {
    this.#bytes = bytes;
    this.#at = at;
    this.#objects = objects;
  }

  get at(): number {
    return this.#at;
  }

  get objects(): number {
    return this.#objects;
  }

  length(): number {
    const first = this.#bytes.readUInt8(this.#at++);
    if (first < 0x80) return first;
    if (first < 0xc0) return ((first & 0x3f) << 8) | this.#bytes.readUInt8(this.#at++);
    const rest = this.#bytes.readUIntBE(this.#at, 3);
    this.#at += 3;
    return (first & 0x3f) * 0x1000000 + rest;
  }

  raw(): Buffer {
    const size = this.length();
    if (this.#at + size > this.#bytes.length) throw new RangeError("cut off");
    this.#at += size;
    return this.#bytes.subarray(this.#at - size, this.#at);
  }

  variant(): Typed {
    const tag = this.#bytes.readUInt8(this.#at);
    if (tag === 0x61 || tag === 0x41) return this.array("", "");
    if (tag === 0x43 || tag === 0x63 || tag === 0x40) return this.object("Object");
    this.#at++;
    if (tag === 0x00 || tag === 0x0f) return { type: "Null" };
    const name = SCALARS[tag];
    if (name === undefined) throw new RangeError(`tag ${tag}`);
    return this.scalar(name);
  }

  scalar(name: string): Typed {
    if (name === "String") return textOf(this.raw());
    const sizes: Record<string, number> = { Boolean: 1, Byte: 1, Short: 2, Integer: 4, Single: 4 };
    const size = sizes[name] ?? 8;
    const bytes = this.#bytes.subarray(this.#at, this.#at + size);
    this.#at += size;
    switch (name) {
      case "Boolean":
        return { type: name, value: bytes.readUInt8() !== 0 };
      case "Byte":
      case "Short":
      case "Integer":
        return { type: name, value: name === "Byte" ? bytes.readUInt8() : bytes.readIntLE(0, size) };
      case "Single":
      case "Float":
        return { type: name, bits: bytes.toString("hex") };
      case "Date":
        return { type: name, day: bytes.readInt32LE(0), msec: bytes.readInt32LE(4) };
      default:
        return { type: name as "Long", value: String(bytes.readBigInt64LE()) };
    }
  }

  /** An object where the declared class is `declared`; "Object" takes any. */
  object(declared: string): Typed {
    const tag = this.#bytes.readUInt8(this.#at);
    if (tag === 0x61 || tag === 0x41) return this.array("object", declared);
    this.#at++;
    if (tag === 0x00) return { type: "Null" };
    if (tag === 0x40) {
      this.#at += 4;
      return { type: "Ref", id: this.#bytes.readInt32LE(this.#at - 4) };
    }
    if (tag !== 0x43 && tag !== 0x63) throw new RangeError(`object tag ${tag}`);
    this.#objects++;
    const members = new Map<string, Typed>();
    for (let left = this.length(); left > 0; left--) {
      const key = keyOf(this.raw());
      members.set(key, this.variant());
    }
    return { type: "Collection", value: [...members] };
  }

  array(context: string, declared: string): Typed {
    const tag = this.#bytes.readUInt8(this.#at++);
    let name =
      tag === 0x61 || context === "" ? canonical(this.raw().toString("latin1").split("\0")[0] ?? "") : declared;
    const type = this.#bytes.readUInt8(this.#at++);
    this.#objects++;
    const count = this.length();
    const held = type === 0x10 ? "Object" : type === 0x0c || count === 0 ? "Variant" : (SCALARS[type] ?? "Variant");
    const isOpen = name === "Object" && tag === 0x41;
    const layout = isOpen || name === "Variant[]" ? `${nameOf(type, held)}[]` : name;
    if (isOpen || (name === "Variant[]" && (declared === "" || declared === "Object"))) name = layout;
    return {
      type: "Array",
      class: name,
      value: Array.from({ length: count }, () => this.#element(layout.slice(0, -2))),
    };
  }

  #element(declared: string): Typed {
    if (declared === "Variant") return this.variant();
    return SCALARS.includes(declared) ? this.scalar(declared) : this.object(declared);
  }
}

function nameOf(type: number, held: string): string {
  return type > 0 && type < 0x0c && type !== 0x0a ? (SCALARS[type] ?? held) : held;
}

function canonical(name: string): string {
  const base = name.replace(/(\[\])+$/, "");
  const known = CANONICAL.find((entry) => entry.toLowerCase() === `${base}[]`.toLowerCase());
  if (known === undefined) throw new RangeError(`class ${name}`);
  return known.slice(0, -2) + name.slice(base.length);
}

export function textOf(bytes: Buffer): Typed {
  const value = bytes.toString();
  return Buffer.from(value).equals(bytes) ? { type: "String", value } : { type: "String", hex: bytes.toString("hex") };
}

/** Bytes that are no UTF-8 are shown as Latin-1; the tests that need more compare the bytes. */
export function keyOf(bytes: Buffer): string {
  const text = bytes.toString();
  return Buffer.from(text).equals(bytes) ? text : bytes.toString("latin1");
}

/** The entries of an image as Gambas shows them, but for empty strings, which are kept. The root's tag tells the dialect, and nothing here. */
export function viewImage(image: Buffer): [string, Typed][] {
  const older = Buffer.from(image);
  if (older[16] === 0x44 || older[16] === 0x64) older[16] -= 1;
  const view = new TypedView(older, 16, 0);
  const root = view.object("Object");
  if (root.type !== "Collection") throw new RangeError("the root is no collection");
  return root.value;
}

/** The value at `at` of bytes that stand alone, and where it ends. */
export function viewValue(bytes: Buffer, at = 0): { typed: Typed; end: number } {
  const view = new TypedView(bytes, at, 0);
  const typed = view.variant();
  return { typed, end: view.at };
}

/** The typed JSON of a fixture with what is not authoritative left out, so that it equals a view. */
export function normalise(json: Record<string, unknown>): Typed {
  const { type } = json as { type: string };
  if (type === "Single" || type === "Float") return { type, bits: json.bits as string };
  if (type === "Date") return { type, day: json.day as number, msec: json.msec as number };
  if (type === "String" && json.repeat !== undefined) {
    return { type, value: (json.value as string).repeat(json.repeat as number) };
  }
  if (type === "Array") {
    return { type, class: json.class as string, value: (json.value as Record<string, unknown>[]).map(normalise) };
  }
  if (type === "Collection") {
    const members = json.value as [string, Record<string, unknown>][];
    return { type, value: members.map(([key, value]) => [key, normalise(value)]) };
  }
  return json as Typed;
}

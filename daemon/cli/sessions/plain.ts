// Values of a session as plain JSON, and as one line of text for a terminal. Decodes nothing: it is given what was decoded.

import { safeText } from "../terminal/safe-text.ts";

/** What a line has room for. */
const MAX_TEXT = 200;
/** A deeper value says so instead. Nobody reads further, and JSON.stringify would run out of stack. */
const MAX_LEVELS = 200;

/** Turns the values of one session. An object that occurs again is told by where it was first: `{ "@": "cart.items" }`. */
export class Plain {
  readonly #places = new Map<object, string>();

  of(value: unknown, place: string, level = 0): unknown {
    if (typeof value === "bigint") return String(value);
    if (typeof value === "number") return Number.isFinite(value) ? value : String(value);
    if (typeof value !== "object" || value === null) return value;
    if (value instanceof Date) return Number.isNaN(value.getTime()) ? null : value.toISOString();
    if (value instanceof Uint8Array) return new Binary(value);
    const before = this.#places.get(value);
    if (before !== undefined) return { "@": before };
    this.#places.set(value, place);
    if (level === MAX_LEVELS) return "(deeper than can be shown)";
    if (Array.isArray(value)) return value.map((one, index) => this.of(one, `${place}[${index}]`, level + 1));
    const members = Object.entries(value).map(
      ([key, one]) => [key, this.of(one, `${place}.${key}`, level + 1)] as const,
    );
    return Object.fromEntries(members);
  }
}

class Binary {
  readonly #bytes: Buffer;

  constructor(bytes: Uint8Array) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  }

  toJSON(): { readonly bytes: number; readonly hex: string } {
    return { bytes: this.#bytes.length, hex: this.#bytes.toString("hex") };
  }

  toString(): string {
    const shown = this.#bytes.toString("hex", 0, MAX_TEXT).replace(/..(?!$)/g, "$& ");
    return `${this.#bytes.length} bytes: ${shown}`;
  }
}

/** One line, safe for a terminal, and cut where it is long. */
export function textOf(plain: unknown): string {
  const text = plain instanceof Binary ? String(plain) : (JSON.stringify(plain) ?? "");
  const shown = safeText(text);
  if (shown.length <= MAX_TEXT) return shown;
  return `${shown.slice(0, MAX_TEXT).toWellFormed()}... (${text.length} characters)`;
}

// typed(): how a caller forces a Gambas type that JavaScript has no value for. Knows the names of the types, nothing of their bytes.

import { SessionError } from "../errors.ts";
import { BASE_COLLECTION, classOfName, nameOfClass, TAG } from "./format.ts";

/** What `typed()` returns. It may stand alone or anywhere inside arrays and objects. */
export class TypedValue {
  /** The name as Gambas writes it. */
  readonly type: string;
  readonly value: unknown;
  /** The class as the codec writes it: a scalar's tag, a collection, or an array class. */
  readonly code: number;

  constructor(code: number, value: unknown) {
    this.type = nameOfClass(code);
    this.value = value;
    this.code = code;
  }
}

const PLAIN_TYPES = new Map<string, number>([
  ["boolean", TAG.BOOLEAN],
  ["byte", TAG.BYTE],
  ["short", TAG.SHORT],
  ["integer", TAG.INTEGER],
  ["long", TAG.LONG],
  ["single", TAG.SINGLE],
  ["float", TAG.FLOAT],
  ["date", TAG.DATE],
  ["string", TAG.STRING],
  ["pointer", TAG.POINTER],
  ["collection", BASE_COLLECTION],
]);

/**
 * Forces a Gambas type: `typed("Float", 3)`, `typed("Short[]", [1, 2])`, `typed("String", bytes)`, `typed("Date", null)`.
 *
 * Types: Boolean, Byte, Short, Integer, Long, Single, Float, Date, String, Pointer, Collection, and arrays of these, of Variant
 * and of Object, to any depth (`Integer[][]`). Names are not case-sensitive.
 *
 * The value must be held exactly, or storing it throws ERR_BAD_VALUE; only Single takes any number, and stores the nearest one it
 * can, since that is what asking for a Single means. An unknown name throws ERR_BAD_VALUE at once.
 */
export function typed(type: string, value: unknown): TypedValue {
  const name = String(type);
  const code = PLAIN_TYPES.get(name.toLowerCase()) ?? classOfName(name);
  if (code === 0)
    throw new SessionError("ERR_BAD_VALUE", `${JSON.stringify(name)} is not a Gambas type that can be stored.`);
  return new TypedValue(code, value);
}

// typed(), as the package exports it: what it returns is what an application sees of it.

import { typed as typedValue } from "../protocol/value/value.ts";
import type { TypedValue } from "./api.ts";

/**
 * Forces a Gambas type: `typed("Float", 3)`, `typed("Short[]", [1, 2])`, `typed("String", bytes)`, `typed("Date", null)`.
 *
 * @param type Boolean, Byte, Short, Integer, Long, Single, Float, Date, String, Pointer, Collection, or an array of these, of Variant or of
 *   Object, to any depth (`Integer[][]`). Names are not case-sensitive.
 * @param value must be held exactly, or storing it throws ERR_BAD_VALUE. A Single takes any number and stores the nearest one it can.
 * @throws SessionError ERR_BAD_VALUE for the name of no type that can be stored.
 */
export const typed: (type: string, value: unknown) => TypedValue = typedValue;

// Checks for what arrives from the socket. A shape is a check that is also a type: what passed it may be used as that type.

import { SessionError } from "../errors.ts";

export interface Shape<T> {
  readonly name: string;
  readonly test: (value: unknown) => value is T;
  readonly isOmittable?: boolean;
}
/** Of the last field of a message: a field that is left out is nil. */
export interface OmittableShape<T> extends Shape<T | null> {
  readonly isOmittable: true;
}
export type TypeOfShape<S> = S extends Shape<infer T> ? T : never;

function shape<T>(name: string, test: (value: unknown) => value is T): Shape<T> {
  return { name, test };
}

/** Taken once: the name of the class is a getter of the global object. */
const { isBuffer } = Buffer;

export const float: Shape<number> = shape("float", (v): v is number => typeof v === "number");
export const uint: Shape<number> = shape(
  "uint",
  (v): v is number => typeof v === "number" && Number.isSafeInteger(v) && v >= 0,
);
export const text: Shape<string> = shape("text", (v): v is string => typeof v === "string");
export const bool: Shape<boolean> = shape("bool", (v): v is boolean => typeof v === "boolean");
export const bytes: Shape<Buffer> = shape("bytes", (v): v is Buffer => isBuffer(v));

export function optional<T>(inner: Shape<T>): Shape<T | null> {
  return shape(`${inner.name} or nil`, (v): v is T | null => v === null || inner.test(v));
}

/** For the last field of a message, which is seldom there. */
export function omittable<T>(inner: Shape<T>): OmittableShape<T> {
  const { test } = optional(inner);
  return { name: `${inner.name}, nil, or left out`, test, isOmittable: true };
}

export function listOf<T>(inner: Shape<T>): Shape<T[]> {
  return shape(`list of ${inner.name}`, (v): v is T[] => Array.isArray(v) && v.every((item) => inner.test(item)));
}

type Shapes = Readonly<Record<string, Shape<unknown>>>;
type MapOf<R extends Shapes, O extends Shapes> = { readonly [K in keyof R]: TypeOfShape<R[K]> } & {
  readonly [K in keyof O]?: TypeOfShape<O[K]>;
};

/** A map with members it must and members it may have. What it does not name is let through, so that newer peers may add some. */
export function mapOf<R extends Shapes, O extends Shapes>(required: R, allowed: O): Shape<MapOf<R, O>> {
  const names = [...namesOf(required, ""), ...namesOf(allowed, "?")];
  const test = (v: unknown): v is MapOf<R, O> =>
    isPlainMap(v) &&
    Object.entries(required).every(([name, inner]) => Object.hasOwn(v, name) && inner.test(v[name])) &&
    Object.entries(allowed).every(([name, inner]) => !Object.hasOwn(v, name) || inner.test(v[name]));
  return shape(`{ ${names.join(", ")} }`, test);
}

function namesOf(shapes: Shapes, mark: string): string[] {
  return Object.entries(shapes).map(([name, inner]) => `${name}${mark}: ${inner.name}`);
}

function isPlainMap(v: unknown): v is Record<string, unknown> {
  return typeof v === "object" && v !== null && Object.getPrototypeOf(v) === Object.prototype;
}

/** The fields of a message in the order in which they travel. */
export type Fields = Readonly<Record<string, Shape<unknown>>>;
/** A message that has arrived. */
export type Message<F extends Fields> = { readonly [K in keyof F]: TypeOfShape<F[K]> };
type OmittableOf<F extends Fields> = { [K in keyof F]: F[K] extends OmittableShape<unknown> ? K : never }[keyof F];
/** A message to be sent: `undefined` leaves out a field that may be left out. */
export type Sendable<F extends Fields> = Omit<Message<F>, OmittableOf<F>> & {
  readonly [K in OmittableOf<F>]?: TypeOfShape<F[K]> | undefined;
};

/** Names the values of an array by `fields`; ERR_PROTOCOL says which one is missing or of the wrong shape. */
export function readFields<F extends Fields>(fields: F, values: readonly unknown[], start: number): Message<F> {
  const message: Record<string, unknown> = {};
  let at = start;
  for (const name in fields) {
    const inner = fields[name];
    if (at >= values.length && inner?.isOmittable === true) {
      message[name] = null;
      continue;
    }
    const value = values[at++];
    if (inner === undefined || !inner.test(value)) {
      throw new SessionError("ERR_PROTOCOL", `The field "${name}" must be ${inner?.name}.`);
    }
    message[name] = value;
  }
  if (at !== values.length) {
    throw new SessionError("ERR_PROTOCOL", `The message has ${values.length - start} fields instead of ${at - start}.`);
  }
  return message as Message<F>;
}

// The neutral JSON in which fixtures and the oracle describe Gambas values (test/fixtures/README.md), and its comparison.

export type TypedKey = string | { readonly hex: string };

export type TypedJson =
  | { readonly type: "Null" }
  | { readonly type: "Boolean"; readonly value: boolean }
  | { readonly type: "Byte" | "Short" | "Integer"; readonly value: number }
  | { readonly type: "Long" | "Pointer"; readonly value: string }
  | { readonly type: "Single" | "Float"; readonly bits: string; readonly value?: number | string }
  | { readonly type: "Date"; readonly day: number; readonly msec: number; readonly utc?: string }
  | { readonly type: "String"; readonly value: string; readonly repeat?: number }
  | { readonly type: "String"; readonly hex: string }
  | { readonly type: "Array"; readonly class: string; readonly value: readonly TypedJson[]; readonly dims?: number[] }
  | { readonly type: "Collection"; readonly value: readonly (readonly [TypedKey, TypedJson])[] }
  | { readonly type: "Ref"; readonly id: number };

export type TypedEntry = readonly [TypedKey, TypedJson];

/** One spelling per value: floats by their bits alone, strings in full. Two values are the same when these are deeply equal. */
export function canonical(json: TypedJson): TypedJson {
  switch (json.type) {
    case "Single":
    case "Float":
      return { type: json.type, bits: json.bits };
    case "Date":
      return { type: "Date", day: json.day, msec: json.msec };
    case "String":
      return "hex" in json ? json : { type: "String", value: json.value.repeat(json.repeat ?? 1) };
    case "Array":
      return { type: "Array", class: json.class, value: json.value.map(canonical) };
    case "Collection":
      return { type: "Collection", value: json.value.map(canonicalEntry) };
    default:
      return json;
  }
}

export function canonicalEntry([key, json]: TypedEntry): TypedEntry {
  return [key, canonical(json)];
}

// A house in which a Node worker and real Gambas programs use the same sessions, and what tests ask of either side.
import { layoutOf, valueOf as storedValue } from "../../protocol/image/image.ts";
import {
  canonicalEntry,
  GambasHouse,
  type OracleAnswer,
  type OracleCommand,
  type TypedEntry,
  type TypedJson,
} from "../support/gambas/gambas.ts";
import { Reader } from "../support/values/typed-model.ts";
import { NodeSide } from "./node-side.ts";
import type { Step } from "./programs/steps.ts";

const epochDay = 2_472_692;
const dayMs = 86_400_000;

export class TwoSides {
  readonly house: GambasHouse;
  readonly node: NodeSide;

  private constructor(house: GambasHouse) {
    this.house = house;
    this.node = NodeSide.start(house);
  }

  static async open(): Promise<TwoSides> {
    return new TwoSides(await GambasHouse.open());
  }

  close(): Promise<void> {
    return this.house.close();
  }

  /** One Gambas program that has the session: it runs the commands, saves, and ends. */
  gambas(id: string, ...commands: readonly OracleCommand[]): Promise<OracleAnswer[]> {
    return this.house.oracle(commands, { cookie: id });
  }

  async bornInGambas(entries: readonly TypedEntry[], env: Readonly<Record<string, string>> = {}): Promise<string> {
    const [, read] = await this.house.oracle(
      [
        ["put", entries],
        ["read", "Id"],
      ],
      { env },
    );
    return String(read?.value);
  }

  async bornInNode(...steps: readonly Step[]): Promise<string> {
    return String((await this.node.run(null, ...steps, ["read", "Id"])).at(-1));
  }

  /** The value of a key in Gambas; undefined when it is not there. */
  async inGambas(id: string, key: string): Promise<TypedJson | undefined> {
    const [exist, got] = await this.gambas(id, ["exist", key], ["get", key]);
    return exist?.value === true ? (got?.value as TypedJson) : undefined;
  }

  /** What Gambas reads, without its own key `_`. */
  async entriesInGambas(id: string): Promise<TypedEntry[]> {
    const [dump] = await this.gambas(id, ["dump"]);
    return (dump?.entries ?? []).filter(([key]) => key !== "_").map(canonicalEntry);
  }

  /** The bytes of a value in the file, as the codec takes them, as hex. */
  storedBytes(id: string, key: string): string | undefined {
    const image = this.house.readImage(id);
    return storedValue(image, layoutOf(image), key)?.toString("hex");
  }

  startupMs(id: string): number {
    return Math.round((this.house.readSession(id).readDoubleLE(0) - epochDay) * dayMs);
  }

  /** Makes the session look as if it had last been saved at that time. */
  stamp(id: string, ms: number): void {
    const image = this.house.readSession(id);
    image.writeDoubleLE(ms / dayMs + epochDay, 0);
    this.house.writeSession(id, image);
  }
}

export function typeName(json: TypedJson): string {
  return json.type === "Array" ? json.class : json.type;
}

/** The step that sets in Node exactly what the typed JSON says. */
export function setting(key: string, json: TypedJson): Step {
  return ["set", key, new Reader().read(json), typeName(json)];
}

export const integer = (value: number): TypedJson => ({ type: "Integer", value });
const array = (name: string, ...value: TypedJson[]): TypedJson => ({ type: "Array", class: name, value });
export const cart: TypedJson = { type: "Collection", value: [["item", { type: "String", value: "pen" }]] };

/** Every type Gambas stores, and every class of array. */
export const kinds: readonly TypedJson[] = [
  { type: "Boolean", value: true },
  { type: "Boolean", value: false },
  { type: "Byte", value: 255 },
  { type: "Short", value: -32_768 },
  integer(2_147_483_647),
  { type: "Long", value: "9007199254740993" },
  { type: "Single", bits: "0000c03f" },
  { type: "Float", bits: "0000000000000840" },
  { type: "Float", bits: "000000000000f87f" },
  { type: "Date", day: 2_490_955, msec: 11_045_000 },
  { type: "String", value: "käse, €, \u{1f600}" },
  { type: "String", hex: "ff00c3" },
  { type: "Pointer", value: "4660" },
  cart,
  { type: "Collection", value: [] },
  array("Boolean[]", { type: "Boolean", value: true }, { type: "Boolean", value: false }),
  array("Byte[]", { type: "Byte", value: 1 }),
  array("Short[]", { type: "Short", value: 7 }),
  array("Integer[]", integer(1), integer(-1)),
  array("Integer[]"),
  array("Long[]", { type: "Long", value: "4294967296" }),
  array("Single[]", { type: "Single", bits: "0000003f" }),
  array("Float[]", { type: "Float", bits: "0000000000000440" }),
  array("Date[]", { type: "Date", day: 2_490_955, msec: 0 }),
  array("String[]", { type: "String", value: "a" }, { type: "String", value: "" }),
  array("Pointer[]", { type: "Pointer", value: "1" }),
  array("Variant[]", { type: "String", value: "a" }, { type: "Null" }, { type: "Boolean", value: true }),
  array("Integer[][]", array("Integer[]", integer(1)), array("Integer[]")),
  array("Collection[]", cart),
  array("Object[]", cart, array("Integer[]", integer(3))),
];

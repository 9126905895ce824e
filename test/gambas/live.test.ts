// One live session, used by Node and by real Gambas programs in turn: what either writes the other reads, as long as the session lives
// and no longer. Values through the whole stack: static Session, worker, daemon, file, gb.web and back.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { imageOfFile } from "../../protocol/image/image.ts";
import { canonicalEntry, describeGambas, isNewerGambas, stampedNow, type TypedJson } from "../support/gambas/gambas.ts";
import { repository } from "../support/repository.ts";
import { Reader, shapeOf, Writer } from "../support/values/typed-model.ts";
import { cart, integer, kinds, setting, TwoSides, typeName } from "./two-sides.ts";

const fixtures = join(repository, "test/fixtures");

let sides: TwoSides;

async function open(): Promise<void> {
  sides = await TwoSides.open();
}

async function close(): Promise<void> {
  await sides.close();
}

const plainValues: readonly [string, unknown][] = [
  ["a boolean", true],
  ["an integer", 42],
  ["an integer beyond int32", 2 ** 40],
  ["a fraction", 0.1],
  ["a negative zero", -0],
  ["infinity", Number.NEGATIVE_INFINITY],
  ["a bigint", 2n ** 62n],
  ["text", "héllo \u{1f600}"],
  ["a Date", new Date(Date.UTC(2026, 1, 3, 4, 5, 6, 789))],
  ["a Buffer", Buffer.from([0, 128, 255])],
  ["a typed array", new Float64Array([1.5, -0])],
  ["a list of numbers", [1, 2.5]],
  ["a list of Dates", [new Date(0), new Date(1)]],
  ["a mixed list", [1, "a", null, { b: [true] }]],
  ["an empty list", []],
  ["an object", { user: { name: "anna", rights: ["read", "write"] }, since: new Date(5) }],
  ["a Map", new Map<string, unknown>([["z", 1]])],
];

describeGambas("one session in turn: values", () => {
  let id: string;
  beforeAll(async () => {
    await open();
    id = await sides.bornInGambas([["first", integer(1)]]);
  });
  afterAll(close);

  it.each(kinds.map((json) => [typeName(json), json] as const))(
    "a %s goes both ways with equal type, value and bytes: %j",
    async (type, json) => {
      await sides.gambas(id, ["put", [["byGambas", json]]]);
      const [shown] = (await sides.node.dump(id)).filter(({ key }) => key === "byGambas");
      expect(shown?.type).toBe(type);
      expect(shapeOf([shown?.value])).toEqual(shapeOf([new Reader().read(json)]));
      await sides.node.run(id, setting("byNode", json));
      expect(sides.storedBytes(id, "byNode")).toBe(sides.storedBytes(id, "byGambas"));
      const [got] = await sides.gambas(id, ["get", "byNode"]);
      expect(canonicalEntry(["byNode", got?.value as TypedJson])[1]).toEqual(canonicalEntry(["byNode", json])[1]);
      expect(await sides.node.ask(id, "delete", "byGambas")).toBe(true);
      expect(await sides.inGambas(id, "byGambas")).toBeUndefined();
    },
  );

  it.each(plainValues)("%s that Node sets is what Gambas reads, keeps, and gives back", async (_name, value) => {
    await sides.node.run(id, ["set", "plain", value]);
    const [got] = await sides.gambas(id, ["get", "plain"]);
    const written = new Writer().write(value);
    expect(got?.value).toEqual(canonicalEntry(["plain", written])[1]);
    const [type, again] = await sides.node.run(id, ["type", "plain"], ["get", "plain"]);
    expect(type).toBe(typeName(written));
    expect(shapeOf([again])).toEqual(shapeOf([new Reader().read(written)]));
    await sides.node.run(id, ["delete", "plain"]);
  });

  it("a value that Node changes keeps the type Gambas gave it, as long as that holds it", async () => {
    await sides.gambas(id, ["put", [["kept", { type: "Short", value: 7 }]]]);
    await sides.node.run(id, ["set", "kept", 300]);
    expect((await sides.gambas(id, ["get", "kept"]))[0]?.value).toEqual({ type: "Short", value: 300 });
    await sides.node.run(id, ["set", "kept", 40_000]);
    expect((await sides.gambas(id, ["get", "kept"]))[0]?.value).toEqual(integer(40_000));
  });

  it("an object stays one object in two keys, whichever side changes it in place", async () => {
    await sides.gambas(id, [
      "put",
      [
        ["one", cart],
        ["two", { type: "Ref", id: 2 }],
      ],
    ]);
    expect(await sides.node.run(id, ["same", "one", "two"], ["poke", "two", "count", 3])).toEqual([true, undefined]);
    const [same, got] = await sides.gambas(
      id,
      ["same", "one", "two"],
      ["get", "one"],
      ["poke", "one", "item", integer(9)],
    );
    expect(same?.value).toBe(true);
    expect(got?.value).toEqual(new Writer().write({ item: "pen", count: 3 }));
    expect(await sides.node.run(id, ["get", "two"], ["same", "one", "two"])).toEqual([{ item: 9, count: 3 }, true]);
  });

  it("a value that Node cannot hold is refused, and neither side sees a change", async () => {
    const before = sides.house.readSession(id);
    const setting = sides.node.run(id, ["set", "lost", 1], ["set", "big", 2n ** 70n]);
    await expect(setting).rejects.toMatchObject({ code: "ERR_BAD_VALUE" });
    expect(sides.house.readSession(id).equals(before)).toBe(true);
    expect(await sides.inGambas(id, "lost")).toBeUndefined();
  });
});

describeGambas("one session in turn: order and bytes", () => {
  beforeAll(open);
  afterAll(close);

  // Those of both dialects, beside whichever Gambas.
  const names = ["", "newer/"].flatMap((folder) =>
    readdirSync(join(fixtures, folder)).flatMap((name) => (name.endsWith(".session") ? [folder + name] : [])),
  );
  it.each(names)("what Gambas wrote in %s keeps its bytes while Node sets and deletes another key", async (name) => {
    const id = `10.0.0.1:${Buffer.from(name.padStart(12, "-")).toString("hex").slice(0, 24).toUpperCase()}`;
    const written = stampedNow(readFileSync(join(fixtures, name)));
    sides.house.writeSession(id, written);
    await sides.node.run(id, ["set", "by node", 7]);
    const changed = sides.house.readSession(id);
    const entry = Buffer.from("\x07by node\x04\x07\x00\x00\x00", "latin1");
    // The count of keys is one higher, and the new entry stands before the trailing cookie path.
    const [count, at] = [written.readUInt8(17), changed.lastIndexOf(entry)];
    expect(changed.readUInt8(17)).toBe(count + 1);
    expect(changed.subarray(18, at).toString("hex")).toBe(written.subarray(18, at).toString("hex"));
    expect(changed.subarray(at + entry.length).toString("hex")).toBe(written.subarray(at).toString("hex"));
    await sides.node.run(id, ["delete", "by node"]);
    expect(sides.house.readSession(id).subarray(8).equals(written.subarray(8))).toBe(true);
  });

  it("what JavaScript cannot show keeps its bytes too, through Node's changes and Gambas' next save", async () => {
    const id = await sides.bornInGambas([
      ["void", { type: "Date", day: 2_147_483_647, msec: -1 }],
      [{ hex: "ff" }, integer(1)],
      ["last", integer(2)],
    ]);
    const before = sides.storedBytes(id, "void");
    await sides.node.run(id, ["set", "last", 3], ["set", "n", 4]);
    expect(sides.storedBytes(id, "void")).toBe(before);
    expect(await sides.entriesInGambas(id)).toEqual([
      ["void", { type: "Date", day: 2_147_483_647, msec: -1 }],
      [{ hex: "ff" }, integer(1)],
      ["last", integer(3)],
      ["n", integer(4)],
    ]);
  });
});

describeGambas("one session in turn: what it is", () => {
  beforeAll(open);
  afterAll(close);

  it("a session that Node creates has an id of Gambas' form, and Gambas goes on with it", async () => {
    const id = await sides.bornInNode(["set", "n", 1]);
    expect(id).toMatch(/^10\.0\.0\.1:[0-9A-F]{24}$/);
    const [touched] = await sides.gambas(id, ["touch"], ["put", [["n", integer(2)]]]);
    expect(touched).toMatchObject({ value: true, id, events: [] });
    expect(await sides.node.run(id, ["get", "n"], ["read", "Id"])).toEqual([2, id]);
    expect(sides.house.listSessions()).toContain(id);
  });

  it.each([
    ["10.0.0.1", {}],
    ["::1", { REMOTE_ADDR: "::1" }],
    ["", { REMOTE_ADDR: "" }],
  ])("a session that Gambas creates with the prefix %j is one Node goes on with", async (prefix, env) => {
    const id = await sides.bornInGambas([["n", integer(1)]], env);
    expect(id.slice(0, -25)).toBe(prefix);
    expect(await sides.node.run(id, ["get", "n"], ["set", "n", 2], ["read", "Id"], ["keys"])).toEqual([
      1,
      undefined,
      id,
      ["n"],
    ]);
    expect((await sides.gambas(id, ["get", "n"]))[0]?.value).toEqual(integer(2));
  });

  it("the key `_` is Gambas' own: Node neither shows nor loses it", async () => {
    const id = await sides.bornInGambas([["a", integer(1)]]);
    const before = sides.storedBytes(id, "_");
    expect(await sides.node.run(id, ["keys"], ["set", "a", 2])).toEqual([["a"], undefined]);
    expect(sides.storedBytes(id, "_")).toBe(before);
    await expect(sides.node.run(id, ["set", "_", "x"])).rejects.toMatchObject({ code: "ERR_BAD_KEY" });
    expect((await sides.gambas(id, ["touch"], ["keys"]))[1]?.value).toEqual(["_", "a"]);
  });

  it("a key that is removed and set again in one request is the last one, on both sides", async () => {
    const id = await sides.bornInGambas([
      ["a", integer(1)],
      ["b", integer(1)],
      ["c", integer(1)],
    ]);
    const [, , keys] = await sides.gambas(id, ["remove", "a"], ["put", [["a", integer(2)]]], ["keys"]);
    expect(keys?.value).toEqual(["_", "b", "c", "a"]);
    const [, , node] = await sides.node.run(id, ["delete", "b"], ["set", "b", 2], ["keys"]);
    expect(node).toEqual(["c", "a", "b"]);
    expect((await sides.gambas(id, ["touch"], ["keys"]))[1]?.value).toEqual(["_", "c", "a", "b"]);
  });

  it("a session that Node creates has `_` first, as in Gambas, with the path of its cookie", async () => {
    const id = await sides.bornInNode(["write", "CookiePath", "/shop"], ["set", "a", 1]);
    expect(sides.house.readSession(id).subarray(16).toString("latin1")).toBe(
      "C\x02\x01_\x09\x05/shop\x01a\x04\x01\x00\x00\x00\x05/shop",
    );
    const [, read] = await sides.gambas(id, ["touch"], ["read", "CookiePath"]);
    expect(read?.value).toBe("/shop");
  });

  it("Timeout and CookiePath set by either side are the other's", async () => {
    const id = await sides.bornInGambas([["a", integer(1)]]);
    await sides.gambas(
      id,
      ["touch"],
      ["write", "Timeout", 1800],
      ["write", "CookiePath", "/g"],
      ["put", [["a", integer(2)]]],
    );
    expect(await sides.node.run(id, ["read", "Timeout"], ["read", "CookiePath"])).toEqual([1800, "/g"]);
    await sides.node.run(id, ["write", "Timeout", 900], ["write", "CookiePath", "/n"]);
    const [, timeout, path, value] = await sides.gambas(
      id,
      ["touch"],
      ["read", "Timeout"],
      ["read", "CookiePath"],
      ["get", "_"],
    );
    expect([timeout?.value, path?.value, value?.value]).toEqual([900, "/n", { type: "String", value: "/n" }]);
    expect(await sides.node.run(id, ["read", "Timeout"], ["read", "CookiePath"], ["get", "a"])).toEqual([900, "/n", 2]);
  });

  it("Size and Path are those of the file that Gambas saved", async () => {
    const id = await sides.bornInGambas([["text", { type: "String", value: "x", repeat: 5000 }]]);
    const [size, path] = await sides.node.run(id, ["read", "Size"], ["read", "Path"]);
    expect(size).toBe(sides.house.readSession(id).length);
    expect(path).toBe(`${sides.house.root}/session/${id}`);
    expect((await sides.gambas(id, ["touch"], ["read", "Size"]))[1]?.value).toBe(size);
  });

  it("both stamp a session with the same clock", async () => {
    const beforeMs = Date.now();
    const id = await sides.bornInGambas([["a", integer(1)]]);
    await sides.node.run(id, ["set", "b", 2]);
    expect(sides.startupMs(id)).toBeGreaterThanOrEqual(beforeMs);
    expect(sides.startupMs(id)).toBeLessThanOrEqual(Date.now());
    const saved = sides.startupMs(id);
    await sides.gambas(id, ["touch"]);
    expect(sides.startupMs(id)).toBeGreaterThanOrEqual(saved);
  });
});

describeGambas("one session in turn: its end", () => {
  beforeAll(open);
  afterAll(close);

  it("one that Gambas let expire is not adopted, and its file goes", async () => {
    const id = await sides.bornInGambas([["a", integer(1)]]);
    expect(await sides.node.finds(id)).toBe(true);
    await sides.gambas(id, ["touch"], ["write", "Timeout", 0], ["put", [["a", integer(2)]]]);
    expect(await sides.node.run(id, ["read", "Id"], ["get", "a"], ["keys"])).toEqual([null, undefined, []]);
    expect(sides.house.hasSession(id)).toBe(false);
  });

  it("one whose stamp is older than its time is not adopted, whether Node knew it or not", async () => {
    const [known, unknown] = [
      await sides.bornInGambas([["a", integer(1)]]),
      await sides.bornInGambas([["a", integer(1)]]),
    ];
    expect(await sides.node.finds(known)).toBe(true);
    for (const id of [known, unknown]) {
      sides.stamp(id, Date.now() - 86_400_000);
      expect(await sides.node.finds(id)).toBe(false);
      expect(sides.house.hasSession(id)).toBe(false);
      expect((await sides.gambas(id, ["touch"]))[0]).toMatchObject({ value: false, id: "" });
    }
  });

  it("reading in Node renews the stamp in place, so that neither side lets it expire", async () => {
    const id = await sides.bornInGambas([["a", integer(1)]]);
    const before = sides.house.readSession(id);
    sides.stamp(id, Date.now() - 86_000_000);
    const beforeMs = Date.now();
    expect(await sides.node.ask(id, "get", "a")).toBe(1);
    expect(sides.startupMs(id)).toBeGreaterThanOrEqual(beforeMs);
    expect(sides.house.readSession(id).subarray(8).equals(before.subarray(8))).toBe(true);
    expect((await sides.gambas(id, ["get", "a"]))[0]?.value).toEqual(integer(1));
  });

  it("a stamp in the future is one both sides accept", async () => {
    const id = await sides.bornInNode(["set", "a", 1]);
    sides.stamp(id, Date.now() + 3_600_000);
    expect(await sides.node.ask(id, "get", "a")).toBe(1);
    expect((await sides.gambas(id, ["get", "a"]))[0]?.value).toEqual(integer(1));
  });

  it("what Node abandons is gone for Gambas", async () => {
    const id = await sides.bornInGambas([["a", integer(1)]]);
    await sides.node.run(id, ["abandon"]);
    expect(sides.house.hasSession(id)).toBe(false);
    const [touched] = await sides.gambas(id, ["touch"]);
    expect(touched).toMatchObject({ value: false, id: "", events: [{ event: "abandoned", id }] });
  });

  it("what Gambas abandons it leaves on disk, and Node may go on with it, as Gambas itself would", async () => {
    const id = await sides.bornInNode(["set", "a", 1]);
    await sides.gambas(id, ["touch"], ["put", [["a", integer(2)]]], ["abandon"]);
    expect(await sides.node.ask(id, "get", "a")).toBe(1);
    expect((await sides.gambas(id, ["get", "a"]))[0]?.value).toEqual(integer(1));
  });

  it("Gambas' Unique ends Node's sessions of the prefix, under the daemon's eyes, and spares the others", async () => {
    const [mine, other] = [
      await sides.bornInNode(["set", "a", 1]),
      await sides.bornInGambas([["a", integer(1)]], { REMOTE_ADDR: "10.0.0.10" }),
    ];
    expect([await sides.node.finds(mine), await sides.node.finds(other)]).toEqual([true, true]);
    const [, , read] = await sides.house.oracle([
      ["write", "Unique", true],
      ["put", [["n", integer(1)]]],
      ["read", "Id"],
    ]);
    const newest = String(read?.value);
    expect(sides.house.hasSession(mine)).toBe(false);
    expect(await sides.node.run(mine, ["read", "Id"], ["get", "a"])).toEqual([null, undefined]);
    expect([await sides.node.finds(newest), await sides.node.finds(other)]).toEqual([true, true]);
    // The lock file of `newest` went too, maybe while the daemon held it open: both sides must meet at the new one.
    await sides.node.run(newest, ["set", "n", 2]);
    expect((await sides.gambas(newest, ["get", "n"]))[0]?.value).toEqual(integer(2));
  });

  it("Gambas' Unique on the session Node has open takes its lock file, and nothing is lost after that", async () => {
    const id = await sides.bornInNode(["set", "n", 1]);
    const oracle = sides.house.startOracle({ cookie: id });
    await oracle.do("touch");
    await oracle.do("write", "Unique", true);
    expect(sides.house.hasSession(id)).toBe(false);
    await oracle.end();
    expect(sides.house.hasSession(id)).toBe(true);
    expect(await sides.node.run(id, ["get", "n"], ["set", "n", 2])).toEqual([1, undefined]);
    expect((await sides.gambas(id, ["get", "n"], ["put", [["n", integer(3)]]]))[0]?.value).toEqual(integer(2));
    expect(await sides.node.ask(id, "get", "n")).toBe(3);
  });

  it("Node's Unique ends Gambas' sessions of exactly its prefix", async () => {
    const before = await sides.bornInGambas([["a", integer(1)]], { REMOTE_ADDR: "10.0.0.7" });
    const longer = await sides.bornInGambas([["a", integer(1)]], { REMOTE_ADDR: "10.0.0.77" });
    const [, , , id] = await sides.node.run(
      null,
      ["write", "Prefix", "10.0.0.7"],
      ["write", "Unique", true],
      ["set", "a", 2],
      ["read", "Id"],
    );
    expect([before, longer, String(id)].map((each) => sides.house.hasSession(each))).toEqual([false, true, true]);
    expect((await sides.gambas(before, ["touch"]))[0]?.value).toBe(false);
    expect((await sides.gambas(String(id), ["get", "a"]))[0]?.value).toEqual(integer(2));
  });

  it("a Prefix that Gambas sets is one Node reads, and the other way round", async () => {
    const [, , read] = await sides.house.oracle([
      ["write", "Prefix", "user42"],
      ["put", [["a", integer(1)]]],
      ["read", "Id"],
    ]);
    expect(String(read?.value)).toMatch(/^user42:[0-9A-F]{24}$/);
    expect(await sides.node.ask(String(read?.value), "get", "a")).toBe(1);
    const [, , id] = await sides.node.run(null, ["write", "Prefix", "user43"], ["set", "a", 1], ["read", "Id"]);
    expect(String(id)).toMatch(/^user43:[0-9A-F]{24}$/);
    expect((await sides.gambas(String(id), ["get", "a"]))[0]?.value).toEqual(integer(1));
  });
});

interface Crafted {
  readonly gambas: "loaded" | "abandoned";
  readonly appError?: string;
}

/** 3.19 and later give up a file of 3.18 that has one. */
function hasReferences(file: Buffer): boolean {
  try {
    return imageOfFile(Buffer.from(file)).hasReferences;
  } catch {
    return false;
  }
}

describeGambas("damaged files", () => {
  const crafted: Record<string, Crafted> = JSON.parse(readFileSync(join(fixtures, "crafted/expected.json"), "utf8"));
  beforeAll(open);
  afterAll(close);

  it.each(Object.keys(crafted))(
    "Node and Gambas say the same of %s, and what neither can read stays as it is",
    async (name) => {
      const id = `10.0.0.1:${Buffer.from(name).toString("hex").padStart(24, "0").slice(-24).toUpperCase()}`;
      const bytes = readFileSync(join(fixtures, "crafted", `${name}.session`));
      sides.house.writeSession(id, bytes);
      const seen = await sides.node.run(id, ["read", "Id"], ["dump"]).catch((error: { code?: string }) => error.code);
      const isAdopted = Array.isArray(seen) && seen[0] === id;
      const isExpired = Array.isArray(seen) && seen[0] === null;
      if (!isExpired) expect(sides.house.readSession(id).subarray(8).equals(bytes.subarray(8))).toBe(true);
      sides.house.writeSession(id, bytes);
      const [touched] = await sides.house.oracle([["touch"]], { cookie: id, mayFail: true });
      if (isNewerGambas && hasReferences(bytes)) expect([isAdopted, touched?.value]).toEqual([true, false]);
      else expect(isAdopted).toBe(touched?.value === true);
      if (!isAdopted && !isExpired) expect(seen).toBe("ERR_UNREADABLE");
    },
  );
});

// Sessions of Type "sqlite" between Node and the real Gambas, both ways. What happens beside each other is in sqlite-beside.test.ts.

import { copyFileSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { databaseName } from "../../protocol/session-id.ts";
import { contentsOf } from "../daemon/store/gambas-sqlite/databases.ts";
import { newId } from "../support/daemon/lab.ts";
import { describeDatabases } from "../support/gambas/databases.ts";
import {
  canonicalEntry,
  GambasHouse,
  isNewerGambas,
  type OracleAnswer,
  type OracleCommand,
  type TypedEntry,
} from "../support/gambas/gambas.ts";
import { freshRoot } from "../support/processes.ts";
import { repository } from "../support/repository.ts";
import { NodeSide } from "./node-side.ts";

const folder = join(repository, "test/fixtures/sqlite");
const fixtures = Object.keys(JSON.parse(readFileSync(join(folder, "MANIFEST.json"), "utf8"))).filter(
  // One has expired for everybody; references of 3.18 mean nothing to a later Gambas.
  (name) => name !== "never_saved" && !(isNewerGambas && name === "refs_in_value"),
);

let house: GambasHouse;
let node: NodeSide;

/** A Gambas program of a site that keeps its sessions in databases. */
async function gambas(cookie: string | undefined, ...commands: readonly OracleCommand[]): Promise<OracleAnswer[]> {
  const options = cookie === undefined ? {} : { cookie };
  const [, ...answers] = await house.oracle([["write", "Type", "sqlite"], ...commands], options);
  return answers;
}

/** All that Gambas finds in a session, but its own key. */
async function inGambas(id: string): Promise<TypedEntry[]> {
  const [dump] = await gambas(id, ["dump"]);
  return (dump?.entries ?? []).filter(([key]) => key !== "_").map(canonicalEntry);
}

function pathOf(id: string): string {
  return join(house.outsideRoot, "session", databaseName(id));
}

/** What SQLite says of a copy: it follows no path that leads into a house. */
function rowsIn(id: string): ReturnType<typeof contentsOf> {
  const folder = freshRoot();
  try {
    for (const ending of ["", "-wal"]) {
      if (existsSync(pathOf(id) + ending)) copyFileSync(pathOf(id) + ending, join(folder, `copy.db${ending}`));
    }
    return contentsOf(join(folder, "copy.db"));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function put(id: string, name: string): void {
  mkdirSync(join(house.outsideRoot, "session"), { recursive: true, mode: 0o755 });
  for (const ending of ["", "-wal", "-shm"]) {
    const path = join(folder, `${name}.db${ending}`);
    if (existsSync(path)) copyFileSync(path, pathOf(id) + ending);
  }
}

describeDatabases("a session of type sqlite", () => {
  beforeAll(async () => {
    house = await GambasHouse.open();
    node = NodeSide.start(house, { type: "sqlite" });
    await node.status();
  });
  afterAll(() => house.close());

  it("made by Node is read by Gambas, whose changes Node reads", async () => {
    const [, , read] = await node.run(null, ["set", "n", 1], ["set", "c", ["pear", { kg: 1.5 }]], ["read", "Id"]);
    const id = String(read);
    expect(await inGambas(id)).toEqual([
      ["n", { type: "Integer", value: 1 }],
      [
        "c",
        {
          type: "Array",
          class: "Variant[]",
          value: [
            { type: "String", value: "pear" },
            { type: "Collection", value: [["kg", { type: "Float", bits: "000000000000f83f" }]] },
          ],
        },
      ],
    ]);
    await gambas(id, ["put", [["back", { type: "String", value: "hello" }]]], ["remove", "n"]);
    expect(await node.dump(id)).toEqual([
      { key: "c", type: "Variant[]", value: ["pear", { kg: 1.5 }] },
      { key: "back", type: "String", value: "hello" },
    ]);
  });

  it("made by Gambas is read by Node, whose changes Gambas reads, each with its type", async () => {
    const values = [
      ["n", { type: "Short", value: 7 }],
      ["s", { type: "String", value: "é" }],
    ];
    const [, read] = await gambas(undefined, ["put", values], ["read", "Id"]);
    const id = String(read?.value);
    const [dump] = await node.run(id, ["dump"], ["set", "n", 8], ["set", "m", 2.5]);
    expect(dump).toEqual([
      { key: "n", type: "Short", value: 7 },
      { key: "s", type: "String", value: "é" },
    ]);
    expect(await inGambas(id)).toEqual([
      ["n", { type: "Short", value: 8 }],
      ["s", { type: "String", value: "é" }],
      ["m", { type: "Float", bits: "0000000000000440" }],
    ]);
  });

  it("that a worker has a copy of is read as each program of Gambas has left it, the next moment", async () => {
    const [, read] = await node.run(null, ["set", "n", 0], ["read", "Id"]);
    const id = String(read);
    const inNode = async (): Promise<unknown> => (await node.dump(id)).find(({ key }) => key === "n")?.value;
    for (let n = 1; n <= 4; n++) {
      await gambas(id, ["put", [["n", { type: "Integer", value: n }]]]);
      // Often enough for the worker to keep the files open.
      for (let look = 0; look < 8; look++) expect(await inNode()).toBe(n);
    }
  });

  it("of which Node has only made the empty file yet is none for Gambas, whose program makes one of its own and loses nothing", async () => {
    const id = newId();
    mkdirSync(join(house.outsideRoot, "session"), { recursive: true, mode: 0o755 });
    writeFileSync(pathOf(id), "", { mode: 0o600 });
    const [, read] = await gambas(id, ["put", [["n", { type: "Integer", value: 7 }]]], ["read", "Id"]);
    const theirs = String(read?.value);
    expect(theirs).not.toBe(id);
    expect(await node.dump(theirs)).toEqual([{ key: "n", type: "Integer", value: 7 }]);
    expect(existsSync(pathOf(id))).toBe(true);
  });

  it("made by Gambas is no session before its first save, as for Gambas, and no look of ours takes it away", async () => {
    const oracle = house.startOracle();
    await oracle.do("write", "Type", "sqlite");
    await oracle.do("put", [["n", { type: "Integer", value: 7 }]]);
    const id = String((await oracle.do("read", "Id")).value);
    expect(existsSync(join(house.outsideRoot, "session", databaseName(id)))).toBe(true);
    expect(await node.finds(id)).toBe(false);
    await oracle.do("save");
    // From here on it has a log, under that program's hands.
    await node.run(id, ["set", "m", 8]);
    await oracle.do("put", [["o", { type: "Integer", value: 9 }]]);
    expect((await oracle.do("get", "m")).value).toEqual({ type: "Integer", value: 8 });
    await oracle.end();
    expect(await node.dump(id)).toEqual([
      { key: "n", type: "Integer", value: 7 },
      { key: "m", type: "Integer", value: 8 },
      { key: "o", type: "Integer", value: 9 },
    ]);
  });

  it("that was given an empty text, a null date and a key with a NUL by Node is read and saved by Gambas", async () => {
    const [, , , , read] = await node.run(
      null,
      ["set", "empty", ""],
      ["set", "none", null, "Date"],
      ["set", "a\0b", 1],
      ["set", "last", 5],
      ["read", "Id"],
    );
    const id = String(read);
    const [get, exist] = await gambas(
      id,
      ["get", "empty"],
      ["exist", "last"],
      ["put", [["more", { type: "Byte", value: 1 }]]],
    );
    expect([get?.value, exist?.value]).toEqual([{ type: "String", value: "" }, true]);
    expect(await node.dump(id)).toEqual([
      { key: "empty", type: "String", value: "" },
      { key: "none", type: "Date", value: null },
      { key: "a\0b", type: "Integer", value: 1 },
      { key: "last", type: "Integer", value: 5 },
      { key: "more", type: "Byte", value: 1 },
    ]);
  });

  it.each(fixtures)("that an earlier Gambas wrote is, changed by Node, to Gambas what it was: %s", async (name) => {
    const [untouched, changed] = [newId("bob"), newId("bob")];
    put(untouched, name);
    put(changed, name);
    const before = await inGambas(untouched);
    await node.run(changed, ["set", "added", 1]);
    const rowsOf = (id: string) => rowsIn(id).values.filter(({ key }) => key !== "5F");
    expect(await inGambas(changed)).toEqual([...before, ["added", { type: "Integer", value: 1 }]]);
    expect(rowsOf(changed).slice(0, -1)).toEqual(rowsOf(untouched));
    expect(rowsIn(changed).schema).toEqual(rowsIn(untouched).schema);
  });

  it.each(fixtures)("that Node made of one of Gambas holds the same for Gambas: %s", async (name) => {
    const id = newId("bob");
    put(id, name);
    // An earlier dialect is no obstacle, but for references: those of 3.18 mean nothing to a later one.
    if (isNewerGambas && name.startsWith("refs")) return;
    const before = await inGambas(id);
    const [, read] = await node.run(id, ["regenerate"], ["read", "Id"]);
    const next = String(read);
    expect(existsSync(pathOf(id))).toBe(false);
    expect(await inGambas(next)).toEqual(before);
    expect(rowsIn(next).schema).toHaveLength(4);
  });

  it("that Node has ended is not brought back by a program that has it loaded", async () => {
    const [, read] = await node.run(null, ["set", "n", 1], ["read", "Id"]);
    const id = String(read);
    const program = house.startOracle({ cookie: id });
    await program.do("write", "Type", "sqlite");
    expect((await program.do("get", "n")).value).toEqual({ type: "Integer", value: 1 });
    await node.run(id, ["abandon"]);
    // Its rows are gone for the program at once.
    expect((await program.do("get", "n")).value).toEqual({ type: "Null" });
    await program.do("put", [["n", { type: "Integer", value: 2 }]]);
    await program.end();
    expect(existsSync(pathOf(id))).toBe(false);
    expect(await node.finds(id)).toBe(false);
  });

  it("is lent to a transaction of Node that sees a save of Gambas in between, and runs again", async () => {
    const [, , read] = await node.run(null, ["set", "n", 5], ["set", "g", 0], ["read", "Id"]);
    const id = String(read);
    const found = node.addBehindGate(id, "n", "gate");
    await node.inside("gate");
    await gambas(id, ["put", [["n", { type: "Integer", value: 40 }]]]);
    await node.openGate("gate");
    expect(await found).toEqual([5, 40]);
    expect(await node.ask(id, "get", "n")).toBe(41);
  });

  it("has for its cookie the path that a program sets once more when it is loaded, as MIGRATING.md says", async () => {
    const [, read] = await gambas(undefined, ["put", [["n", { type: "Integer", value: 1 }]]], ["read", "Id"]);
    const id = String(read?.value);
    await gambas(id, ["write", "CookiePath", "/"], ["read", "Id"], ["write", "CookiePath", "/"]);
    const [, path] = await gambas(id, ["get", "n"], ["read", "CookiePath"]);
    expect(path?.value).toBe("/");
    expect(await node.run(id, ["read", "CookiePath"])).toEqual(["/"]);
  });

  it("is ended by Unique of a Gambas program for Node, too", async () => {
    const [, read] = await node.run(null, ["set", "n", 1], ["write", "Prefix", "solo"], ["read", "Id"]);
    expect(String(read)).not.toBe("");
    const [, , other] = await node.run(null, ["write", "Prefix", "solo"], ["set", "n", 1], ["read", "Id"]);
    const id = String(other);
    expect(await node.finds(id)).toBe(true);
    await gambas(
      undefined,
      ["write", "Prefix", "solo"],
      ["write", "Unique", true],
      ["put", [["x", { type: "Byte", value: 1 }]]],
    );
    expect(existsSync(pathOf(id))).toBe(false);
    expect(await node.finds(id)).toBe(false);
  });
});

// Sessions that are moved between databases and files, in the eyes of the real Gambas: found by the ids it has made, and what they were.

import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, expect, it } from "vitest";
import { databaseName, mappedId } from "../../protocol/session-id.ts";
import { newId } from "../support/daemon/lab.ts";
import { describeDatabases } from "../support/gambas/databases.ts";
import {
  canonicalEntry,
  GambasHouse,
  isNewerGambas,
  type OracleCommand,
  type OracleOptions,
  stampedNow,
  type TypedEntry,
} from "../support/gambas/gambas.ts";
import { repository } from "../support/repository.ts";

const main = join(repository, "dist/daemon/main.js");
const all = join(repository, "test/fixtures");
const folder = join(all, "sqlite");

/** A save of Gambas that has begun before a commit of ours came is lost after 20 s. */
const STALLED_MS = 10_000;

let house: GambasHouse;

async function convert(from: string, to: string, ...flags: readonly string[]): Promise<Record<string, number>> {
  const args = ["convert", "--from", from, "--to", to, "--root", house.root, "--json", ...flags];
  const { stdout, stderr } = await house.node(main, args);
  if (stdout === "") throw new Error(stderr);
  return JSON.parse(stdout) as Record<string, number>;
}

/** All that a Gambas program of this type finds in a session, but its own key; undefined where it finds none. */
async function found(type: "file" | "sqlite", cookie: string): Promise<TypedEntry[] | undefined> {
  const [, id, dump] = await house.oracle([["write", "Type", type], ["read", "Id"], ["dump"]], {
    cookie,
    mayFail: true,
  });
  if (id?.value !== cookie) return undefined;
  return (dump?.entries ?? []).filter(([key]) => key !== "_").map(canonicalEntry);
}

/** A session that a Gambas program makes. */
async function made(
  type: "file" | "sqlite",
  prefix: string | undefined,
  env: NonNullable<OracleOptions["env"]>,
): Promise<string> {
  const first: OracleCommand[] = [["write", "Type", type]];
  if (prefix !== undefined) first.push(["write", "Prefix", prefix]);
  const answers = await house.oracle([...first, ["put", [["n", { type: "Integer", value: 7 }]]], ["read", "Id"]], {
    env,
  });
  return String(answers.at(-1)?.value);
}

/** The same of single keys, each as a program gets it by itself: objects of a database that are of two keys may be at one place, one after the other. */
async function foundOneByOne(type: "file" | "sqlite", cookie: string): Promise<unknown[]> {
  const [, , keys] = await house.oracle([["write", "Type", type], ["read", "Id"], ["keys"]], { cookie });
  const gets = ((keys?.value ?? []) as string[]).map((key): OracleCommand => ["get", key]);
  const [, ...answers] = await house.oracle([["write", "Type", type], ...gets], { cookie });
  return answers.map(({ value }, at) => [gets[at]?.[1], value]);
}

function filesThere(): string[] {
  const directory = join(house.outsideRoot, "session");
  return readdirSync(directory).filter((name) => !name.endsWith(".lock"));
}

describeDatabases("sessions that are converted", () => {
  beforeAll(async () => {
    house = await GambasHouse.open();
  });
  beforeEach(() => {
    rmSync(join(house.outsideRoot, "session"), { recursive: true, force: true });
    mkdirSync(join(house.outsideRoot, "session"), { recursive: true, mode: 0o755 });
  });
  afterAll(() => house.close());

  it("are found by Gambas under every id that it has made, without Session.Prefix and with one, there and back", async () => {
    const without = ["10.0.0.1", "::1", "", "2001:db8::1", "fe80::1%eth0", "::ffff:10.0.0.1", undefined];
    const ids = await Promise.all([
      ...without.map((address) => made("sqlite", undefined, { REMOTE_ADDR: address })),
      made("sqlite", "User42", {}),
      made("sqlite", "user-42", {}),
    ]);
    const named = ids.slice(0, -1);
    const dashed = String(ids.at(-1));
    expect(ids.map((id) => id.slice(0, -25))).toEqual([
      ...without.map((address) => address ?? ""),
      "User42",
      "user-42",
    ]);
    expect(filesThere().sort()).toEqual(ids.map(databaseName).sort());

    expect(await convert("sqlite", "file")).toMatchObject({ seen: ids.length, moved: named.length, unnamed: 1 });
    for (const id of named) expect(await found("file", id), id).toEqual([["n", { type: "Integer", value: 7 }]]);
    expect(await found("sqlite", dashed)).toEqual([["n", { type: "Integer", value: 7 }]]);
    expect(await convert("sqlite", "file", "--prefix", "user-*")).toMatchObject({ seen: 1, moved: 1 });
    expect(await found("file", dashed)).toEqual([["n", { type: "Integer", value: 7 }]]);

    expect(await convert("file", "sqlite")).toMatchObject({ seen: ids.length, moved: ids.length });
    for (const id of ids) {
      expect(await found("file", id), id).toBeUndefined();
      expect(await found("sqlite", id), id).toEqual([["n", { type: "Integer", value: 7 }]]);
    }
  });

  it("from databases hold in files what they held", async () => {
    // References mean nothing to a Gambas of the other dialect; one has expired for everybody.
    const names = Object.keys(JSON.parse(readFileSync(join(folder, "MANIFEST.json"), "utf8"))).filter(
      (name) => name !== "never_saved" && !(isNewerGambas && name === "refs_in_value"),
    );
    if (isNewerGambas) names.push("../newer/sqlite_3.20");
    const ids = new Map(names.map((name) => [name, newId()] as const));
    for (const [name, id] of ids) {
      for (const ending of ["", "-wal", "-shm"]) {
        const path = join(folder, `${name}.db${ending}`);
        if (existsSync(path)) copyFileSync(path, house.sessionFile(databaseName(id) + ending));
      }
    }
    const withReferences = ids.get(isNewerGambas ? "../newer/sqlite_3.20" : "refs_in_value") ?? "";
    const [before, theirs] = [await dumps("sqlite", ids), await foundOneByOne("sqlite", withReferences)];
    expect(await convert("sqlite", "file")).toMatchObject({ moved: ids.size, unreadable: 0 });
    const [after, ours] = [await dumps("file", ids), await foundOneByOne("file", withReferences)];
    for (const [name, id] of ids) if (id !== withReferences) expect(after.get(name), name).toEqual(before.get(name));
    expect(ours).toEqual(theirs);
    expect(JSON.stringify(ours)).toContain('"Ref"');
    expect(before.get("strings")?.length).toBeGreaterThan(0);
  });

  it("from files hold in databases what they held", async () => {
    const names = readdirSync(all).flatMap((name) => /^(.*)\.session$/.exec(name)?.[1] ?? []);
    const some = names.filter((name) => !name.startsWith("refs_") && name !== "string_1000000");
    const ids = new Map(some.map((name) => [name, newId("bob")] as const));
    for (const [name, id] of ids)
      writeFileSync(house.sessionFile(id), stampedNow(readFileSync(join(all, `${name}.session`))), { mode: 0o600 });
    const before = await dumps("file", ids);
    expect(await convert("file", "sqlite")).toMatchObject({ moved: ids.size });
    const after = await dumps("sqlite", ids);
    for (const name of some) expect(after.get(name), name).toEqual(before.get(name));
    expect(filesThere()).toContain(databaseName(mappedId(ids.get("minimal") ?? "")));
  });

  it("lose nothing that requests of Gambas have saved before, and keep none waiting", async () => {
    const ids = await Promise.all([1, 2, 3].map(() => made("sqlite", undefined, {})));
    let isMoved = false;
    const counted = ids.map((id) => count(id, () => isMoved));
    await Promise.all(counted.map(({ hasBegun }) => hasBegun));
    const moving = convert("sqlite", "file").finally(() => {
      isMoved = true;
    });
    const counts = await Promise.all(counted.map(({ end }) => end));
    expect(await moving).toMatchObject({ seen: ids.length, moved: ids.length });
    const values = await Promise.all(ids.map((id) => found("file", id)));
    for (const [at, { last, longestMs }] of counts.entries()) {
      const n = new Map(values[at]?.map(([key, json]) => [key, json])).get("n") as { readonly value: number };
      // The one that had it loaded when it went has saved into nothing.
      expect([last - 1, last]).toContain(n.value);
      expect(last).toBeGreaterThan(9);
      expect(longestMs).toBeLessThan(STALLED_MS);
    }
  });

  /** One request after the other that adds 1 to `n`, until `isOver` or the session is gone. */
  function count(id: string, isOver: () => boolean) {
    let begin = (): void => undefined;
    const hasBegun = new Promise<void>((resolve) => {
      begin = resolve;
    });
    const run = async () => {
      let [last, longestMs] = [0, 0];
      while (!isOver()) {
        const commands: OracleCommand[] = [
          ["write", "Type", "sqlite"],
          ["increment", { key: "n", times: 1 }],
        ];
        const [, answer] = await house.oracle(commands, { cookie: id, mayFail: true });
        if (answer?.done !== 1) break;
        last = (answer.value as { readonly value: number }).value;
        longestMs = Math.max(longestMs, answer.longest ?? 0);
        if (last > 9) begin();
      }
      begin();
      return { last, longestMs };
    };
    return { hasBegun, end: run() };
  }

  async function dumps(
    type: "file" | "sqlite",
    ids: ReadonlyMap<string, string>,
  ): Promise<ReadonlyMap<string, TypedEntry[] | undefined>> {
    const all = new Map<string, TypedEntry[] | undefined>();
    for (const [name, id] of ids) all.set(name, await found(type, id));
    return all;
  }
});

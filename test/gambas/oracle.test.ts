// Proves the oracle, the instrument of all interop tests, against files that the real Gambas wrote and their description.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import {
  asWritten,
  canonicalEntry,
  describeGambas,
  GambasHouse,
  isNewerGambas,
  stampedNow,
  type TypedEntry,
  type TypedJson,
} from "../support/gambas/gambas.ts";
import { repository } from "../support/repository.ts";

interface Fixture {
  readonly file: string;
  readonly keys: readonly string[];
  readonly cookiePath: string;
  readonly timeoutDays: number;
  readonly env: Readonly<Record<string, string>>;
}

const fixturesFolder = join(repository, "test/fixtures");
const manifest: Record<string, Fixture> = JSON.parse(readFileSync(join(fixturesFolder, "MANIFEST.json"), "utf8"));
const fixtures = Object.entries(manifest);

/** As this Gambas writes what the fixture, of 3.18, says. */
function bytesOf(fixture: Fixture): Buffer {
  return asWritten(readFileSync(join(fixturesFolder, fixture.file)));
}

function entriesOf(name: string, { keys }: Fixture): TypedEntry[] {
  const values: Record<string, TypedJson> = JSON.parse(readFileSync(join(fixturesFolder, `${name}.json`), "utf8"));
  return keys.map((key) => {
    const value = values[key];
    if (value === undefined) throw new Error(`${name}.json lacks ${key}`);
    return canonicalEntry([key, value]);
  });
}

/** Loading a session sets its key `_` to the cookie path in use, whatever a program had put there. */
function afterLoad(entries: readonly TypedEntry[], { env, cookiePath }: Fixture): TypedEntry[] {
  const script = env.SCRIPT_NAME === "/." ? "/" : (env.SCRIPT_NAME ?? "/");
  return entries.map((entry) => (entry[0] === "_" ? ["_", { type: "String", value: cookiePath || script }] : entry));
}

function idOf(name: string): string {
  return `10.0.0.1:${Buffer.from(name.padStart(12, "-")).toString("hex").slice(-24).toUpperCase()}`;
}

/** The environment of the fixture alone, without the house's usual values. */
function environmentOf({ env }: Fixture): Record<string, string | undefined> {
  return { REMOTE_ADDR: undefined, SCRIPT_NAME: undefined, ...env };
}

describeGambas("the oracle", () => {
  let house: GambasHouse;
  beforeAll(async () => {
    house = await GambasHouse.open();
  });
  afterAll(() => house.close());

  it.each(fixtures)("reads the fixture %s as it is described", async (name, fixture) => {
    const id = idOf(name);
    house.writeSession(id, stampedNow(bytesOf(fixture)));
    const [dump, read] = await house.oracle([["dump"], ["read", "Id"]], { cookie: id, env: environmentOf(fixture) });
    expect(dump?.entries?.map(canonicalEntry)).toEqual(afterLoad(entriesOf(name, fixture), fixture));
    expect(read?.value).toBe(id);
  });

  it.each(fixtures)("writes the fixture %s byte for byte, but for the time stamp", async (name, fixture) => {
    const answers = await house.oracle(
      [
        ["put", entriesOf(name, fixture)],
        ["write", "Timeout", fixture.timeoutDays * 86_400],
        ...(fixture.cookiePath ? [["write", "CookiePath", fixture.cookiePath] as const] : []),
        ["read", "Id"],
      ],
      { env: environmentOf(fixture) },
    );
    const written = house.readSession(String(answers.at(-1)?.value));
    expect(written.subarray(8).equals(bytesOf(fixture).subarray(8))).toBe(true);
  });

  it("starts without a session when the cookie names none, and says so", async () => {
    const [touched] = await house.oracle([["touch"]], { cookie: "10.0.0.1:000000000000000000000000" });
    expect(touched).toMatchObject({
      value: false,
      id: "",
      events: [{ event: "abandoned", id: "10.0.0.1:000000000000000000000000" }],
    });
  });

  it("shows the cookie that Gambas sends", async () => {
    const [, read, shown] = await house.oracle([
      ["put", [["a", { type: "Integer", value: 1 }]]],
      ["read", "Id"],
      ["respond"],
    ]);
    const attributes = isNewerGambas ? "Path=/app;HttpOnly;SameSite=Lax" : "path=/app;httponly;SameSite=Lax";
    expect(shown?.headers).toContain(`Set-Cookie: GBSESSIONID=${read?.value};${attributes}`);
  });

  it("answers a command that fails with an error and goes on", async () => {
    const answers = await house.oracle([["read", "Timeout"], ["bogus"], ["exist", "a"]], { mayFail: true });
    expect(answers).toMatchObject([
      { error: "read", code: 13, text: "Null object" },
      { error: "bogus", text: "unknown command" },
      { ok: "exist", value: false },
    ]);
  });

  it("saves at the end of its input, and not when it is killed", async () => {
    const [, read] = await house.oracle([
      ["put", [["n", { type: "Integer", value: 1 }]]],
      ["read", "Id"],
    ]);
    const id = String(read?.value);
    const killed = house.startOracle({ cookie: id });
    await killed.do("put", [["n", { type: "Integer", value: 2 }]]);
    await killed.kill();
    const [got] = await house.oracle([["get", "n"]], { cookie: id });
    expect(got?.value).toEqual({ type: "Integer", value: 1 });
  });

  it("can be led step by step: two programs interleave, the later save wins", async () => {
    const [, read] = await house.oracle([
      ["put", [["n", { type: "Integer", value: 1 }]]],
      ["read", "Id"],
    ]);
    const id = String(read?.value);
    const first = house.startOracle({ cookie: id });
    const second = house.startOracle({ cookie: id });
    await first.do("touch");
    await second.do("put", [["n", { type: "Integer", value: 2 }]]);
    await second.end();
    await first.end();
    const [got] = await house.oracle([["get", "n"]], { cookie: id });
    expect(got?.value).toEqual({ type: "Integer", value: 1 });
  });

  it("waits for a line when told to, and holds Gambas' lock until told otherwise", async () => {
    const [, read] = await house.oracle([
      ["put", [["n", { type: "Integer", value: 1 }]]],
      ["read", "Id"],
    ]);
    const oracle = house.startOracle({ cookie: String(read?.value) });
    await oracle.do("touch");
    const locked = await oracle.do("lock");
    expect(locked.path).toBe(`${house.root}/session/${read?.value}.lock`);
    await oracle.do("unlock");
    const awaited = oracle.do("await");
    await oracle.event("waiting");
    oracle.writeLine("go on");
    expect((await awaited).line).toBe("go on");
    expect(await oracle.end()).toEqual({ code: 0, signal: null });
  });

  it("increments and polls in loops that a file can stop", async () => {
    const [, , read] = await house.oracle([["put", [["n", { type: "Integer", value: 1 }]]], ["save"], ["read", "Id"]]);
    const cookie = String(read?.value);
    const [, looped] = await house.oracle([["touch"], ["increment", { key: "n", times: 5 }]], { cookie });
    expect(looped).toMatchObject({ turns: 5, done: 5, lost: 0, value: { type: "Integer", value: 6 } });
    const [, polled] = await house.oracle([["touch"], ["poll", { key: "x", times: 4, rewrite: true }]], { cookie });
    expect(polled).toMatchObject({ turns: 4, done: 4, lost: 0, missing: 4 });

    const endless = house.startOracle({ cookie });
    await endless.do("touch");
    const stopped = endless.do("poll", { stop: "/tmp/stop" });
    writeFileSync(house.outside("/tmp/stop"), "");
    expect(await stopped).toMatchObject({ lost: 0 });
    await endless.end();
  });

  it("shares its /tmp with Node programs, which see the checkout as it is outside", async () => {
    const [, read] = await house.oracle([
      ["put", [["n", { type: "Integer", value: 1 }]]],
      ["read", "Id"],
    ]);
    const script = "console.log(process.cwd(), require('fs').readdirSync(process.argv[1]).includes(process.argv[2]))";
    const { code, stdout } = await house.node("-e", [script, `${house.root}/session`, String(read?.value)]);
    expect({ code, stdout }).toEqual({ code: 0, stdout: `${repository} true\n` });
  });

  it("leaves nothing running when its house is closed", async () => {
    const other = await GambasHouse.open();
    const oracle = other.startOracle();
    await oracle.do("exist", "a");
    expect(other.pids()).toEqual([oracle.pid]);
    await other.close();
    await expect(oracle.do("exist", "a")).rejects.toThrow("SIGKILL");
  });
});

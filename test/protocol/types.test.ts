// The table of types, and what it refuses.

import { describe, expect, it } from "vitest";
import { backendName, backendToTell, isBackend } from "../../protocol/backend-name.ts";
import { resolveSettings, SETTINGS } from "../../protocol/settings.ts";
import { checkForType, checkNeeds, sessionTypeNamed, TYPES, typeNamed } from "../../protocol/types.ts";

describe("a row of the table", () => {
  it.each(Object.entries(TYPES))("names settings that there are: %s", (_name, { own, needs, durabilities }) => {
    expect(Object.keys(SETTINGS)).toEqual(expect.arrayContaining([...own, ...Object.keys(needs)]));
    for (const durability of durabilities) resolveSettings({ durability });
  });
});

describe("a name of a type", () => {
  it("has letters of any case", () => {
    expect([typeNamed("FILE"), typeNamed("Memory"), sessionTypeNamed("Redis")]).toEqual(["file", "memory", "redis"]);
  });

  it("of Session.Type is none that is for tests", () => {
    expect(() => sessionTypeNamed("memory")).toThrow(
      'Unknown session type "memory"; there are "file", "sqlite", "redis".',
    );
  });

  it("is sqlite where Gambas takes it for that: its own default", () => {
    for (const name of ["sqlite", "SQLITE", ""]) expect(sessionTypeNamed(name)).toBe("sqlite");
    expect(() => typeNamed("")).toThrow("Unknown session type");
  });
});

describe("a setting is refused with both names", () => {
  it.each([
    [{ redis: "redis://db" }, "file", "The option redis is for sessions of type redis; the type is file."],
    [{ acceptLoss: true }, "memory", "The option acceptLoss is for sessions of type redis; the type is memory."],
    [{ gambas: "3.18" }, "redis", "The option gambas is for sessions of type file, sqlite; the type is redis."],
    [{ repairSeconds: 1 }, "sqlite", "The option repairSeconds is for sessions of type file; the type is sqlite."],
    [{ durability: "replica" }, "file", "The option durability must be one of file, fsync for sessions of type file"],
  ] as const)("where it means nothing: %o, %s", (given, type, what) => {
    expect(() => checkForType(given, type, "option")).toThrow(what);
  });

  it("where it is needed and missing", () => {
    expect(() => checkNeeds({ redis: "" }, "redis")).toThrow(
      "Sessions of type redis need the option redis, --redis or GAMBAS_SESSION_REDIS: where the server is.",
    );
    checkNeeds({}, "file");
  });

  it("and left alone where it means something, or is not given", () => {
    checkForType({ redis: "redis://db", durability: "replica", cacheBytes: 1, gambas: undefined }, "redis", "option");
  });
});

describe("the name of a backend", () => {
  it("is the type, and which server, without anything secret", () => {
    expect(backendName({ type: "file", redis: "" })).toBe("file");
    const url = "rediss://app:hidden@db.example:6380/2?ca=/etc/ca.pem";
    expect(backendName({ type: "redis", redis: url })).toBe("redis rediss://db.example:6380/2");
  });

  it("is the same in whatever order the nodes of a cluster are named", () => {
    const [one, other] = ["redis://a:1,redis://b:2", "redis://b:2 redis://a:1"].map((redis) =>
      backendName({ type: "redis", redis }),
    );
    expect(one).toBe(other);
  });

  it("is told by hello for all but files, as hello was before there were others", () => {
    expect([backendToTell("file"), backendToTell("memory")]).toEqual([undefined, "memory"]);
  });

  it("is compared as far as it is known: of a server that only the daemon knows the type", () => {
    const told = "redis redis://db:6379";
    expect([isBackend(told, "redis"), isBackend(told, told), isBackend("redisx", "redis")]).toEqual([
      true,
      true,
      false,
    ]);
    expect([isBackend(told, "redis redis://db:6380"), isBackend("file", "redis"), isBackend(told, "file")]).toEqual([
      ...[false, false, false],
    ]);
  });
});

// Names that nobody knows, and which known one was meant.
import { describe, expect, it } from "vitest";
import { checkNames, nearName } from "../../protocol/names.ts";

const KNOWN = ["idleExitMs", "waitMs", "cookieName", "timeout", "trustProxy", "name", "root"];

describe("the name that was probably meant", () => {
  it.each([
    ["idleExitMS", "idleExitMs"],
    ["idle-exit-ms", "idleExitMs"],
    ["IDLE_EXIT_MS", "idleExitMs"],
    ["idelExitMs", "idleExitMs"],
    ["idleExit", "idleExitMs"],
    ["cokieName", "cookieName"],
    ["trust proxy", "trustProxy"],
    ["timeoutSeconds", "timeout"],
    ["nmae", "name"],
    ["roots", "root"],
  ])("of %j is %j", (given, meant) => {
    expect(nearName(given, KNOWN)).toBe(meant);
  });

  it.each(["", "x", "secret", "colour", "ro", "x".repeat(10_000)])("of %j is none", (given) => {
    expect(nearName(given, KNOWN)).toBeUndefined();
  });

  it("is the nearest of those that are near", () => {
    expect(nearName("maxLeasMs", ["leaseMs", "maxLeaseMs", "maxLeases"])).toBe("maxLeaseMs");
  });
});

describe("a name that is not known", () => {
  it("is refused with the one that was meant", () => {
    expect(() => checkNames({ wiatMs: 1 }, { kind: "option", known: KNOWN })).toThrow(
      'There is no option "wiatMs"; waitMs was probably meant.',
    );
  });

  it("is refused with all there are, where none is near", () => {
    expect(() => checkNames({ colour: 1 }, { kind: "setting", known: ["a", "b"] })).toThrow(
      'There is no setting "colour"; there are a, b.',
    );
  });

  it("is refused with what to do instead, where it is known from elsewhere", () => {
    const foreign = { rotate: "nothing rotates here." };
    expect(() => checkNames({ rotate: 1 }, { kind: "option", known: KNOWN, foreign })).toThrow(
      'There is no option "rotate"; nothing rotates here.',
    );
  });

  it("may be one of the language", () => {
    for (const name of ["__proto__", "constructor", "toString"]) {
      const given = Object.defineProperty({}, name, { value: 1, enumerable: true });
      expect(() => checkNames(given, { kind: "option", known: KNOWN, foreign: {} })).toThrow(name);
    }
  });
});

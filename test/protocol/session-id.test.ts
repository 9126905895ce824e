// What a session id may look like: everything else must never reach a file name, a cookie or a lock.

import { randomBytes } from "node:crypto";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { SessionError } from "../../protocol/errors.ts";
import {
  checkPrefix,
  ID_RANDOM_BYTES,
  isSessionId,
  MAX_ID_BYTES,
  makeSessionId,
  prefixOf,
} from "../../protocol/session-id.ts";

const HEX = "0123456789ABCDEF01234567";
const MAX_PREFIX_BYTES = MAX_ID_BYTES - HEX.length - 1;

function isAllowedPrefix(prefix: unknown): boolean {
  try {
    checkPrefix(prefix as string);
    return true;
  } catch (error) {
    expect(error).toBeInstanceOf(SessionError);
    expect((error as SessionError).code).toBe("ERR_BAD_OPTION");
    return false;
  }
}

const GOOD_PREFIXES = [
  "",
  "127.0.0.1",
  "::1",
  "2001:db8::ff00:42:8329",
  "fe80::1%eth0",
  "user-17_a",
  "Größe",
  "名前",
  "a:b:c",
  ".",
  "..",
  "*?[a]",
  "$(id)`id`",
  "a".repeat(MAX_PREFIX_BYTES),
  "é".repeat(Math.floor(MAX_PREFIX_BYTES / 2)),
];

const BAD_PREFIXES = [
  "/",
  "../../etc/passwd",
  "a/b",
  "a b",
  "a\0b",
  "a\nb",
  "a\tb",
  "a\x7fb",
  'a"b',
  "a,b",
  "a;b",
  "a=b",
  "a\\b",
  "\ud800",
  "a".repeat(MAX_PREFIX_BYTES + 1),
  "é".repeat(Math.ceil((MAX_PREFIX_BYTES + 1) / 2)),
];

const BAD_IDS: readonly unknown[] = [
  "",
  ":",
  HEX,
  `a:${HEX.slice(1)}`,
  `a:${HEX}0`,
  `a:${HEX.toLowerCase()}`,
  `a:${HEX.slice(1)}G`,
  `a:${HEX}\n`,
  `\na:${HEX}`,
  `a:${HEX}.lock`,
  `a:${HEX}/`,
  `a: ${HEX}`,
  `a:\u0660${HEX.slice(1)}`,
  undefined,
  null,
  17,
  [`a:${HEX}`],
  { toString: () => `a:${HEX}` },
];

describe("a session id", () => {
  it.each(GOOD_PREFIXES)("may have the prefix %j", (prefix) => {
    expect(isSessionId(`${prefix}:${HEX}`)).toBe(true);
    expect(prefixOf(`${prefix}:${HEX}`)).toBe(prefix);
  });

  it.each(BAD_PREFIXES)("may not have the prefix %j", (prefix) => {
    expect(isSessionId(`${prefix}:${HEX}`)).toBe(false);
  });

  it.each(BAD_IDS.map((id) => [id]))("is not %j", (id) => {
    expect(isSessionId(id)).toBe(false);
  });

  it("names a file of the directory it is joined to, short enough for its lock, whatever text was tried", () => {
    const tried = fc.oneof(
      fc.string({ unit: "binary", maxLength: 250 }).map((prefix) => `${prefix}:${HEX}`),
      fc
        .string({ unit: fc.constantFrom(".", "/", "\\", "\0", ":", "a", "%", "~"), maxLength: 30 })
        .map((p) => `${p}:${HEX}`),
      fc.string({ unit: "binary" }),
    );
    fc.assert(
      fc.property(tried, (id) => {
        if (!isSessionId(id)) return;
        expect(join("/base/session", id)).toBe(`/base/session/${id}`);
        expect(Buffer.byteLength(`${id}.lock`)).toBeLessThan(256);
        expect(Buffer.from(id).toString()).toBe(id);
        expect(id).not.toMatch(/[\0-\x20;,="\\/]/);
      }),
      { numRuns: 2000 },
    );
  });
});

describe("a prefix", () => {
  it.each(GOOD_PREFIXES)("may be %j", (prefix) => {
    expect(checkPrefix(prefix)).toBe(prefix);
  });

  it.each(BAD_PREFIXES)("may not be %j", (prefix) => {
    expect(isAllowedPrefix(prefix)).toBe(false);
  });

  it.each([undefined, null, 17, {}])("may not be %j, which is no text", (prefix) => {
    expect(isAllowedPrefix(prefix)).toBe(false);
  });

  it("is allowed exactly where an id with it is", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary", maxLength: 220 }), (prefix) => {
        expect(isAllowedPrefix(prefix)).toBe(isSessionId(`${prefix}:${HEX}`));
      }),
      { numRuns: 1000 },
    );
  });
});

describe("a new id", () => {
  it("is an id of the prefix and of every random bit", () => {
    const random = Buffer.from("00ff10a5deadbeef01234567", "hex");
    expect(random.length).toBe(ID_RANDOM_BYTES);
    expect(makeSessionId("10.0.0.1", random)).toBe("10.0.0.1:00FF10A5DEADBEEF01234567");
    expect(isSessionId(makeSessionId("", random))).toBe(true);
  });

  it("takes its bytes from where the array looks, not from the buffer behind it", () => {
    const bytes = new Uint8Array(40).map((_, index) => index);
    expect(makeSessionId("a", bytes.subarray(4))).toBe("a:0405060708090A0B0C0D0E0F");
  });

  it("is another one each time", () => {
    const ids = Array.from({ length: 10_000 }, () => makeSessionId("a", randomBytes(ID_RANDOM_BYTES)));
    expect(new Set(ids).size).toBe(ids.length);
  });

  it("is refused for a prefix that no id may have", () => {
    expect(() => makeSessionId("a/b", randomBytes(ID_RANDOM_BYTES))).toThrow(SessionError);
  });
});

// Cookie headers in and out, as text.
import { describe, expect, it } from "vitest";
import { readCookie, removalCookie, sessionCookie } from "../../client/cookies.ts";

const ATTRIBUTES = { name: "SESSION", path: "/", sameSite: "Lax", isSecure: false };

describe("readCookie", () => {
  it.each<[string | undefined, string | undefined]>([
    [undefined, undefined],
    ["", undefined],
    ["SESSION=a", "a"],
    ["x=1; SESSION=a; y=2", "a"],
    ["x=1;SESSION=a", "a"],
    ["x=1; \t SESSION=a", "a"],
    ["SESSION=a=b", "a"],
    ["SESSION==a", undefined],
    ["SESSION=a; SESSION=b", "b"],
    ["SESSION=a; SESSION=", undefined],
    ["SESSION=a; SESSION", undefined],
    ["SESSION", undefined],
    ["session=a", undefined],
    ["SESSION =a", undefined],
    ["SESSION= a", " a"],
    ["SESSION=%41", "%41"],
    ['SESSION="a"', '"a"'],
    ["SESSION=a, x=1", "a, x"],
    ["XSESSION=a", undefined],
    ["SESSION=\xc3\xa9", "é"],
  ])("%j gives %j", (header, value) => {
    expect(readCookie(header, "SESSION")).toBe(value);
  });

  it("takes names of the language as names like any other", () => {
    expect(readCookie("__proto__=a; constructor=b", "__proto__")).toBe("a");
    expect(readCookie("a=1", "__proto__")).toBeUndefined();
  });

  it("reads a header of a million parts in one go", () => {
    expect(readCookie(`${"a=b;".repeat(1_000_000)}SESSION=x`, "SESSION")).toBe("x");
  });
});

describe("Set-Cookie", () => {
  it("has the attributes Gambas sends, in its order", () => {
    expect(sessionCookie("id", ATTRIBUTES)).toBe("SESSION=id;path=/;httponly;SameSite=Lax");
    expect(sessionCookie("id", { name: "GBSESSIONID", path: "/a b", sameSite: "None", isSecure: true })).toBe(
      "GBSESSIONID=id;path=/a b;httponly;SameSite=None;Secure",
    );
  });

  it("of a removal has the same, an empty value and a date long past", () => {
    expect(removalCookie(ATTRIBUTES)).toBe(
      "SESSION=;expires=Thu, 01 Jan 1970 00:00:00 GMT;path=/;httponly;SameSite=Lax",
    );
  });

  it("carries text beyond ASCII as its UTF-8 bytes, one character each", () => {
    expect(sessionCookie("é:x", { ...ATTRIBUTES, path: "/é" })).toBe(
      "SESSION=\xc3\xa9:x;path=/\xc3\xa9;httponly;SameSite=Lax",
    );
  });

  it.each(["/a;domain=evil", "/a\r\nX: y", "/a\0", "/a\x7f"])("ends a path where a browser would: %j", (path) => {
    expect(sessionCookie("id", { ...ATTRIBUTES, path })).toBe("SESSION=id;path=/a;httponly;SameSite=Lax");
    expect(removalCookie({ ...ATTRIBUTES, path })).toContain(";path=/a;httponly");
  });
});

// Cookie headers in and out, as text.
import { describe, expect, it } from "vitest";
import { CookieValues, removalCookie, sessionCookie } from "../../../client/http/cookies.ts";

const ATTRIBUTES = { name: "SESSION", path: "/", sameSite: "Lax", isSecure: false };

function valuesIn(header: string | undefined, name: string): string[] {
  const [values, found] = [new CookieValues(header, name), [] as string[]];
  for (let value = values.next(); value !== undefined; value = values.next()) found.push(value);
  expect(values.next()).toBeUndefined();
  return found;
}

describe("the values of the cookies of one name", () => {
  it.each<[string | undefined, string[]]>([
    [undefined, []],
    ["", []],
    ["SESSION=a", ["a"]],
    ["x=1; SESSION=a; y=2", ["a"]],
    ["x=1;SESSION=a", ["a"]],
    ["x=1; \t SESSION=a", ["a"]],
    ["SESSION=a=b", ["a"]],
    ["SESSION==a", []],
    ["SESSION=a; SESSION=b", ["b", "a"]],
    ["SESSION=a; x=1; SESSION=b;SESSION=a;", ["a", "b", "a"]],
    ["SESSION=a; SESSION=", ["a"]],
    ["SESSION=; SESSION=a", ["a"]],
    ["SESSION=a; SESSION", ["a"]],
    [";;SESSION=a;;", ["a"]],
    [";", []],
    ["SESSION", []],
    ["session=a", []],
    ["SESSION =a", []],
    ["SESSION= a", [" a"]],
    ["SESSION=%41", ["%41"]],
    ['SESSION="a"', ['"a"']],
    ["SESSION=a, x=1", ["a, x"]],
    ["XSESSION=a", []],
    ["SESSIONS=a", []],
    ["SESSIO=a", []],
    ["$Version=1; SESSION=a; $Path=/", ["a"]],
    ["SESSION=\xc3\xa9", ["é"]],
  ])("%j gives %j", (header, values) => {
    expect(valuesIn(header, "SESSION")).toEqual(values);
  });

  it("takes names of the language as names like any other", () => {
    expect(valuesIn("__proto__=a; constructor=b", "__proto__")).toEqual(["a"]);
    expect(valuesIn("a=1", "__proto__")).toEqual([]);
  });

  it("reads a header of a million parts in one go", () => {
    expect(valuesIn(`SESSION=y;${"a=b;".repeat(1_000_000)}SESSION=x`, "SESSION")).toEqual(["x", "y"]);
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

// What express-session does, shown with our drop-in. The long suite shows it with our store, and with express-session alone.
import { describe, expect, it } from "vitest";
import { EXCEPTIONS } from "./exceptions.ts";
import { CASES, showCases } from "./show.ts";

showCases(["drop-in"]);

describe("the cases", () => {
  const sentences = CASES.flatMap(([, cases]) => cases.map(([sentence]) => sentence));

  it("have sentences of their own", () => {
    expect(new Set(sentences).size).toBe(sentences.length);
  });

  it("are what the exceptions are of", () => {
    const named = Object.values(EXCEPTIONS).flatMap((list) => list.map(({ sentence }) => sentence));
    expect(named.filter((sentence) => !sentences.includes(sentence))).toEqual([]);
  });
});

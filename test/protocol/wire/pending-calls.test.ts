// Calls that wait: found by number, and sent again in the order in which they were made.
import { describe, expect, it } from "vitest";
import { PendingCall, PendingCalls } from "../../../protocol/wire/pending-calls.ts";

function added(pending: PendingCalls, sid: string): PendingCall {
  const call = new PendingCall("abandon", { sid });
  pending.add(call);
  return call;
}

describe("PendingCalls", () => {
  it("gives every call that waits a number of its own, above 0, and uses it again afterwards", () => {
    const pending = new PendingCalls();
    const calls = ["a", "b", "c"].map((sid) => added(pending, sid));
    expect(calls.map(({ number }) => number)).toEqual([1, 2, 3]);
    expect(pending.take(2)).toBe(calls[1]);
    expect(pending.take(2)).toBeUndefined();
    expect(pending.size).toBe(2);
    expect(added(pending, "d").number).toBe(2);
    expect(added(pending, "e").number).toBe(4);
  });

  it("knows nothing of numbers that nobody has", () => {
    const pending = new PendingCalls();
    added(pending, "a");
    for (const number of [0, -1, 2, 1.5, Number.NaN]) expect(pending.take(number)).toBeUndefined();
    expect(pending.size).toBe(1);
  });

  it("lists them in the order in which they were made, whatever their numbers are", () => {
    const pending = new PendingCalls();
    const [first] = ["a", "b", "c"].map((sid) => added(pending, sid));
    pending.take(first?.number ?? 0);
    added(pending, "d");
    expect(pending.inOrder().map(({ request }) => request)).toEqual([{ sid: "b" }, { sid: "c" }, { sid: "d" }]);
  });
});

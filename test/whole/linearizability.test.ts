// The history checker itself: by hand-made histories, and against a search through every order.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { checkRegister, type Operation, type Update } from "../support/linearizability.ts";

const NEVER = Number.POSITIVE_INFINITY;

function read(value: string | undefined, call: number, end: number): Operation {
  return { type: "read", value, call, end };
}

function write(value: string, call: number, end: number): Operation {
  return { type: "write", value, call, end };
}

function update(from: string | undefined, to: string, [call, end]: readonly [number, number]): Update {
  return { type: "update", attempts: [{ read: from, written: to }], call, end };
}

describe("a history is accepted", () => {
  test.each<readonly [string, readonly Operation[]]>([
    ["that is empty", []],
    ["in which one reads what it wrote", [write("a", 0, 1), read("a", 2, 3)]],
    ["in which a read during a write sees the old value", [write("a", 0, 1), write("b", 2, 9), read("a", 3, 4)]],
    ["in which a read during a write sees the new value", [write("a", 0, 1), write("b", 2, 9), read("b", 3, 4)]],
    ["in which writes at the same time are seen in one order", [write("a", 0, 5), write("b", 0, 5), read("a", 6, 7)]],
    ["in which an empty register is read before the first write ends", [read(undefined, 0, 1), write("a", 0, 9)]],
    ["in which updates build on each other", [update(undefined, "a", [0, 3]), update("a", "b", [1, 4])]],
    ["in which a failed write is never seen", [write("a", 0, 1), write("b", 2, NEVER), read("a", 8, 9)]],
    [
      "in which a failed write is seen late",
      [write("a", 0, 1), write("b", 2, NEVER), read("a", 3, 4), read("b", 8, 9)],
    ],
    [
      "in which an update was run again and only its last run took effect",
      [
        write("a", 0, 1),
        {
          type: "update",
          attempts: [
            { read: "a", written: "b" },
            { read: "a", written: "c" },
          ],
          call: 2,
          end: 5,
        },
        read("c", 6, 7),
      ],
    ],
    [
      "in which an update of unknown outcome is built upon",
      [write("a", 0, 1), update("a", "b", [2, NEVER]), update("b", "c", [4, 5]), read("c", 6, 7)],
    ],
  ])("%s", (_, operations) => {
    expect(checkRegister(operations)).toEqual([]);
  });
});

describe("a history is rejected", () => {
  test.each<readonly [string, RegExp, readonly Operation[]]>([
    ["for a stale read", /stale/, [write("a", 0, 1), write("b", 2, 3), read("a", 4, 5)]],
    ["for a stale read of the empty register", /stale/, [write("a", 0, 1), read(undefined, 2, 3)]],
    [
      "for a value that is seen again after another one was",
      /stale/,
      [write("a", 0, 9), write("b", 0, 9), read("a", 1, 2), read("b", 3, 4), read("a", 5, 6)],
    ],
    ["for a read from the future", /comes after/, [read("a", 0, 1), write("a", 2, 3)]],
    ["for a value that nobody wrote", /nobody wrote/, [write("a", 0, 1), read("b", 2, 3)]],
    [
      "for two updates of the same value",
      /lost update/,
      [write("a", 0, 1), update("a", "b", [2, 5]), update("a", "c", [3, 6])],
    ],
    [
      "for an update that took effect although it was run again",
      /run again/,
      [
        write("a", 0, 1),
        {
          type: "update",
          attempts: [
            { read: "a", written: "b" },
            { read: "b", written: "c" },
          ],
          call: 2,
          end: 5,
        },
        read("c", 6, 7),
      ],
    ],
    [
      "for an update of unknown outcome that took effect twice",
      /took effect twice/,
      [
        write("a", 0, 1),
        {
          type: "update",
          attempts: [
            { read: "a", written: "b" },
            { read: "b", written: "c" },
          ],
          call: 2,
          end: NEVER,
        },
        read("b", 6, 7),
        read("c", 8, 9),
      ],
    ],
    [
      "for a write that was applied again later",
      /stale/,
      [write("a", 0, 1), read("a", 1.2, 1.4), write("b", 2, 3), read("b", 4, 5), read("a", 6, 7)],
    ],
    [
      "for an acknowledged write that is gone at the end",
      /stale/,
      [write("a", 0, 1), write("b", 2, 3), update("a", "c", [4, 5]), read("c", 6, 7)],
    ],
    [
      "for a circle of updates",
      /circle|comes after|stale/,
      [update("b", "a", [0, 9]), update("a", "b", [0, 9]), read("a", 3, 4)],
    ],
  ])("%s", (_, reason, operations) => {
    expect(checkRegister(operations).join("\n")).toMatch(reason);
  });
});

/** Tries every order, the slow and obvious way. */
function hasSomeOrder(operations: readonly Operation[], value: string | undefined): boolean {
  if (operations.every(({ end }) => end === NEVER)) return true;
  const firstEnd = Math.min(...operations.map(({ end }) => end));
  return operations.some((operation) => {
    if (operation.call > firstEnd) return false;
    const rest = operations.filter((other) => other !== operation);
    if (operation.type === "read") return operation.value === value && hasSomeOrder(rest, value);
    if (operation.type === "write") return hasSomeOrder(rest, operation.value);
    const usable = operation.end === NEVER ? operation.attempts : operation.attempts.slice(-1);
    return usable.some((attempt) => attempt.read === value && hasSomeOrder(rest, attempt.written));
  });
}

/** Any small history, most of them almost right: values are drawn from those that are written. */
const history = fc
  .array(
    fc.record({
      type: fc.constantFrom("read", "write", "update"),
      call: fc.nat(12),
      length: fc.integer({ min: 1, max: 6 }),
      isKnown: fc.constantFrom(true, true, true, false),
      sees: fc.nat(4),
      seesFirst: fc.option(fc.nat(4)),
    }),
    { maxLength: 7 },
  )
  .map((drafts) => {
    const written = drafts.flatMap(({ type }, index) => (type === "read" ? [] : [`v${index}`]));
    const value = (place: number): string | undefined => [undefined, ...written][place % (written.length + 1)];
    return drafts.map(({ type, call, length, isKnown, sees, seesFirst }, index): Operation => {
      const end = isKnown ? call + length + 0.5 : NEVER;
      if (type === "read") return read(value(sees), call, call + length + 0.5);
      if (type === "write") return write(`v${index}`, call, end);
      const first = seesFirst === null ? [] : [{ read: value(seesFirst), written: `first${index}` }];
      return { type: "update", attempts: [...first, { read: value(sees), written: `v${index}` }], call, end };
    });
  });

test("the checker says of every small history what a search through all orders says", () => {
  let [accepted, rejected] = [0, 0];
  fc.assert(
    fc.property(history, (operations) => {
      const isFine = hasSomeOrder(operations, undefined);
      if (isFine) accepted += 1;
      else rejected += 1;
      expect(checkRegister(operations).length === 0).toBe(isFine);
    }),
    { numRuns: 20_000 },
  );
  expect(Math.min(accepted, rejected)).toBeGreaterThan(2_000);
});

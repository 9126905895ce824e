// Who was there when, made of looks: what it says of programs that come and go between them.

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Visits } from "../../../daemon/store/gambas-file/programs/visits.ts";

const names = (...all: string[]): ReadonlySet<string> => new Set(all);

/** A program, while it is there, with the name it has. */
interface Program {
  readonly name: string;
  readonly fromMs: number;
  readonly toMs: number;
}

const program = fc
  .record({ name: fc.constantFrom("1", "2", "3"), fromMs: fc.nat(400), forMs: fc.integer({ min: 1, max: 300 }) })
  .map(({ name, fromMs, forMs }): Program => ({ name, fromMs: fromMs + 0.5, toMs: fromMs + forMs + 0.5 }));

describe("who was there when", () => {
  it("is never denied, however programs come and go between looks, names that are used again included", () => {
    const times = fc.uniqueArray(fc.nat(700), { minLength: 1, maxLength: 30 });
    fc.assert(
      fc.property(fc.array(program, { maxLength: 12 }), times, (programs, unsorted) => {
        const visits = new Visits();
        const looks = [...unsorted].sort((a, b) => a - b);
        for (const look of looks) {
          const there = programs.filter(({ fromMs, toMs }) => fromMs < look && look < toMs);
          visits.note(names(...there.map(({ name }) => name)), look, look);
        }
        const last = looks.at(-1) ?? 0;
        for (const commit of looks) {
          for (let save = commit; save <= last; save += 7) {
            const may = visits.hasLeft(commit, save) || visits.thereSince(commit).length > 0;
            const did = programs.some(({ fromMs, toMs }) => fromMs < commit && toMs > save);
            if (did) expect(may).toBe(true);
          }
        }
      }),
      { numRuns: 500 },
    );
  });

  it("is denied of a program that a look did not find yet, and of one that a look before did not find any more", () => {
    const visits = new Visits();
    visits.note(names("1"), 1000, 1000);
    visits.note(names("1", "2"), 2000, 2000);
    expect(visits.thereSince(1000)).toEqual(["1"]);
    expect(visits.thereSince(1001)).toEqual(["1", "2"]);
    visits.note(names("2"), 3000, 3000);
    expect(visits.hasLeft(1000, 3000)).toBe(true);
    expect(visits.hasLeft(1000, 3001)).toBe(false);
    visits.note(names(), 4000, 4000);
    expect(visits.hasLeft(1000, 3001)).toBe(false);
    expect(visits.hasLeft(1001, 3001)).toBe(true);
  });

  it("is not known from before the first look, nor from before one that could see nothing", () => {
    const visits = new Visits();
    expect(visits.isKnown(1000)).toBe(false);
    visits.note(names(), 1000, 1000);
    expect([visits.isKnown(999), visits.isKnown(1000)]).toEqual([false, true]);
    visits.noteBlind();
    visits.note(names("1"), 2000, 2000);
    expect([visits.isKnown(1000), visits.isKnown(2000)]).toEqual([false, true]);
    expect(visits.thereSince(2000)).toEqual(["1"]);
  });

  it("stays known in a storm of short programs beside a long one, and what is forgotten is said to be unknown", () => {
    const visits = new Visits();
    visits.note(names(), 0, 0);
    visits.note(names("long"), 1, 1);
    for (let round = 1; round <= 50_000; round++)
      visits.note(names("long", String(round)), 1 + 10 * round, 1 + 10 * round);
    const now = 500_001;
    expect(visits.thereSince(now)).toContain("long");
    expect(visits.isKnown(1)).toBe(false);
    expect(visits.isKnown(now - 200_000)).toBe(true);
    expect(visits.hasLeft(now - 200_000, now - 199_900)).toBe(false);
    expect(visits.hasLeft(now - 200_000, now - 200_000)).toBe(true);
  });
});

// The shelf against a Map, which does the same with more memory.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { MIN_SLAB_BYTES, type Resting, Shelf } from "../../../daemon/memory/shelf.ts";

const PLENTY = Number.POSITIVE_INFINITY;
const LATER = Number.POSITIVE_INFINITY;

let revisions = 0;

function resting(id: string, imageBytes: number, rest: Partial<Resting> = {}): Resting {
  revisions += 1;
  const revision = { ino: 2 ** 40 + revisions, size: imageBytes, mtimeMs: 1.7e12 + revisions / 8 };
  const image = Buffer.alloc(imageBytes, `${id} ${revisions} `);
  const contents = { image, revision, isFleeting: revisions % 3 === 0, sameAs: [revision.mtimeMs] };
  return { id, contents, writtenMs: revisions % 2 === 0 ? 0 : 1.7e12 - revisions, mayBeHeld: false, ...rest };
}

/** As it is now: a lent image may change. */
function copyOf(found: Resting | undefined): unknown {
  if (found === undefined) return undefined;
  const { contents, ...rest } = found;
  return { ...rest, contents: { ...contents, image: contents.image.toString("latin1") } };
}

function allOn(shelf: Shelf): Map<string, unknown> {
  return new Map([...shelf.all()].map((one) => [one.id, copyOf(one)]));
}

function idOf(number: number): string {
  return `10.0.0.${number % 200}:${number.toString(16).toUpperCase().padStart(24, "0")}`;
}

/** Sizes around every limit: empty, odd ones, a quarter of a slab, and more than a slab. */
const SIZES = [0, 1, 16, 300, 301, 959, 960, 961, 4096, 10_000];
const IDS = [
  ...Array.from({ length: 40 }, (_, n) => idOf(n)),
  "prawn.é:0123456789ABCDEF01234567",
  ":0".padEnd(26, "0"),
];

type Step = { readonly what: "put" | "take" | "get" | "fit"; readonly id: string; readonly size: number };

const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.record({
    what: fc.constantFrom("put", "put", "put", "take", "get", "fit" as const),
    id: fc.constantFrom(...IDS),
    size: fc.constantFrom(...SIZES),
  }) as fc.Arbitrary<Step>,
  { maxLength: 300, size: "max" },
);

const HASHES: readonly [string, ((id: string) => number) | undefined][] = [
  ["its own hash", undefined],
  ["one hash for all", () => 0xffffffff],
  ["few hashes in one table", (id) => id.charCodeAt(id.length - 1) % 3],
  ["hashes that differ in the table only", (id) => (id.charCodeAt(id.length - 1) << 24) >>> 0],
];

describe.each(HASHES)("with %s", (_name, hashOf) => {
  test("holds what a Map would hold, whatever is put, taken, read and forgotten", () => {
    fc.assert(
      fc.property(steps, (script) => {
        const shelf = new Shelf(MIN_SLAB_BYTES, hashOf);
        const model = new Map<string, unknown>();
        for (const { what, id, size } of script) {
          if (what === "put") {
            const one = resting(id, size);
            shelf.put(one);
            model.set(id, copyOf(one));
          } else if (what === "take") {
            expect(copyOf(shelf.take(id))).toEqual(model.get(id));
            model.delete(id);
          } else if (what === "get") {
            expect(copyOf(shelf.get(id))).toEqual(model.get(id));
          } else {
            shelf.fit(4 * MIN_SLAB_BYTES + 20_000, 0);
            // Which ones go is told by other tests; those that stay are what they were.
            for (const known of model.keys()) if (!shelf.has(known)) model.delete(known);
          }
          expect(shelf.count).toBe(model.size);
        }
        expect(allOn(shelf)).toEqual(model);
        for (const id of IDS) expect(shelf.has(id)).toBe(model.has(id));
      }),
      { numRuns: 60 },
    );
  });
});

test("what is taken is its own: it stays what it was whatever comes to the shelf", () => {
  const shelf = new Shelf(MIN_SLAB_BYTES);
  shelf.put(resting(idOf(0), 300));
  const before = copyOf(shelf.get(idOf(0)));
  const taken = shelf.take(idOf(0));
  for (let n = 1; n < 100; n++) shelf.put(resting(idOf(n), 300));
  expect(copyOf(taken)).toEqual(before);
});

test("a large image is kept as the buffer it is", () => {
  const shelf = new Shelf(MIN_SLAB_BYTES);
  const large = resting(idOf(1), 100_000);
  shelf.put(large);
  expect(shelf.get(idOf(1))?.contents.image).toBe(large.contents.image);
  expect(shelf.bytes).toBeGreaterThan(100_000);
  expect(shelf.take(idOf(1))?.contents.image).toBe(large.contents.image);
});

describe("memory", () => {
  test("is little more than the bytes of ids and images", () => {
    const shelf = new Shelf(256 * 1024);
    for (let n = 0; n < 50_000; n++) shelf.put(resting(idOf(n), 300));
    expect(shelf.bytes / shelf.count).toBeLessThan(300 + 35 + 40 + 32 + 10);
  });

  test("is used again: coming and going in any order does not make it more", () => {
    const shelf = new Shelf(MIN_SLAB_BYTES);
    for (let n = 0; n < 1000; n++) shelf.put(resting(idOf(n), 300));
    const full = shelf.bytes;
    for (let n = 0; n < 20_000; n++) {
      const id = idOf((n * 7919) % 1000);
      const taken = shelf.take(id);
      if (taken !== undefined) shelf.put(taken);
    }
    expect(shelf.count).toBe(1000);
    expect(shelf.bytes).toBeLessThan(1.4 * full);
  });

  test("is given back when most have left, in whatever order they came", () => {
    const shelf = new Shelf(MIN_SLAB_BYTES);
    for (let n = 0; n < 5000; n++) shelf.put(resting(idOf(n), 300));
    const full = shelf.bytes;
    for (let n = 0; n < 5000; n++) if (n % 10 !== 0) shelf.take(idOf(n));
    expect(shelf.count).toBe(500);
    expect(shelf.bytes).toBeLessThan(full / 4);
    for (let n = 0; n < 5000; n += 10) shelf.take(idOf(n));
    expect(shelf.bytes).toBeLessThan(64 * 1024);
  });
});

describe("what does not fit", () => {
  const MAX_BYTES = 200_000;

  test("is forgotten, the oldest first", () => {
    const shelf = new Shelf(MIN_SLAB_BYTES);
    for (let n = 0; n < 5000; n++) {
      shelf.put(resting(idOf(n), 300));
      shelf.fit(MAX_BYTES, 0);
      expect(shelf.bytes).toBeLessThanOrEqual(MAX_BYTES);
    }
    const kept = [...shelf.all()].map(({ id }) => id);
    expect(kept.length).toBeGreaterThan(300);
    expect(kept).toEqual(Array.from({ length: kept.length }, (_, n) => idOf(5000 - kept.length + n)));
  });

  test("stays when it was read since it came", () => {
    const shelf = new Shelf(MIN_SLAB_BYTES);
    for (let n = 0; n < 5000; n++) {
      shelf.put(resting(idOf(n), 300));
      for (let often = 0; often < 20; often++) shelf.get(idOf(often));
      shelf.fit(MAX_BYTES, 0);
    }
    for (let often = 0; often < 20; often++) expect(shelf.has(idOf(often))).toBe(true);
    expect(shelf.bytes).toBeLessThanOrEqual(MAX_BYTES);
  });

  test("goes all the same when everything was read, the large ones too", () => {
    const shelf = new Shelf(MIN_SLAB_BYTES);
    for (let n = 0; n < 500; n++) {
      shelf.put(resting(idOf(n), n % 5 === 0 ? 20_000 : 300));
      shelf.get(idOf(n));
      shelf.fit(MAX_BYTES, 0);
      expect(shelf.bytes).toBeLessThanOrEqual(MAX_BYTES);
    }
  });

  test("stays as long as a program may hold an older revision of it, and no longer", () => {
    const shelf = new Shelf(MIN_SLAB_BYTES);
    for (let n = 0; n < 1000; n++) {
      shelf.put(resting(idOf(n), 300, { writtenMs: n, mayBeHeld: n % 2 === 0 }));
      shelf.fit(50_000, 500);
    }
    for (let n = 502; n < 1000; n += 2) expect(shelf.has(idOf(n))).toBe(true);
    expect(shelf.count).toBeLessThan(400);
    for (let n = 0; shelf.bytes > 50_000 && n < 1000; n++) {
      shelf.put(resting(idOf(1000 + n), 300));
      shelf.fit(50_000, LATER);
    }
    expect(shelf.bytes).toBeLessThanOrEqual(50_000);
  });

  test("is everything where there is no room at all", () => {
    const shelf = new Shelf(MIN_SLAB_BYTES);
    for (const [n, size] of SIZES.entries()) {
      shelf.put(resting(idOf(n), size));
      shelf.get(idOf(n));
      shelf.fit(-1, 0);
      expect(shelf.count).toBe(0);
    }
  });
});

test("a walk over all meets whatever is there all the time, while others come, go and move", () => {
  fc.assert(
    fc.property(fc.array(fc.nat({ max: 999 }), { minLength: 50, maxLength: 400, size: "max" }), (numbers) => {
      const shelf = new Shelf(MIN_SLAB_BYTES);
      const stays = new Set<string>();
      for (let n = 0; n < 200; n++) {
        shelf.put(resting(idOf(n), n % 50 === 0 ? 5000 : 300));
        if (n % 4 === 0) stays.add(idOf(n));
      }
      const met = new Set<string>();
      let next = 0;
      for (const { id } of shelf.all()) {
        met.add(id);
        const number = numbers[next++] ?? 0;
        const other = idOf(number);
        if (stays.has(other) || next > numbers.length) continue;
        if (shelf.take(other) === undefined) shelf.put(resting(other, number % 7 === 0 ? 2000 : 100));
      }
      for (const id of stays) expect(met.has(id), id).toBe(true);
    }),
    { numRuns: 100 },
  );
});

test("an emptied shelf holds nothing and may be used again", () => {
  const shelf = new Shelf(MIN_SLAB_BYTES);
  for (let n = 0; n < 100; n++) shelf.put(resting(idOf(n), n === 50 ? 5000 : 300));
  shelf.clear();
  expect([...shelf.all()]).toEqual([]);
  expect(shelf.count).toBe(0);
  shelf.put(resting(idOf(1), 300));
  shelf.fit(PLENTY, 0);
  expect(shelf.count).toBe(1);
});

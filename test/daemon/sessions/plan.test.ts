// What a turn makes of the calls that are due, decided without a store, a clock or a connection.

import { describe, expect, it } from "vitest";
import type { Contents } from "../../../daemon/memory/cache.ts";
import { isOvertaken, type Limits, type Plan, planTurn, type Standing } from "../../../daemon/sessions/plan.ts";
import {
  type CommitTurn,
  type EndTurn,
  endsLease,
  type LeaseTurn,
  type TouchTurn,
  type Turn,
} from "../../../daemon/turns/turns.ts";
import { newImage, parseDelta, startupMs, timeoutSeconds } from "../../../protocol/image/image.ts";
import type { CommitOptions } from "../../../protocol/wire/operations.ts";
import { newId } from "../../support/daemon/lab.ts";
import { deltaOf, valuesIn } from "../../support/daemon/raw-worker.ts";

const NOW_MS = Date.UTC(2026, 0, 1);
const ID = newId();
const LIMITS: Limits = { maxSessionBytes: 10_000, timeoutSeconds: 60, dialect: () => "3.19" };
const waiting = { caller: { owner: {}, client: "anna" }, answer: () => undefined, fail: () => undefined };

let sequence = 0;

function commit(values: Readonly<Record<string, unknown>>, options: CommitOptions = {}): CommitTurn {
  const delta = deltaOf(values);
  sequence += 1;
  return { type: "commit", ...waiting, sequence, base: 0, delta, parsed: parseDelta(delta), options, arrivedMs: 0 };
}

const touch: TouchTurn = { type: "touch", ...waiting, base: 0 };
const end: EndTurn = { type: "end", ...waiting };
const lease: LeaseTurn = { type: "lease", ...waiting, leaseMs: 1, known: 0 };

/** Saved so long ago. */
function contentsOf(values: Readonly<Record<string, unknown>>, agoMs = 5_000): Contents {
  const nowMs = NOW_MS - agoMs;
  const due = [commit(values, { create: true })];
  const { image = Buffer.of() } = planTurn({ ...nowhere, due, nowMs }, LIMITS);
  return { image, revision: { ino: 1, size: image.length, mtimeMs: nowMs }, isFleeting: false, sameAs: [nowMs] };
}

const nowhere: Standing = {
  ...{ id: ID, contents: undefined, image: undefined, due: [], lease: undefined, ending: undefined, nowMs: NOW_MS },
};

/** The plan for a session that holds these values. */
function planFor(due: readonly Turn[], contents: Contents, more: Partial<Standing> = {}): Plan {
  return planTurn({ ...nowhere, contents, image: contents.image, due, ...more }, LIMITS);
}

function codesIn({ refused }: Plan): string[] {
  return refused.map(({ problem }) => problem.code);
}

describe("commits that wait", () => {
  it("are put into one image in the order of arrival, and nothing else of it changes", () => {
    const contents = contentsOf({ a: 1, b: 1 });
    const plan = planFor([commit({ a: 2, c: 1 }), commit({ a: 3 })], contents);
    expect(valuesIn(plan.image ?? Buffer.of())).toEqual({ a: 3, b: 1, c: 1 });
    expect(startupMs(plan.image ?? Buffer.of())).toBe(NOW_MS);
    expect(valuesIn(contents.image)).toEqual({ a: 1, b: 1 });
    expect(plan).toMatchObject({ taken: 2, refused: [], last: undefined, isRepair: false });
    expect(plan.turns).toHaveLength(2);
  });

  it("each tell what they changed: of the second the value before is that of the first", () => {
    const { changes } = planFor([commit({ a: 2 }), commit({ a: 3 })], contentsOf({ a: 1 }));
    expect(changes.map(({ whenMs, prints }) => [whenMs, prints.length])).toEqual([
      [NOW_MS, 1],
      [NOW_MS, 1],
    ]);
    expect(changes[1]?.prints[0]?.old).toEqual(changes[0]?.prints[0]?.young);
  });

  it("are refused one by one: what one cannot do keeps no other from it", () => {
    const turns = [commit({ big: "x".repeat(20_000) }), commit({ a: 2 }), commit({ a: 3 }, { create: true })];
    const plan = planFor(turns, contentsOf({ a: 1 }));
    expect(codesIn(plan)).toEqual(["ERR_TOO_LARGE", "ERR_ID_TAKEN"]);
    expect(valuesIn(plan.image ?? Buffer.of())).toEqual({ a: 2 });
    expect(plan.taken).toBe(3);
  });

  it("have their turn some at a time where there are very many, or the session is very large", () => {
    const due = Array.from({ length: 1_000 }, (_, n) => commit({ a: n }));
    const small = planFor(due, contentsOf({ a: 0 }));
    expect([small.taken, small.turns.length]).toEqual([256, 256]);
    expect(valuesIn(small.image ?? Buffer.of())).toEqual({ a: 255 });
    const limits = { ...LIMITS, maxSessionBytes: 40_000_000 };
    const planOf = (bytes: number): Plan => {
      const { image = Buffer.of() } = planTurn(
        { ...nowhere, due: [commit({ a: 1, big: "x".repeat(bytes) }, { create: true })] },
        limits,
      );
      const contents = { image, revision: { ino: 1, size: image.length, mtimeMs: 1 }, isFleeting: false, sameAs: [1] };
      return planTurn({ ...nowhere, contents, image, due }, limits);
    };
    expect(planOf(1_000_000).taken).toBe(17);
    expect(planOf(30_000_000).taken).toBe(1);
  });

  it("that are refused are counted as well, and an end behind them waits for its turn", () => {
    const due = [...Array.from({ length: 300 }, () => commit({ big: "x".repeat(20_000) })), end];
    const plan = planFor(due, contentsOf({ a: 1 }));
    expect([plan.taken, plan.refused.length, plan.last]).toEqual([256, 256, undefined]);
  });

  it("make a session with the life time they ask for, or the usual one", () => {
    for (const [options, seconds] of [
      [{ create: true }, 60],
      [{ create: true, timeoutSeconds: 7 }, 7],
    ] as const) {
      const { image } = planTurn({ ...nowhere, due: [commit({ n: 1 }, options), commit({ m: 1 })] }, LIMITS);
      expect(valuesIn(image ?? Buffer.of())).toEqual({ n: 1, m: 1 });
      expect(timeoutSeconds(image ?? Buffer.of())).toBe(seconds);
    }
  });

  it("make none where one has ended, and change none that is not there", () => {
    const due = [commit({ n: 1 }, { create: true }), commit({ n: 1 }), touch, lease];
    const plan = planTurn({ ...nowhere, due, ending: "ended" }, LIMITS);
    expect(codesIn(plan)).toEqual(["ERR_ID_TAKEN", "ERR_SESSION_GONE", "ERR_SESSION_GONE", "ERR_SESSION_GONE"]);
    expect(plan).toMatchObject({ image: undefined, taken: 4, turns: [], last: undefined });
  });

  it("are written together with a repair that is due", () => {
    const contents = contentsOf({ a: 1, b: 1 });
    const { image } = contentsOf({ a: 1, b: 2 });
    const plan = planFor([commit({ c: 1 })], contents, { image });
    expect(plan.isRepair).toBe(true);
    expect(valuesIn(plan.image ?? Buffer.of())).toEqual({ a: 1, b: 2, c: 1 });
  });
});

describe("a touch", () => {
  it("asks for a new stamp where the old one is a second old, and leaves the image alone", () => {
    const contents = contentsOf({ a: 1 }, 1_001);
    expect(planFor([touch, touch], contents)).toMatchObject({ isTouched: true, image: contents.image, taken: 2 });
    expect(planFor([touch], contentsOf({ a: 1 }, 1_000)).isTouched).toBe(false);
  });

  it("rides along with a commit, which stamps anyway", () => {
    const contents = contentsOf({ a: 1 });
    const plan = planFor([touch, commit({ a: 2 })], contents);
    expect(plan.turns).toHaveLength(2);
    expect(startupMs(plan.image ?? Buffer.of())).toBe(NOW_MS);
  });
});

describe("a lease", () => {
  it("is the last of its turn, and its holder gets what is written", () => {
    const contents = contentsOf({ a: 1 });
    expect(planFor([lease, commit({ a: 2 })], contents)).toMatchObject({
      taken: 1,
      last: lease,
      image: contents.image,
    });
  });

  it.each<[string, readonly Turn[]]>([
    ["a commit", [commit({ a: 2 }), lease]],
    ["a touch", [touch, lease]],
  ])("waits for the next turn behind %s", (_what, due) => {
    expect(planFor(due, contentsOf({ a: 1 }))).toMatchObject({ taken: 1, last: undefined });
  });

  it("waits until a repair is written", () => {
    const { image } = contentsOf({ a: 2 });
    expect(planFor([lease], contentsOf({ a: 1 }), { image })).toMatchObject({ taken: 0, last: undefined, image });
  });

  it("is over with a commit under it that is refused, and nothing that comes behind is taken", () => {
    const options = { fence: 7, release: true };
    const turns = [commit({ big: "x".repeat(20_000) }, options), commit({ a: 2 }, { fence: 7 })];
    const plan = planFor(turns, contentsOf({ a: 1 }), { lease: { fence: 7 } });
    expect(codesIn(plan)).toEqual(["ERR_TOO_LARGE"]);
    expect(plan.taken).toBe(1);
  });

  it("is ended by a commit of its own fence only", () => {
    const release = commit({}, { fence: 7, release: true });
    expect(endsLease(release, { fence: 7 })).toBe(true);
    expect(endsLease(release, { fence: 8 })).toBe(false);
    expect(endsLease(release, undefined)).toBe(false);
    expect(endsLease(commit({}, { fence: 7 }), { fence: 7 })).toBe(false);
  });

  it("is overtaken by another value, another life time or an end, and not by a stamp", () => {
    const { image } = contentsOf({ a: 1 }, 0);
    expect(isOvertaken({ image }, contentsOf({ a: 1 }, 9_000).image)).toBe(false);
    expect(isOvertaken({ image }, contentsOf({ a: 2 }, 0).image)).toBe(true);
    expect(isOvertaken({ image }, newImage({ nowMs: NOW_MS, timeoutSeconds: 60 }))).toBe(true);
    // The end tells the commits under it by itself.
    expect(isOvertaken({ image }, undefined)).toBe(false);
  });
});

describe("an end", () => {
  it("is the last of its turn: what came before is carried out, what comes behind finds no session", () => {
    const plan = planFor([commit({ a: 2 }), end, commit({ a: 3 })], contentsOf({ a: 1 }));
    expect(plan).toMatchObject({ taken: 2, last: end });
    expect(plan.turns).toHaveLength(1);
  });
});

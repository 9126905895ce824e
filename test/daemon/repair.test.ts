// What counts as stale in another program's save and what as on purpose, decided with a clock of the test's own.

import { beforeEach, describe, expect, it } from "vitest";
import { Log } from "../../daemon/log.ts";
import { Metrics } from "../../daemon/metrics.ts";
import { Fingerprinter, RecentValues, runOf } from "../../daemon/recent-values.ts";
import { findRepairs } from "../../daemon/repair.ts";
import type { Surroundings } from "../../daemon/sessions.ts";
import {
  applyDelta,
  encodeDelta,
  keyBytes,
  layoutOf,
  newImage,
  startupMs,
  valueOf as storedValue,
} from "../../protocol/image.ts";
import { encodeValue } from "../../protocol/value.ts";
import { valuesIn } from "./raw-worker.ts";

const ID = "10.0.0.1:0123456789ABCDEF01234567";
const COMMITTED_MS = Date.UTC(2026, 0, 1);

type Values = Readonly<Record<string, unknown>>;

function image(values: Values, nowMs = COMMITTED_MS): Buffer {
  const entries = Object.entries(values).map(([key, value]) => [key, encodeValue(value, key).bytes] as const);
  return applyDelta(newImage({ nowMs, timeoutSeconds: 86_400 }), { delta: encodeDelta(entries), nowMs });
}

/** What can be known when a save of another program is found. */
interface Evidence {
  /** Whether anybody else read our last revision. */
  readonly wasRead: boolean | undefined;
  /** Whether a program ran, at our commit, that could hold an older one. */
  readonly mayBeHeld: boolean;
  /** Whether one came after our commit. */
  readonly cameSince: boolean;
  readonly afterMs: number;
}

const evidence: Evidence = { wasRead: true, mayBeHeld: true, cameSince: true, afterMs: 100 };

let replaced: RecentValues;
let committed: RecentValues;
let metrics: Metrics;

beforeEach(() => {
  [replaced, committed, metrics] = [new RecentValues(1000, 300), new RecentValues(1000, 300), new Metrics()];
  metrics.stop();
});

/** A commit of ours turned `before` into `ours`. */
function commit(before: Values, ours: Values): void {
  const [old, young] = [image(before), image(ours)];
  const [from, to] = [layoutOf(old), layoutOf(young)];
  for (const key of new Set([...from.entries.keys(), ...to.entries.keys()])) {
    const [value, other] = [storedValue(old, from, key), storedValue(young, to, key)];
    if (value === undefined || other === undefined || !value.equals(other)) {
      const prints = new Fingerprinter(ID, runOf(keyBytes(key)));
      replaced.add(prints.of(value && runOf(value)), COMMITTED_MS);
      committed.add(prints.of(other && runOf(other)), COMMITTED_MS);
    }
  }
}

/** What is to be in the file after another program wrote `theirs` over `ours`. */
function settled(ours: Values, theirs: Values, known: Partial<Evidence> = {}): Values {
  const { wasRead, mayBeHeld, cameSince, afterMs } = { ...evidence, ...known };
  const store = { wasRead: () => wasRead, hadForeignersSince: () => cameSince };
  const now = (): number => COMMITTED_MS + afterMs;
  const house = { store, replaced, committed, metrics, now, log: new Log("silent") } as unknown as Surroundings;
  const revision = { ino: 1, size: 1, mtimeMs: COMMITTED_MS };
  const written = image(theirs, now());
  const repaired = findRepairs(house, {
    id: ID,
    ours: { image: image(ours), revision },
    theirs: written,
    writtenMs: COMMITTED_MS,
    mayBeHeld,
  });
  if (repaired !== undefined) expect(startupMs(repaired)).toBe(startupMs(written));
  return valuesIn(repaired ?? written);
}

const [DOUBT_OVER_MS, SOON_MS] = [10_100, 4_000];

describe("what is put back", () => {
  it.each<[string, Values, Values, Values, readonly string[]]>([
    [
      "keeps its place where it had one",
      { a: 1, k: 1, b: 1 },
      { a: 1, k: 2, b: 1 },
      { a: 1, k: 1, b: 1 },
      ["a", "k", "b"],
    ],
    [
      "goes to the end where it had been set again",
      { a: 1, k: 1, b: 1 },
      { a: 1, b: 1, k: 2 },
      { a: 1, k: 1, b: 1 },
      ["a", "b", "k"],
    ],
    [
      "is behind what the other program added",
      { k: 1, b: 1 },
      { b: 1, k: 2 },
      { k: 1, b: 1, own: 1 },
      ["b", "own", "k"],
    ],
    ["is in our order", { a: 1, b: 1, c: 1 }, { c: 1, b: 2, a: 2 }, { a: 1, b: 1, c: 1 }, ["c", "b", "a"]],
    ["is added where it was new", { a: 1 }, { a: 1, y: 1, x: 1 }, { a: 1, own: 1 }, ["a", "own", "y", "x"]],
  ])("%s", (_what, before, ours, theirs, keys) => {
    commit(before, ours);
    expect(Object.keys(settled(ours, theirs, { wasRead: false }))).toEqual(keys);
  });
});

describe("a value that our commit had replaced comes back", () => {
  const [before, ours, theirs] = [{ k: 1 }, { k: 2 }, { k: 1 }];
  const cases: readonly [string, Partial<Evidence>, "stale" | "on purpose"][] = [
    ["nobody has read ours", { wasRead: false }, "stale"],
    ["nobody has read ours, however long ago the commit was", { wasRead: false, afterMs: 200_000 }, "stale"],
    ["somebody ran who may hold an older copy", { afterMs: SOON_MS }, "stale"],
    ["somebody ran who may hold an older copy, long ago", { afterMs: DOUBT_OVER_MS }, "on purpose"],
    ["nobody could hold an older copy, and somebody came since", { mayBeHeld: false }, "on purpose"],
    ["nobody is known who could have written it", { mayBeHeld: false, cameSince: false, afterMs: SOON_MS }, "stale"],
    [
      "nobody is known who could have written it, long ago",
      { mayBeHeld: false, cameSince: false, afterMs: DOUBT_OVER_MS },
      "on purpose",
    ],
    ["whether ours was read cannot be told", { wasRead: undefined, afterMs: SOON_MS }, "stale"],
    ["whether ours was read cannot be told, long ago", { wasRead: undefined, afterMs: DOUBT_OVER_MS }, "on purpose"],
  ];

  it.each(cases)("%s", (_what, known, verdict) => {
    commit(before, ours);
    expect(settled(ours, theirs, known)).toEqual(verdict === "stale" ? ours : theirs);
    expect(metrics.repairs).toBe(verdict === "stale" ? 1 : 0);
  });
});

describe("in a stale save", () => {
  const stale = { wasRead: false } as const;

  it("a key we had removed goes again, one we had added comes back, and their own change stays", () => {
    commit({ gone: 1, g: 1 }, { g: 1, added: 2 });
    expect(settled({ g: 1, added: 2 }, { gone: 1, g: 7 }, stale)).toEqual({ g: 7, added: 2 });
    expect(metrics.repairs).toBe(2);
  });

  it("a value that is neither ours nor an earlier one is their change", () => {
    commit({ k: 1 }, { k: 2 });
    expect(settled({ k: 2 }, { k: 3 }, stale)).toEqual({ k: 3 });
  });

  it("a key that no commit of ours changed is theirs, whatever they make of it", () => {
    commit({ k: 1, other: 1 }, { k: 2, other: 1 });
    expect(settled({ k: 2, other: 5 }, { k: 1, other: 1 }, stale)).toEqual({ k: 2, other: 1 });
  });

  it("Gambas' own key counts for nothing", () => {
    commit({ _: "/a", k: 1 }, { _: "/b", k: 1 });
    expect(settled({ _: "/b", k: 1 }, { _: "/a", k: 1 }, stale)).toEqual({ _: "/a", k: 1 });
    expect(metrics.repairs).toBe(0);
  });

  it("any of the earlier values is recognised, not only the last one", () => {
    commit({ k: 1 }, { k: 2 });
    commit({ k: 2 }, { k: 3 });
    commit({ k: 3 }, { k: 4 });
    for (const old of [1, 2, 3]) expect(settled({ k: 4 }, { k: old }, stale)).toEqual({ k: 4 });
  });

  it("one from before a change of theirs and a commit of ours undoes neither", () => {
    expect(settled({ k: 1 }, { k: 2 })).toEqual({ k: 2 });
    commit({ k: 2 }, { k: 3 });
    expect(settled({ k: 3 }, { k: 1 }, stale)).toEqual({ k: 3 });
  });
});

it("what another program put there and brings back is its own affair", () => {
  commit({ k: 1 }, { k: 2 });
  expect(settled({ k: 2 }, { k: 3 })).toEqual({ k: 3 });
  expect(settled({ k: 3 }, { k: 1 })).toEqual({ k: 1 });
});

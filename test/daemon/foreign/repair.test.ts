// What counts as stale in another program's save and what as on purpose, decided with a clock of the test's own.

import { beforeEach, describe, expect, it } from "vitest";
import { NOBODY } from "../../../daemon/foreign/nobody.ts";
import { Fingerprinter, RecentValues, runOf } from "../../../daemon/foreign/recent-values.ts";
import { findRepairs, type RepairParts } from "../../../daemon/foreign/repair.ts";
import { Log } from "../../../daemon/report/log.ts";
import { Metrics } from "../../../daemon/report/metrics.ts";
import {
  applyDelta,
  encodeDelta,
  keyBytes,
  layoutOf,
  newImage,
  startupMs,
  valueOf as storedValue,
} from "../../../protocol/image/image.ts";
import { encodeValue } from "../../../protocol/value/value.ts";
import { valuesIn } from "../../support/daemon/raw-worker.ts";

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
  /** Whether one that ran at our commit, or before that, may be the one who saved. */
  readonly ranThen: boolean;
  /** Whether any program came since. */
  readonly cameSince: boolean;
  readonly afterMs: number;
  /** How long before the save our revision was written; by default the commit wrote it. */
  readonly writtenAfterMs: number;
  /** By how much the stamp in their image is older than the file, and the file than its last change. */
  readonly stampedAgoMs: number;
  readonly isOurFile: boolean;
}

const evidence: Evidence = {
  wasRead: true,
  ranThen: true,
  cameSince: true,
  afterMs: 100,
  writtenAfterMs: 0,
  stampedAgoMs: 0,
  isOurFile: false,
};

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
  const { wasRead, ranThen, cameSince, afterMs, writtenAfterMs, stampedAgoMs, isOurFile } = { ...evidence, ...known };
  const nowMs = COMMITTED_MS + afterMs;
  const saver = { mayHaveRunAt: () => ranThen, mayHaveComeSince: () => cameSince };
  const programs = { ...NOBODY, wasRead: () => wasRead, whoReplaced: () => saver, isOurFile: () => isOurFile };
  const parts: RepairParts = {
    ...{ programs, replaced, committed, metrics, repairSeconds: REPAIR_SECONDS },
    ...{ log: new Log("silent"), steadyMs: () => nowMs, dialect: () => "3.19" },
  };
  const revision = { ino: 1, size: 1, mtimeMs: COMMITTED_MS };
  const written = image(theirs, nowMs - stampedAgoMs);
  const writtenMs = COMMITTED_MS + writtenAfterMs;
  const repaired = findRepairs(parts, {
    id: ID,
    ours: { image: image(ours, writtenMs), revision },
    stampedMs: writtenMs,
    theirs: { image: written, revision: { ...revision, ino: 2 }, isFleeting: false, changedMs: nowMs },
    writtenMs,
  });
  if (repaired !== undefined) expect(startupMs(repaired)).toBe(Math.max(startupMs(written), writtenMs));
  return valuesIn(repaired ?? written);
}

const [REPAIR_SECONDS, LATE_MS, OVER_MS] = [300, 299_900, 300_100];

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
    ["nobody has read ours, and only who came since can have saved", { wasRead: false, ranThen: false }, "stale"],
    ["whoever ran at our commit may have saved", {}, "stale"],
    ["whoever ran at our commit may have saved, long ago", { afterMs: LATE_MS }, "stale"],
    ["whoever ran at our commit may have saved, when repairs are over", { afterMs: OVER_MS }, "on purpose"],
    ["only who came since can have saved", { ranThen: false }, "on purpose"],
    ["nobody is known who could have saved", { ranThen: false, cameSince: false, afterMs: LATE_MS }, "stale"],
    [
      "nobody is known who could have saved, when repairs are over",
      { ranThen: false, cameSince: false, afterMs: OVER_MS },
      "on purpose",
    ],
    ["whether ours was read cannot be told", { wasRead: undefined, afterMs: LATE_MS }, "stale"],
    [
      "whether ours was read cannot be told, and only who came since can have saved",
      { wasRead: undefined, ranThen: false },
      "on purpose",
    ],
    [
      "what we wrote after that commit was not read: he may have read that",
      { wasRead: false, ranThen: false, writtenAfterMs: 9_000, afterMs: 9_100 },
      "on purpose",
    ],
    ["it was saved before ours, and put there later", { stampedAgoMs: 20_000, wasRead: false }, "on purpose"],
    ["it was saved before ours by a program that waited for its lock", { stampedAgoMs: 5_000 }, "stale"],
    [
      "it was saved before ours, and no program can have waited",
      { stampedAgoMs: 5_000, ranThen: false, wasRead: false },
      "on purpose",
    ],
    ["it was written into our file", { isOurFile: true, wasRead: false }, "on purpose"],
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

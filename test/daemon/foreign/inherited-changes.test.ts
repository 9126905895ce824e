// What a new daemon takes over of the commits of the one before: all of them as one, in the order of a Map.
import { expect, it } from "vitest";
import { type EarlierCommit, InheritedChanges } from "../../../daemon/foreign/inherited-changes.ts";
import { applyDelta, encodeDelta, layoutOf, newImage } from "../../../protocol/image/image.ts";
import { deltaOf } from "../../support/daemon/raw-worker.ts";

const ID = "10.0.0.1:0123456789ABCDEF01234567";

function commit(delta: Buffer): EarlierCommit {
  return { id: ID, change: { delta, whenMs: 5, prints: [] } };
}

it.each<[string, Buffer[], string[]]>([
  ["replaced keep their place", [deltaOf({ a: 2 }), deltaOf({ a: 3, z: 1 })], ["a", "b", "z"]],
  ["deleted and set again by two commits go to the end", [deltaOf({ a: undefined }), deltaOf({ a: 2 })], ["b", "a"]],
  [
    "and by one",
    [
      encodeDelta([
        ["a", undefined],
        ["a", Buffer.of(1, 0xff)],
      ]),
      deltaOf({ z: 1 }),
    ],
    ["b", "a", "z"],
  ],
  [
    "and changed later stay there",
    [deltaOf({ a: undefined }), deltaOf({ a: 2, z: 1 }), deltaOf({ a: 3 })],
    ["b", "a", "z"],
  ],
  ["and deleted at last are gone", [deltaOf({ a: undefined }), deltaOf({ a: 2 }), deltaOf({ a: undefined })], ["b"]],
])("keys that were %s", (_what, deltas, keys) => {
  const change = new InheritedChanges(deltas.map(commit), 60_000).find(ID, 10);
  const image = applyDelta(newImage({ nowMs: 0, timeoutSeconds: 60 }), { delta: deltaOf({ a: 1, b: 1 }), nowMs: 0 });
  const delta = change?.delta ?? Buffer.alloc(0);
  expect([...layoutOf(applyDelta(image, { delta, nowMs: 0 })).entries.keys()]).toEqual(keys);
});

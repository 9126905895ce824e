// Contents of a session as a worker has them, without a daemon or a file.
import { Contents } from "../../client/copies/contents.ts";
import { applyDelta, encodeDelta, newImage } from "../../protocol/image/image.ts";
import { encodeValue } from "../../protocol/value/value.ts";
import { KIND } from "../../protocol/wire/operations.ts";

/** @param mtimeMs the revision: no two contents of a session have the same. */
export function contentsOf(values: Readonly<Record<string, unknown>>, mtimeMs = 1): Contents {
  const entries = new Map(Object.entries(values).map(([key, value]) => [key, encodeValue(value, key).bytes]));
  const image = applyDelta(newImage({ nowMs: 0, timeoutSeconds: 600 }), { delta: encodeDelta(entries), nowMs: 0 });
  const state = { kind: KIND.contents, ino: 1, size: image.length, mtimeMs, startupMs: 0, image };
  return Contents.fromImage(state, image);
}

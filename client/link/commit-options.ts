// What a commit says beside its delta: its options as they travel, and how many bytes they take.

import type { CommitOptions } from "../../protocol/wire/wire.ts";
import type { CommitRequest } from "../handle/handle.ts";

/** Bytes of a commit beside its delta that need not be counted: a frame has room for them beside the largest delta. */
const ENVELOPE_BYTES = 32 * 1024;

/** Bytes of a commit beside its delta, estimated from above; 0 where they fit into `ENVELOPE_BYTES`. */
export function bytesBeside({ unsaved: { shares, properties } }: CommitRequest): number {
  const { cookiePath = "" } = properties;
  let bytes = 3 * cookiePath.length;
  for (const { key, otherKey } of shares) bytes += 64 + 3 * (key.length + otherKey.length);
  return bytes > ENVELOPE_BYTES ? bytes : 0;
}

/** Null where a commit has none: the usual one. */
export function optionsOf(request: CommitRequest, held: number[] | undefined): CommitOptions | null {
  const { base, unsaved, fence, keepsLease } = request;
  const { isUnique, properties, shares, successor } = unsaved;
  const { timeoutSeconds, cookiePath } = properties;
  const isNew = base === undefined;
  const isAlone = fence === undefined && held === undefined && successor === undefined;
  const isPlain = !isNew && !isUnique && isAlone && shares.length === 0;
  if (isPlain && timeoutSeconds === undefined && cookiePath === undefined) return null;
  const options: { -readonly [K in keyof CommitOptions]: CommitOptions[K] } = {};
  if (isNew) options.create = true;
  if (isUnique) options.unique = true;
  if (timeoutSeconds !== undefined) options.timeoutSeconds = timeoutSeconds;
  if (cookiePath !== undefined) options.cookiePath = cookiePath;
  if (fence !== undefined) options.fence = fence;
  if (fence !== undefined && keepsLease !== true) options.release = true;
  if (fence === undefined && held !== undefined) options.held = held;
  if (successor !== undefined && !isNew) options.successor = successor;
  if (shares.length > 0) options.shares = [...shares];
  return options;
}

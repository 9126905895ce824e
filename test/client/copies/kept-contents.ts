// A process that fills a cache of contents and says what it takes, against what it is counted as.

import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { Cache } from "../../../client/copies/cache.ts";
import { Contents } from "../../../client/copies/contents.ts";
import { NONE_MOVED } from "../../../client/handle/unsaved.ts";
import { applyDelta, encodeDelta, newImage } from "../../../protocol/image/image.ts";
import { encodeValue } from "../../../protocol/value/value.ts";
import { KIND, type State } from "../../../protocol/wire/operations.ts";
import { serveCalls } from "../../support/processes.ts";

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;

export interface Filling {
  readonly sessions: number;
  readonly textBytes: number;
  readonly keys: number;
  /** Nobody else has keys of these names. */
  readonly hasOwnKeys?: boolean;
  /** All values are asked for. */
  readonly isRead?: boolean;
  /** Commits on top of each, and how often each is stamped. */
  readonly changes?: number;
  readonly stamps?: number;
  /** Ended as soon as it was kept. */
  readonly isDropped?: boolean;
  /** Bytes of the Cookie header that the id was cut from. */
  readonly headerBytes?: number;
}

export interface Filled {
  readonly counted: number;
  readonly taken: number;
}

/** What a service does besides: it uses the pool that small buffers come from, too. */
const OTHER_WORK = "whatever else is made into bytes at the same time ".repeat(10);

let cache: Cache | undefined;

serveCalls({
  fill(maxBytes: number, filling: Filling): Filled {
    cache = undefined;
    const before = held();
    cache = new Cache(maxBytes);
    cache.directory = "/nowhere/session";
    for (let number = 0; number < filling.sessions; number++) keep(cache, filling, number);
    return { counted: cache.bytes, taken: held() - before };
  },
});

function held(): number {
  collect();
  collect();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

function keep(into: Cache, filling: Filling, number: number): void {
  const id = idOf(filling, number);
  let mtimeMs = 1_700_000_000_000 + number;
  const image = imageOf(filling, number);
  let contents = Contents.fromImage(stateOf(mtimeMs, image), image);
  into.keep(id, { contents }, [contents.image]);
  if (filling.isRead === true) for (const key of contents.keys) contents.value(key);
  for (let change = 0; change < (filling.changes ?? 0); change++) {
    const entries = new Map([[`new ${change}`, encodeValue(number + change, "n").bytes]]);
    mtimeMs += 0.001;
    const [delta, made] = [encodeDelta(entries), { entries, moved: NONE_MOVED }];
    contents = Contents.fromChange(stateOf(mtimeMs, null), contents, { delta, nowMs: mtimeMs }, made);
    into.keep(id, { contents }, entries.values());
    Buffer.from(OTHER_WORK);
  }
  for (let stamp = 0; stamp < (filling.stamps ?? 0); stamp++) {
    mtimeMs += 0.001;
    contents = contents.stamped(stateOf(mtimeMs, null));
    into.keep(id, { contents }, []);
  }
  if (filling.isDropped === true) into.drop(id);
}

function idOf({ headerBytes = 0 }: Filling, number: number): string {
  const id = `10.0.0.${number % 200}:${String(number).padStart(24, "0")}`;
  if (headerBytes === 0) return id;
  const header = Buffer.from(`SESSION=${id}; other=${"x".repeat(headerBytes)}`).toString("latin1");
  return header.slice(8, 8 + id.length);
}

function imageOf({ keys, textBytes, hasOwnKeys }: Filling, number: number): Buffer {
  const entries = new Map<string, Buffer>();
  for (let key = 0; key < keys; key++) {
    const name = hasOwnKeys === true ? `key ${key} of ${number}` : `key ${key}`;
    entries.set(name, encodeValue(key % 3 === 0 ? [1, { a: "b" }] : key, name).bytes);
  }
  if (textBytes > 0) entries.set("text", encodeValue("x".repeat(textBytes), "text").bytes);
  const empty = newImage({ nowMs: 1_700_000_000_000, timeoutSeconds: 86_400 });
  return applyDelta(empty, { delta: encodeDelta(entries), nowMs: 1_700_000_000_000 });
}

function stateOf(mtimeMs: number, image: Buffer | null): State {
  const kind = image === null ? KIND.same : KIND.contents;
  return { kind, ino: 4_711_000_000, size: 300, mtimeMs, startupMs: mtimeMs, image };
}

// Throws hostile bytes at everything that reads what others wrote: frames, deltas, session files, values, cookie headers, ids. Whatever the
// bytes are, a reader gives a result that the other readers agree with, or a SessionError.

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { CookieValues } from "../../client/http/cookies.ts";
import { SessionError } from "../../protocol/errors.ts";
import {
  applyDelta,
  decodeAll,
  fileOfImage,
  imageOfFile,
  isExpired,
  layoutOf,
  splitDelta,
  valueOf as storedValue,
  typeOf,
} from "../../protocol/image/image.ts";
import { isSessionId, prefixOf } from "../../protocol/session-id.ts";
import { decodeValue, endOfValue, newScan, Origins } from "../../protocol/value/value.ts";
import { type Field, FrameReader, FrameWriter, readMessage } from "../../protocol/wire/frame.ts";
import { OPERATIONS, operationName } from "../../protocol/wire/operations.ts";
import { readFields } from "../../protocol/wire/shape.ts";
import { deltaOf } from "../support/daemon/raw-worker.ts";
import { repository } from "../support/repository.ts";
import { Random } from "../support/values/random.ts";
import { Mutator } from "./mutator.ts";

export interface FuzzFigures {
  readonly inputs: number;
  /** How many of them were refused, by the code of the error. */
  readonly refused: Readonly<Record<string, number>>;
  readonly longestMs: number;
  readonly bytes: number;
}

interface Target {
  readonly corpus: readonly Buffer[];
  /** Throws a SessionError for what it cannot read; anything else it throws is a fault. */
  readonly read: (bytes: Buffer) => void;
}

const MAX_FRAME_BYTES = 1024 * 1024;
/** Larger fixtures only slow the mutations down. */
const MAX_FIXTURE_BYTES = 16 * 1024;
const NOW_MS = 1_700_000_000_000;
const ID = "10.0.0.1:0123456789ABCDEF01234567";

const images = fixtures();
const deltas = [
  deltaOf({ n: 1, text: "häuser", gone: undefined }),
  deltaOf({ list: [1, 2, 3], mixed: ["a", 1, null], when: new Date(NOW_MS), big: 2n ** 40n }),
  deltaOf({ cart: { items: [{ price: 1.5, tags: new Set(["x"]).size }], total: 3 }, bytes: Buffer.from("raw") }),
  deltaOf({}),
];
const small = images.filter((image) => image.length < 200);

const TARGETS: Readonly<Record<string, Target>> = {
  frames: { corpus: recordedFrames(), read: readFrames },
  deltas: { corpus: deltas, read: readDelta },
  images: { corpus: images, read: readImage },
  values: { corpus: images.map((image) => image.subarray(18)), read: readValue },
  cookies: { corpus: cookies(), read: readCookies },
  ids: { corpus: ids(), read: readId },
};

/** `onInput` is called before each input, with its number. */
export function fuzz(inputs: number, seed: number, onInput: (number: number) => void = () => undefined): FuzzFigures {
  const random = new Random(seed);
  const targets = Object.entries(TARGETS).map(([name, { corpus, read }]) => ({
    name,
    read,
    mutator: new Mutator(random, corpus),
  }));
  const refused: Record<string, number> = {};
  let [longestMs, bytes] = [0, 0];
  for (let number = 0; number < inputs; number++) {
    onInput(number);
    const { name, read, mutator } = random.of(targets);
    const input = mutator.next();
    bytes += input.length;
    const beganMs = performance.now();
    const code = codeOf(name, input, () => read(input));
    longestMs = Math.max(longestMs, performance.now() - beganMs);
    if (code !== undefined) refused[`${name} ${code}`] = (refused[`${name} ${code}`] ?? 0) + 1;
  }
  return { inputs, refused, longestMs, bytes };
}

function codeOf(name: string, input: Buffer, read: () => void): string | undefined {
  try {
    read();
    return undefined;
  } catch (error) {
    if (error instanceof SessionError && error.code !== "ERR_INTERNAL") return error.code;
    throw new Error(`${name} of ${input.toString("hex")}: ${error}`, { cause: error });
  }
}

function fixtures(): Buffer[] {
  const folder = join(repository, "test/fixtures");
  const names = readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".session"));
  const all = names.sort().map((name) => readFileSync(join(folder, name)));
  return all.filter((image) => image.length <= MAX_FIXTURE_BYTES);
}

/** What a worker and a daemon say to each other, several messages in one piece. */
function recordedFrames(): Buffer[] {
  const requests: Field[][] = [
    [0, OPERATIONS.hello.number, 1, "worker"],
    [1, OPERATIONS.open.number, ID, 0],
    [2, OPERATIONS.commit.number, ID, 1, 0, deltaOf({ n: 1 }), { create: true, timeoutSeconds: 60, cookiePath: "/" }],
    [3, OPERATIONS.commit.number, ID, 2, NOW_MS, deltaOf({ text: "x".repeat(300) }), { fence: 1024, release: true }],
    [4, OPERATIONS.touch.number, ID, NOW_MS + 0.5],
    [5, OPERATIONS.lease.number, ID, 5000, 0],
    [6, OPERATIONS.release.number, ID, 2 ** 50],
    [7, OPERATIONS.abandon.number, ID],
    [8, OPERATIONS.status.number],
  ];
  const responses: Field[][] = [
    [1, 0, 1, 4242, 1000, NOW_MS, NOW_MS, images[0] ?? null],
    [2, 1, "ERR_SESSION_GONE", "Session is gone."],
    [3, 0, 2, 4242, 1000, NOW_MS, NOW_MS, null],
  ];
  const writer = new FrameWriter();
  return [...requests, ...responses, [9, OPERATIONS.status.number]].map((fields, place, all) => {
    writer.push(...fields);
    if (place % 3 === 0) writer.push(...(all[place + 1] ?? fields));
    return Buffer.from(writer.take());
  });
}

function readFrames(bytes: Buffer): void {
  const reader = new FrameReader(MAX_FRAME_BYTES);
  const half = bytes.length >> 1;
  for (const piece of [bytes.subarray(0, half), bytes.subarray(half)]) {
    reader.read(piece, (frame) => {
      const fields = readMessage(frame);
      const name = operationName(fields[1]);
      if (name !== undefined) readFields(OPERATIONS[name].request, fields, 2);
    });
  }
}

function readDelta(delta: Buffer): void {
  const changes = splitDelta(delta);
  for (const base of small) {
    const image = applyDelta(base, { delta, nowMs: NOW_MS, maxBytes: MAX_FRAME_BYTES });
    const layout = layoutOf(image);
    for (const [key, value] of changes) {
      if (value === undefined && typeOf(image, layout, key) !== undefined) throw new Error(`${key} is still there`);
    }
    decodeAll(image, layout, new Origins());
  }
}

/** As a file of either dialect. */
function readImage(file: Buffer): void {
  const image = Buffer.from(file);
  imageOfFile(image);
  const again = Buffer.from(fileOfImage(image));
  imageOfFile(again);
  if (!again.equals(image)) throw new Error("what goes into the file is not what comes out of it");
  isExpired(image, NOW_MS);
  const layout = layoutOf(image);
  const decoded = decodeAll(image, layout, new Origins());
  for (const [key, { error }] of decoded) {
    if (error !== undefined && !(error instanceof SessionError)) throw error;
    storedValue(image, layout, key);
    typeOf(image, layout, key);
  }
  const next = applyDelta(image, { delta: deltas[0] ?? Buffer.of(), nowMs: NOW_MS, maxBytes: MAX_FRAME_BYTES });
  if (decodeAll(next, layoutOf(next), new Origins()).get("n")?.value !== 1) throw new Error("n was not set");
}

function readValue(bytes: Buffer): void {
  decodeValue(bytes, 0, new Origins());
  endOfValue(bytes, 0, newScan());
}

function readCookies(bytes: Buffer): void {
  const header = bytes.toString("latin1");
  for (const name of ["SESSION", "GBSESSIONID", "__proto__", ""]) {
    const values = new CookieValues(header, name);
    for (let value = values.next(); value !== undefined; value = values.next()) readId(Buffer.from(value));
  }
}

function readId(bytes: Buffer): void {
  const id = bytes.toString("utf8");
  if (!isSessionId(id)) return;
  const isSafe =
    !/[/\\\0]/.test(id) && Buffer.byteLength(`${id}.lock`) <= 255 && `${prefixOf(id)}:`.length === id.length - 24;
  if (!isSafe) throw new Error("this is no id");
}

function cookies(): Buffer[] {
  const headers = [
    `SESSION=${ID}`,
    `a=b; SESSION=${ID}; GBSESSIONID=10.0.0.2:0123456789ABCDEF01234567`,
    `SESSION="${ID}"; ;;=; =x; SESSION; SESSION=`,
    `__proto__=x; SESSION=../../etc/passwd:0123456789ABCDEF01234567; SESSION=%2e%2e%2f`,
    "SESSION=\u00e4\u00ff; SESSION==; path=/; SESSION = x",
  ];
  return headers.map((header) => Buffer.from(header, "latin1"));
}

export function ids(): Buffer[] {
  const hex = "0123456789ABCDEF01234567";
  const prefixes = [
    "10.0.0.1",
    "",
    "::1",
    "..",
    "../x",
    "a/b",
    "sessiond.sock",
    ".",
    "x".repeat(174),
    "€uro",
    "__proto__",
  ];
  return [...prefixes.map((prefix) => `${prefix}:${hex}`), "sessiond.pid", `${ID}.lock`, hex].map((id) =>
    Buffer.from(id),
  );
}

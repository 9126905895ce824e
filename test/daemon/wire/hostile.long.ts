// What arrives on the socket and is no proper call: answered or cut off, and nobody else notices.

import { randomBytes } from "node:crypto";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { FrameWriter } from "../../../protocol/wire/frame.ts";
import { OPERATIONS, PROTOCOL_VERSION } from "../../../protocol/wire/operations.ts";
import { codeOf, Lab, newId } from "../../support/daemon/lab.ts";
import { deltaOf, type RawWorker } from "../../support/daemon/raw-worker.ts";

let lab: Lab;
let neighbour: RawWorker;
let id: string;

beforeEach(async () => {
  // The daemon looks at its connections every few seconds: here when a test says so.
  vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] });
  lab = await Lab.open({ maxSessionBytes: 3_000_000 });
  neighbour = await lab.worker("neighbour");
  id = newId();
  await neighbour.create(id, { n: 0 });
});

afterEach(async () => {
  // Whatever was sent: the daemon still answers everybody else.
  await neighbour.commit(id, { n: "still here" });
  expect(await (await lab.worker("late")).values(id)).toMatchObject({ n: "still here" });
  await lab.close();
  vi.useRealTimers();
});

/** Some seconds pass, and everything that has arrived is read in between. */
async function pass(seconds: number): Promise<void> {
  for (let passed = 0; passed < seconds; passed++) {
    vi.advanceTimersByTime(1000);
    await neighbour.settle();
  }
}

function frame(payload: Uint8Array): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(payload.length);
  return Buffer.concat([length, payload]);
}

function hello(version: number = PROTOCOL_VERSION): Buffer {
  const writer = new FrameWriter();
  writer.push(1, OPERATIONS.hello.number, version, "raw");
  return Buffer.from(writer.take());
}

describe("a connection is closed", () => {
  test.each<readonly [string, Buffer]>([
    ["that sends noise", Buffer.from("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")],
    ["that announces four gigabytes", Buffer.from("ffffffff", "hex")],
    ["that announces a kilobyte for its hello", Buffer.from("00000401", "hex")],
    ["that announces one byte more than the largest frame", Buffer.concat([hello(), Buffer.from("002ec6c1", "hex")])],
    ["that sends an empty frame", frame(Buffer.alloc(0))],
    ["that sends a frame which is no array", frame(Buffer.from([0xa3, 0x61, 0x62, 0x63]))],
    ["that sends a frame cut off inside", frame(Buffer.from([0x94, 0x01, 0x00, 0xd9]))],
    ["that sends a call without a number", frame(Buffer.from([0x92, 0xa1, 0x78, 0x00]))],
    [
      "that sends a hundred thousand arrays in one another",
      Buffer.concat([hello(), frame(Buffer.alloc(100_000, 0x91))]),
    ],
  ])("%s", async (_, bytes) => {
    const stranger = await lab.stranger();
    stranger.sendBytes(bytes);
    await stranger.closed;
  });

  test("that calls anything before hello, with the reason", async () => {
    const stranger = await lab.stranger();
    expect(await codeOf(stranger.open(id))).toBe("ERR_PROTOCOL");
    await stranger.closed;
  });

  test("that says nothing, half a minute later", async () => {
    const stranger = await lab.stranger();
    await pass(10);
    expect(stranger.isClosed).toBe(false);
    await pass(20);
    await stranger.closed;
    expect(neighbour.isClosed).toBe(false);
  });

  test("that never ends a frame, however slowly it sends it", async () => {
    const stranger = await lab.stranger();
    stranger.sendBytes(Buffer.concat([hello(), frame(Buffer.alloc(50_000)).subarray(0, 20_000)]));
    for (let count = 0; count < 30 && !stranger.isClosed; count++) {
      stranger.sendBytes(Buffer.of(0));
      await pass(1);
    }
    await stranger.closed;
  });

  test("but not one whose frames all end, nor one that waits in silence", async () => {
    const [busy, idle] = [await lab.worker("busy"), await lab.worker("idle")];
    const { fence } = await neighbour.lease(id, 60_000);
    const waiting = idle.lease(id);
    for (let count = 0; count < 40; count++) {
      await busy.open(id);
      await pass(1);
    }
    await neighbour.commitLeased(id, { n: 1 }, fence);
    await idle.call("release", id, (await waiting).fence);
  });

  test("of a crowd that says no hello the oldest, and workers still come in", async () => {
    const crowd: RawWorker[] = [];
    while (crowd.length < 600) {
      crowd.push(await lab.stranger());
      await neighbour.settle();
    }
    const worker = await lab.worker("worker");
    expect(await worker.values(id)).toEqual({ n: 0 });
    await neighbour.settle();
    const left = crowd.filter(({ isClosed }) => !isClosed);
    expect(left.length).toBeLessThanOrEqual(512);
    expect(left.length).toBeGreaterThan(400);
    await Promise.all(crowd.map((stranger) => stranger.close()));
  });

  test("that speaks another version, with both versions named", async () => {
    const stranger = await lab.stranger();
    await expect(stranger.call("hello", PROTOCOL_VERSION + 7, "raw")).rejects.toThrow(
      new RegExp(`version ${PROTOCOL_VERSION + 7}.*version ${PROTOCOL_VERSION}`),
    );
    await stranger.closed;
  });

  test.each(["", "x".repeat(65), "with blank", "ünïcode"])("that has no proper name: %j", async (name) => {
    const stranger = await lab.stranger();
    expect(await codeOf(stranger.call("hello", PROTOCOL_VERSION, name))).toBe("ERR_PROTOCOL");
    await stranger.closed;
  });
});

describe("a call is answered with an error, and the connection goes on", () => {
  let worker: RawWorker;

  beforeEach(async () => {
    worker = await lab.worker("worker");
  });

  afterEach(async () => {
    expect(await worker.values(id)).toBeDefined();
  });

  test("of an operation that does not exist", async () => {
    expect(await codeOf(worker.callNumber(99))).toBe("ERR_PROTOCOL");
    expect(await codeOf(worker.callNumber(-1))).toBe("ERR_PROTOCOL");
    expect(await codeOf(worker.callNumber(1.5))).toBe("ERR_PROTOCOL");
  });

  test.each<readonly [string, readonly (string | number | null | Buffer | object | boolean)[]]>([
    ["with a field missing", [newId()]],
    ["with a field too many", [newId(), 0, 0]],
    ["with a number for a text", [5, 0]],
    ["with nil for a number", [newId(), null]],
    ["with bytes for a text", [Buffer.from("x"), 0]],
    ["with a map for a number", [newId(), { a: 1 }]],
  ])("%s", async (_, fields) => {
    expect(await codeOf(worker.callNumber(OPERATIONS.open.number, ...fields))).toBe("ERR_PROTOCOL");
  });

  test.each([
    "",
    "x",
    "../../etc/passwd",
    "10.0.0.1:../../../etc/passwd",
    "a/b:000000000000000000000001",
    "a\0b:000000000000000000000001",
    "a b:000000000000000000000001",
    "10.0.0.1:00000000000000000000000G",
    "10.0.0.1:000000000000000000000001.lock",
    ".unique.lock",
    ".lock",
    `${"x".repeat(180)}:000000000000000000000001`,
  ])("about what is no session id: %j", async (bad) => {
    expect(await codeOf(worker.open(bad))).toBe("ERR_BAD_ID");
    expect(await codeOf(worker.create(bad, { n: 0 }))).toBe("ERR_BAD_ID");
    expect(await codeOf(worker.abandon(bad))).toBe("ERR_BAD_ID");
    expect(await codeOf(worker.lease(bad))).toBe("ERR_BAD_ID");
    expect(await codeOf(worker.call("touch", bad, 0))).toBe("ERR_BAD_ID");
    expect(await codeOf(worker.call("release", bad, 0))).toBe("ERR_BAD_ID");
  });

  test("with options of the wrong shape", async () => {
    for (const options of [{ create: 1 }, { timeoutSeconds: "long" }, { fence: -1 }, { shares: [{}] }, { shares: 5 }]) {
      expect(await codeOf(worker.call("commit", id, 1, 0, deltaOf({ n: 1 }), options))).toBe("ERR_PROTOCOL");
    }
  });

  test("with options named like what every object has", async () => {
    const options = JSON.parse('{"__proto__": {"create": true}, "constructor": 1, "toString": 2}') as object;
    await worker.call("commit", id, 1, 0, deltaOf({ n: 1 }), options);
    expect(({} as { create?: boolean }).create).toBeUndefined();
  });

  test("with a delta that is noise", async () => {
    for (let count = 0; count < 200; count++) {
      const delta = randomBytes(count);
      if (count % 2 === 0 && count > 0) delta[0] = 0x43;
      await worker.call("commit", id, 1000 + count, 0, delta, null).catch((error: { code: string }) => {
        expect(["ERR_PROTOCOL", "ERR_BAD_VALUE", "ERR_TOO_LARGE", "ERR_BAD_KEY"]).toContain(error.code);
      });
    }
    expect(await worker.values(id)).toMatchObject({ n: 0 });
  });
});

describe("what one connection does costs others nothing", () => {
  test("when it stops in the middle of a frame", async () => {
    const stranger = await lab.stranger();
    stranger.sendBytes(Buffer.concat([hello(), frame(Buffer.alloc(50_000)).subarray(0, 20_000)]));
    for (let n = 0; n < 20; n++) await neighbour.commit(id, { n });
    expect(stranger.isClosed).toBe(false);
  });

  test("when it sends a frame byte by byte, which is a frame all the same", async () => {
    const stranger = await lab.stranger();
    const bytes = hello();
    for (const byte of bytes) {
      stranger.sendBytes(Buffer.of(byte));
      await neighbour.settle();
    }
    expect(await stranger.values(id)).toEqual({ n: 0 });
  });

  test("when it never reads its answers", async () => {
    const worker = await lab.worker("deaf");
    await neighbour.commit(id, { big: "x".repeat(90_000) });
    worker.stopReading();
    for (let count = 0; count < 500; count++) void worker.open(id).catch(() => undefined);
    for (let n = 0; n < 20; n++) await neighbour.commit(id, { n });
  });

  test("when it asks for more than fits into memory and reads nothing of it", async () => {
    await neighbour.commit(id, { big: "x".repeat(2_000_000) });
    const worker = await lab.worker("deaf");
    await neighbour.settle();
    const before = process.memoryUsage().arrayBuffers;
    worker.stopReading();
    const answers = Array.from({ length: 300 }, () => worker.open(id));
    for (let n = 0; n < 20; n++) await neighbour.commit(id, { n });
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(150_000_000);
    worker.goOnReading();
    for (const { size } of await Promise.all(answers)) expect(size).toBeGreaterThan(2_000_000);
  });

  test("when it has more calls waiting than a worker ever has: the rest is refused", async () => {
    const worker = await lab.worker("greedy");
    const { fence } = await neighbour.lease(id, 60_000);
    const outcomes = Array.from({ length: 66_000 }, () =>
      worker.lease(id).catch((error: { code: string }) => error.code),
    );
    const refused = await Promise.all(outcomes.slice(65_600));
    expect(new Set(refused)).toEqual(new Set(["ERR_OVERLOADED"]));
    await neighbour.commitLeased(id, { n: 1 }, fence);
    expect(await outcomes[0]).toMatchObject({ kind: 2 });
    await worker.close();
    await Promise.allSettled(outcomes);
  });

  test("when it reads nothing of its answers, and the daemon is to leave", async () => {
    const worker = await lab.worker("deaf");
    await neighbour.commit(id, { big: "x".repeat(2_000_000) });
    worker.stopReading();
    for (let count = 0; count < 10; count++) void worker.open(id).catch(() => undefined);
    await neighbour.settle();
    await lab.stop();
    await lab.start();
    neighbour = await lab.worker("neighbour");
  });

  test("when it breaks off with calls under way", async () => {
    for (let round = 0; round < 20; round++) {
      const worker = await lab.worker(`hasty${round}`);
      for (let n = 0; n < 20; n++) void worker.commit(id, { [`k${n}`]: n }).catch(() => undefined);
      void worker.lease(id).catch(() => undefined);
      await worker.close();
    }
    const { fence } = await neighbour.lease(id);
    await neighbour.commitLeased(id, { n: 1 }, fence);
  });

  test("when hundreds connect and leave", async () => {
    for (let round = 0; round < 5; round++) {
      const crowd = await Promise.all(Array.from({ length: 60 }, () => lab.stranger()));
      await Promise.all(crowd.map((stranger) => stranger.close()));
    }
  });
});

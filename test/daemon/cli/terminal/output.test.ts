// What a command says, to readers who are slow or go.

import { Writable } from "node:stream";
import { expect, test } from "vitest";
import { JsonList, openOutput } from "../../../../daemon/cli/terminal/output.ts";

/** A reader who takes one piece at a time, when asked to. */
class Reader extends Writable {
  readonly pieces: string[] = [];
  take: (() => void) | undefined;

  constructor() {
    super({ highWaterMark: 1, decodeStrings: false });
  }

  override _write(piece: string, _encoding: string, done: () => void): void {
    this.pieces.push(piece);
    this.take = done;
  }

  get listening(): number {
    return this.eventNames().reduce((sum, name) => sum + this.listenerCount(name), 0);
  }
}

test("waits for a slow reader with as many listeners at the last line as at the first", async () => {
  const reader = new Reader();
  const list = new JsonList(openOutput(reader));
  const atFirst = reader.listening;
  for (let n = 0; n < 50; n++) {
    const said = list.add(n);
    await Promise.resolve();
    expect(reader.listening).toBe(atFirst);
    reader.take?.();
    expect(await said).toBe(true);
  }
  expect(reader.pieces.length).toBe(50);
});

test("ends quietly where the reader has gone", async () => {
  const reader = new Reader();
  const say = openOutput(reader);
  const said = say("one");
  reader.destroy(Object.assign(new Error("write EPIPE"), { code: "EPIPE" }));
  expect(await said).toBe(false);
  expect(await say("two")).toBe(false);
});

test("does not wait for one who has closed without a word", async () => {
  const reader = new Reader();
  const say = openOutput(reader);
  const said = say("one");
  reader.destroy();
  expect(await said).toBe(false);
});

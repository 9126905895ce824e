// The head of a log: what is half written is none, and a log without a frame names no state.

import { describe, expect, it } from "vitest";
import {
  HEAD_BYTES,
  HEAD_PAIR_WORDS,
  headIn,
  headOf,
  isFrameOf,
  isHeadIn,
  isNextHead,
  namesState,
  nextFrameAt,
} from "../../protocol/log-head.ts";

const WORDS = HEAD_PAIR_WORDS / 2;
const FORMAT = 3_007_000;

function pairOf(changes: Readonly<Record<number, number>> = {}): Int32Array {
  const head = Int32Array.from({ length: WORDS }, (_, at) => (at === 0 ? FORMAT : at * 1_000_003));
  for (const [at, word] of Object.entries(changes)) head[Number(at)] = word;
  return Int32Array.of(...head, ...head);
}

describe("The head of a log", () => {
  it("is there when both copies are alike", () => {
    const head = headIn(pairOf());
    expect(head?.length).toBe(WORDS);
    expect(head !== undefined && isHeadIn(pairOf(), head)).toBe(true);
  });

  it("is none while any word of one copy is another one's", () => {
    const whole = headIn(pairOf()) ?? new Int32Array(WORDS);
    for (let at = 0; at < HEAD_PAIR_WORDS; at++) {
      const torn = pairOf();
      torn[at] = 7;
      expect([headIn(torn), isHeadIn(torn, whole)]).toEqual([undefined, false]);
    }
  });

  it("is none before SQLite has made it, or in another format", () => {
    expect(headIn(new Int32Array(HEAD_PAIR_WORDS))).toBeUndefined();
    expect(headIn(pairOf({ 0: FORMAT + 1 }))).toBeUndefined();
  });

  it("names a state when the log has a frame, and no other time", () => {
    const names = (lastFrame: number): boolean => {
      const head = headIn(pairOf({ 4: lastFrame }));
      return head !== undefined && namesState(head);
    };
    expect([names(0), names(1), names(-1)]).toEqual([false, true, true]);
  });

  it("is the next one after one commit, and not after two, and when the count begins anew", () => {
    const bytesAt = (count: number): Buffer => Buffer.from(pairOf({ 2: count }).buffer, 0, HEAD_BYTES);
    const isNext = (count: number, before: number): boolean => isNextHead(bytesAt(count), bytesAt(before));
    expect([isNext(1, 0), isNext(0, 0), isNext(2, 0), isNext(0, -1), isNext(-1, -2)]).toEqual([
      true,
      false,
      false,
      true,
      true,
    ]);
  });

  it("travels as its bytes, wherever those lie", () => {
    const head = headIn(pairOf()) ?? new Int32Array(WORDS);
    const bytes = Buffer.concat([Buffer.alloc(3), Buffer.from(head.buffer)]).subarray(3);
    expect(headOf(bytes)).toEqual(head);
    expect([headOf(bytes.subarray(1)), bytes.length]).toEqual([undefined, HEAD_BYTES]);
  });

  it("tells where the next frame would be, by frames of any number, and whether a frame is of this log", () => {
    const nextOf = (frames: number): number => {
      const head = pairOf({ 4: frames }).slice(0, WORDS);
      new Uint16Array(head.buffer)[7] = 4096;
      return nextFrameAt(head);
    };
    expect([nextOf(0), nextOf(2), nextOf(-1)]).toEqual([32, 32 + 2 * 4120, 32 + (2 ** 32 - 1) * 4120]);
    const head = pairOf({ 8: -5, 9: 6 }).slice(0, WORDS);
    const isOf = (...salts: readonly [number, number]): boolean => isFrameOf(Int32Array.of(1, 0, ...salts, 0, 0), head);
    expect([isOf(-5, 6), isOf(-4, 6), isOf(-5, 7)]).toEqual([true, false, false]);
  });
});

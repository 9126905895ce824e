// When changes that come too late are looked at. Time is made here.
import { afterAll, beforeAll, expect, it, vi } from "vitest";
import { noteLate, type Watched, watch } from "../../../client/handle/late-changes.ts";

const looked: string[] = [];

function handle(name: string): Watched {
  const takeUnsaved = (): readonly string[] => {
    looked.push(name);
    return [];
  };
  return { isBusy: false, endedAs: "the response (GET /)", takeUnsaved };
}

beforeAll(() => void vi.useFakeTimers());
afterAll(() => void vi.useRealTimers());

it("nobody is told of a change before there was time to save it, whoever else is looked at meanwhile", () => {
  watch(handle("another"));
  vi.advanceTimersByTime(90);
  noteLate(handle("late"));
  vi.advanceTimersByTime(90);
  expect(looked).toEqual(["another"]);
  vi.advanceTimersByTime(10);
  expect(looked).toEqual(["another", "late"]);
});

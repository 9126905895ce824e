// How many sessions have their files open: fewer since descriptors have run out, and as many as before when they have not for a while.

import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { afterEach, expect, test, vi } from "vitest";
import { FileSystem } from "../../../daemon/store/gambas-file/file-system.ts";
import { HotSessions } from "../../../daemon/store/gambas-file/hot-sessions.ts";
import { Places } from "../../../daemon/store/gambas-file/layout.ts";
import { newId } from "../../support/daemon/lab.ts";
import { freshRoot, removeRoot } from "../../support/processes.ts";

const MAX = 8;
const root = freshRoot();

afterEach(() => {
  vi.restoreAllMocks();
  return removeRoot(root);
});

test("sessions that were closed for want of descriptors may be open again some minutes after", () => {
  mkdirSync(join(root, "session"), { recursive: true });
  const places = new Places(root);
  const hot = new HotSessions(places, new FileSystem(places), MAX);
  let presentMs = Math.round(performance.now());
  vi.spyOn(performance, "now").mockImplementation(() => presentMs);
  const heatMany = (): void => {
    for (let count = 0; count < 2 * MAX; count++) hot.heat(newId());
  };
  const runOut = (): void => {
    let isFirst = true;
    hot.withRoom(newId(), () => {
      if (!isFirst) return;
      isFirst = false;
      throw Object.assign(new Error("EMFILE: too many open files"), { code: "EMFILE" });
    });
  };
  heatMany();
  expect(hot.max).toBe(MAX);
  runOut();
  runOut();
  heatMany();
  expect(hot.max).toBe(2);
  presentMs += 59_000;
  heatMany();
  expect(hot.max).toBe(2);
  for (const max of [4, MAX, MAX]) {
    presentMs += 60_000;
    heatMany();
    expect(hot.max).toBe(max);
  }
  hot.close();
});

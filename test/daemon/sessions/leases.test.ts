// Whatever ends a transaction gives its lease back at once, however it ends: whoever waits never waits for the lease's time.

import { unlinkSync, utimesSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { FrameWriter } from "../../../protocol/wire/frame.ts";
import { type CommitOptions, OPERATIONS } from "../../../protocol/wire/operations.ts";
import { codeOf, Lab, newId } from "../../support/daemon/lab.ts";
import { deltaOf, type RawWorker } from "../../support/daemon/raw-worker.ts";
import { failure, intercept, letThrough } from "../../support/daemon/system-calls.ts";

vi.mock("node:fs", async (original) =>
  (await import("../../support/daemon/system-calls.ts")).observed(await original<object>()),
);

/** Longer than any test runs: whoever waits for its end fails. */
const LEASE_MS = 60_000;
const LONG = "x".repeat(3000);

let lab: Lab;
let anna: RawWorker;
let bert: RawWorker;
let id: string;
let fence: number;

beforeEach(async () => {
  lab = await Lab.open({ maxSessionBytes: 2500, maxQueuedBytes: 10_000 });
  [anna, bert] = [await lab.worker("anna"), await lab.worker("bert")];
  id = newId();
  await anna.create(id, { n: 1 });
  fence = (await anna.lease(id, LEASE_MS)).fence;
});

afterEach(() => {
  letThrough();
  return lab.close();
});

/** Returns behind it; nothing else happens meanwhile. */
function passDeadline(deadlineMs: number): void {
  while (performance.now() < deadlineMs);
}

/** Its last word under the lease. */
function lastCommit(changes: Record<string, unknown>, options: CommitOptions = {}): Promise<unknown> {
  return anna.commit(id, changes, { options: { ...options, fence, release: true } });
}

function rawCommit(delta: Buffer): Promise<unknown> {
  return anna.call("commit", id, 1, 0, delta, { fence, release: true });
}

interface Failure {
  readonly code: string;
  readonly what: string;
  readonly fail: () => Promise<unknown>;
  /** What the next in turn is told; by default it gets its lease. */
  readonly next?: string;
  readonly mend?: () => void;
}

const FAILURES: readonly Failure[] = [
  { code: "ERR_TOO_LARGE", what: "makes the session too large", fail: () => lastCommit({ long: LONG }) },
  {
    code: "ERR_OVERLOADED",
    what: "is more than may wait",
    async fail() {
      // It waits for the lease, and is too large for the session.
      const waiting = codeOf(anna.commit(id, { long: LONG.repeat(3) }));
      const code = await codeOf(lastCommit({ long: LONG }));
      expect(await waiting).toBe("ERR_TOO_LARGE");
      throw Object.assign(new Error(code), { code });
    },
  },
  {
    code: "ERR_BAD_VALUE",
    what: "holds what Gambas cannot read",
    fail() {
      const delta = deltaOf({ a: "text" });
      delta[delta.indexOf("text") - 2] = 0xee;
      return rawCommit(delta);
    },
  },
  { code: "ERR_PROTOCOL", what: "is no delta", fail: () => rawCommit(Buffer.from([1, 97, 0xee])) },
  { code: "ERR_ID_TAKEN", what: "makes the session anew", fail: () => lastCommit({ n: 2 }, { create: true }) },
  {
    code: "ERR_BAD_OPTION",
    what: "has a path that no file can hold",
    fail: () => lastCommit({ n: 2 }, { cookiePath: "/".repeat(20_000) }),
  },
  {
    code: "ERR_CONFLICT",
    what: "comes after another program's save",
    fail() {
      lab.saveAsGambas(id, lab.changed(lab.image(id), { theirs: 1 }));
      return lastCommit({ n: 2 });
    },
  },
  {
    code: "ERR_SESSION_GONE",
    what: "comes after another program has ended the session",
    fail() {
      unlinkSync(lab.path(id));
      return lastCommit({ n: 2 });
    },
    next: "ERR_SESSION_GONE",
  },
  {
    code: "ERR_UNREADABLE",
    what: "finds a damaged file",
    fail() {
      lab.saveAsGambas(id, Buffer.from("no session at all"));
      return lastCommit({ n: 2 });
    },
    next: "ERR_UNREADABLE",
  },
  {
    code: "ERR_STORE",
    what: "cannot be written",
    fail() {
      intercept((call) => (call.name === "writeSync" ? failure("ENOSPC", call) : "do"));
      return lastCommit({ n: 2 });
    },
    mend: letThrough,
  },
];

describe("a transaction's last commit", () => {
  test.each(FAILURES)("$code: that $what gives the lease back", async ({ code, fail, next, mend }) => {
    expect(await codeOf(fail())).toBe(code);
    mend?.();
    const outcome = bert.lease(id, LEASE_MS).then(
      () => undefined,
      (error) => error.code,
    );
    expect(await outcome).toBe(next);
    expect(await codeOf(anna.commitLeased(id, { n: 9 }, fence))).toBe("ERR_LEASE_LOST");
  });

  test("is in time where it had been sent by then, and the daemon stood still", async () => {
    await anna.call("release", id, fence);
    const short = await anna.lease(id, 100);
    const sent = anna.commitLeased(id, { n: 2 }, short.fence);
    // Daemon and test are one process: nothing is read from the socket before the deadline.
    passDeadline(performance.now() + 200);
    await sent;
    expect(await bert.values(id)).toEqual({ n: 2 });
  });

  test("gives it to who waits already, before it is asked again", async () => {
    const next = bert.lease(id, LEASE_MS);
    await bert.settle();
    const failed = codeOf(lastCommit({ long: LONG }));
    const { fence: theirs } = await next;
    expect(await failed).toBe("ERR_TOO_LARGE");
    await bert.commitLeased(id, { n: 2 }, theirs);
    expect(await anna.values(id)).toEqual({ n: 2 });
  });

  test("gives it back where there is nothing to write", async () => {
    await lastCommit({});
    await bert.lease(id, LEASE_MS);
  });

  test("gives it back where it was carried out before", async () => {
    await anna.commit(id, { n: 2 }, { options: { fence }, sequence: 7 });
    await anna.commit(id, { n: 2 }, { options: { fence, release: true }, sequence: 7 });
    await bert.lease(id, LEASE_MS);
  });

  test("leaves the lease where it was not to end it", async () => {
    expect(await codeOf(anna.commit(id, { long: LONG }, { options: { fence } }))).toBe("ERR_TOO_LARGE");
    await anna.commitLeased(id, { n: 2 }, fence);
    expect(await bert.values(id)).toEqual({ n: 2 });
  });

  test("of a session that is to be its prefix' only one does not wait for one that waits for its lease", async () => {
    const other = newId();
    const unique = bert.create(other, { n: 1 }, { unique: true });
    await bert.settle();
    await lastCommit({ n: 2 }, { unique: true });
    await unique;
    // Exactly one of them is left: the one that came last to its end.
    expect([await anna.values(id), await anna.values(other)]).toEqual([undefined, { n: 1 }]);
  });
});

describe("who waits for the end of a lease", () => {
  /** A read under the lease finds that the file cannot be opened for a moment. */
  async function failReading(): Promise<void> {
    const carl = await lab.worker("carl");
    utimesSync(lab.path(id), 1, 1);
    intercept((call) => (call.name === "openSync" && call.path === lab.path(id) ? failure("EIO", call) : "do"));
    expect(await codeOf(carl.open(id))).toBe("ERR_STORE");
    letThrough();
  }

  test("to end the session does so after it, whatever fails under it", async () => {
    const ended = bert.abandon(id);
    await bert.settle();
    await failReading();
    await anna.commitLeased(id, { n: 2 }, fence);
    await ended;
    expect(await bert.values(id)).toBeUndefined();
  });

  test("for the next one gets it, whatever fails under it", async () => {
    const next = bert.lease(id, LEASE_MS);
    await bert.settle();
    await failReading();
    await anna.commitLeased(id, { n: 2 }, fence);
    await bert.commitLeased(id, { m: 3 }, (await next).fence);
    expect(await bert.values(id)).toEqual({ n: 2, m: 3 });
  });
});

describe("a lease", () => {
  test("is given back where more calls wait than a connection may have", async () => {
    const other = newId();
    await bert.create(other, { n: 1 });
    await bert.lease(other, LEASE_MS);
    const frames = new FrameWriter();
    for (let number = 1; number <= 66_000; number++) frames.push(1_000_000 + number, OPERATIONS.touch.number, other, 0);
    anna.sendBytes(frames.take());
    expect(await codeOf(anna.call("touch", other, 0))).toBe("ERR_OVERLOADED");
    await anna.call("release", id, fence);
    await bert.lease(id, LEASE_MS);
  });

  test("ends with its connection", async () => {
    await anna.close();
    await bert.lease(id, LEASE_MS);
  });

  test("that is given on the way out of a connection ends with it", async () => {
    const granted = bert.lease(id, LEASE_MS);
    await bert.settle();
    const carl = await lab.worker("carl");
    const next = carl.lease(id, LEASE_MS);
    await carl.settle();
    await Promise.all([bert.close(), codeOf(granted), anna.call("release", id, fence)]);
    await next;
  });
});

describe("transactions that wait for each other's session", () => {
  let other: string;

  beforeEach(async () => {
    other = newId();
    await bert.create(other, { n: 1 });
  });

  const held = (...fences: number[]): [number, number, number[]] => [LEASE_MS, 0, fences];

  test("the second to ask is refused at once and told of both, and the first goes on", async () => {
    const theirs = await bert.lease(other, LEASE_MS);
    const first = anna.call("lease", other, ...held(fence));
    await anna.settle();
    const second = bert.call("lease", id, ...held(theirs.fence));
    await expect(second).rejects.toMatchObject({ code: "ERR_DEADLOCK" });
    await expect(second).rejects.toThrow(new RegExp(`${other}.*${id}`));
    await bert.call("release", other, theirs.fence);
    expect((await first).fence).toBeGreaterThan(theirs.fence);
  });

  test.each<[string, (theirs: number) => Promise<unknown>]>([
    ["a commit", (theirs) => bert.commit(id, { n: 2 }, { options: { held: [theirs] } })],
    ["an end", (theirs) => bert.call("abandon", id, [theirs])],
    ["a touch", (theirs) => bert.call("touch", id, 0, [theirs])],
  ])("%s is refused too", async (_what, ask) => {
    const theirs = await bert.lease(other, LEASE_MS);
    const first = anna.commit(other, { n: 3 }, { options: { held: [fence] } });
    await anna.settle();
    expect(await codeOf(ask(theirs.fence))).toBe("ERR_DEADLOCK");
    await bert.call("release", other, theirs.fence);
    await first;
    expect(await anna.values(id)).toEqual({ n: 1 });
  });

  test("a ring of three is found, of one worker too", async () => {
    const third = newId();
    await anna.create(third, { n: 1 });
    const [b, c] = [await anna.lease(other, LEASE_MS), await anna.lease(third, LEASE_MS)];
    const first = anna.call("lease", other, ...held(fence));
    const second = anna.call("lease", third, ...held(b.fence));
    await anna.settle();
    const last = anna.call("lease", id, ...held(c.fence));
    await expect(last).rejects.toThrow(new RegExp(`${third}.*${id}.*${other}.*${third}`));
    await anna.call("release", third, c.fence);
    await second;
    await anna.call("release", other, b.fence);
    await first;
  });

  test("one that asks for what it holds itself is refused", async () => {
    expect(await codeOf(anna.call("lease", id, ...held(fence)))).toBe("ERR_DEADLOCK");
  });

  test("a ring over a transaction further out is found", async () => {
    const third = newId();
    await anna.create(third, { n: 1 });
    const inner = await anna.call("lease", third, ...held(fence));
    const theirs = await bert.lease(other, LEASE_MS);
    const first = anna.call("lease", other, ...held(fence, inner.fence));
    await anna.settle();
    expect(await codeOf(bert.call("lease", id, ...held(theirs.fence)))).toBe("ERR_DEADLOCK");
    await bert.call("release", other, theirs.fence);
    await first;
  });

  test("nobody is refused who is in no ring", async () => {
    const theirs = await bert.lease(other, LEASE_MS);
    const first = anna.call("lease", other, ...held(fence));
    await anna.settle();
    // The same worker, outside of its transaction; and with a claim to what is another's, or over.
    const waiting = [bert.lease(id), bert.call("lease", id, ...held(fence, 1, 2))];
    await bert.settle();
    await bert.call("release", other, theirs.fence);
    await anna.call("release", other, (await first).fence);
    await anna.call("release", id, fence);
    const [one, two] = waiting as [(typeof waiting)[0], (typeof waiting)[0]];
    await bert.call("release", id, (await one).fence);
    await two;
  });

  test("who no longer waits is in no ring any more", async () => {
    const theirs = await bert.lease(other, LEASE_MS);
    const gone = codeOf(anna.call("lease", other, ...held(fence)));
    await anna.settle();
    await anna.close();
    await gone;
    while ((await bert.status()).connections !== 1) await bert.settle();
    await bert.call("lease", id, ...held(theirs.fence));
  });
});

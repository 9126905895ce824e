// Every system call the daemon makes in the life of one session fails once, in every way that fits it. Whatever fails: each call is
// answered, with success or ERR_STORE; the file is whole; the same call sent again succeeds; nothing stays open or locked.

import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { native } from "../../../daemon/files/native.ts";
import type { DaemonOptions } from "../../../daemon/start.ts";
import { applyDelta, layoutOf, startupMs } from "../../../protocol/image/image.ts";
import { codeOf, Lab, newId } from "../../support/daemon/lab.ts";
import { countOpenFiles, isLockFree } from "../../support/daemon/left-behind.ts";
import { deltaOf, type RawWorker, valuesIn } from "../../support/daemon/raw-worker.ts";
import {
  asAnotherProgram,
  failure,
  intercept,
  letThrough,
  type SystemCall,
} from "../../support/daemon/system-calls.ts";

vi.mock("node:fs", async (original) =>
  (await import("../../support/daemon/system-calls.ts")).observed(await original<object>()),
);
vi.mock("node:fs/promises", async (original) =>
  (await import("../../support/daemon/system-calls.ts")).observed(await original<object>()),
);
vi.mock("../../../daemon/files/native.ts", async (original) => {
  const module = await original<typeof import("../../../daemon/files/native.ts")>();
  return {
    ...module,
    native: module.native && (await import("../../support/daemon/system-calls.ts")).observed(module.native),
  };
});

/** In which ways a call can fail. */
const WAYS: Readonly<Record<string, readonly string[]>> = {
  chmodSync: ["EPERM"],
  closeSync: ["EIO"],
  exchange: ["EIO", "ENOSPC"],
  fdatasync: ["EIO", "ENOSPC"],
  fstatSync: ["EIO"],
  fsync: ["EIO"],
  ftruncateSync: ["EIO"],
  futimesSync: ["EIO", "EACCES"],
  lstatSync: ["EACCES"],
  mkdirSync: ["ENOSPC", "EACCES"],
  openSync: ["EMFILE", "EACCES", "ENOSPC"],
  opendir: ["EMFILE", "EACCES"],
  readFileSync: ["EIO"],
  readSync: ["EIO"],
  readdirSync: ["EMFILE"],
  renameSync: ["ENOSPC", "EIO"],
  rmSync: ["EACCES"],
  statSync: ["EIO", "EACCES"],
  tryLock: ["ENOLCK"],
  unlinkSync: ["EACCES", "EIO"],
  unlock: ["EIO"],
  writeSync: ["ENOSPC", "EIO", "EDQUOT"],
};

const LATER_MS = 5_000;

const HANG_MS = 60_000;

/** What a process opens once and for all is no leak. */
beforeAll(async () => (await Life.begin({})).lab.close());

afterEach(() => {
  letThrough();
  vi.useRealTimers();
});

class Life {
  readonly lab: Lab;
  readonly anna: RawWorker;
  readonly bert: RawWorker;
  readonly prefix = "faults";
  readonly id = newId(this.prefix);
  readonly other = newId(this.prefix);
  failures = 0;

  private constructor(lab: Lab, anna: RawWorker, bert: RawWorker) {
    this.lab = lab;
    this.anna = anna;
    this.bert = bert;
  }

  static async begin(options: DaemonOptions): Promise<Life> {
    const lab = await Lab.open(options);
    return new Life(lab, await lab.worker("anna"), await lab.worker("bert"));
  }

  /** Calls once more where the system kept the first call from its work: a planted failure comes once. */
  async insist<T>(call: () => Promise<T>): Promise<T> {
    const before = this.filesNow();
    try {
      return await call();
    } catch (error) {
      expect(await codeOf(Promise.reject(error)), String(error)).toBe("ERR_STORE");
      this.failures += 1;
      this.#expectWhole(before);
      return call();
    }
  }

  /** Another program changes the session, and has been at it for a while. */
  save(changes: Readonly<Record<string, unknown>>, ageMs = 0): void {
    const plan = { delta: deltaOf(changes), nowMs: Date.now() - ageMs };
    asAnotherProgram(() => this.lab.saveAsGambas(this.id, applyDelta(this.lab.image(this.id), plan)));
  }

  async expectGoesOn(): Promise<void> {
    const next = newId();
    await this.bert.create(next, { n: 0 });
    await this.bert.commit(next, { n: 1 });
    expect(this.values(next)).toEqual({ n: 1 });
    if ((await this.bert.values(this.id)) === undefined) return;
    await this.bert.commit(this.id, { last: true });
    expect(this.values()).toMatchObject({ last: true });
  }

  values(id = this.id): Record<string, unknown> {
    return asAnotherProgram(() => this.lab.values(id));
  }

  hasFile(id: string): boolean {
    return asAnotherProgram(() => this.lab.hasFile(id));
  }

  /** The entries of both sessions, undefined for one that is not there. */
  filesNow(): (Record<string, unknown> | undefined)[] {
    return [this.id, this.other].map((id) => (this.hasFile(id) ? this.values(id) : undefined));
  }

  /** A call that failed has left each file readable, and has changed nothing but what it was to change. */
  #expectWhole(before: readonly (Record<string, unknown> | undefined)[]): void {
    for (const [place, id] of [this.id, this.other].entries()) {
      if (!this.hasFile(id)) continue;
      const image = asAnotherProgram(() => this.lab.image(id));
      layoutOf(image);
      expect(Object.keys(valuesIn(image))).toEqual(expect.arrayContaining(Object.keys(before[place] ?? {})));
    }
  }
}

type Step = (life: Life) => Promise<void>;

/** What happens to a session, in this order. Each leaves what the next one needs, and has looked at the file itself. */
const STEPS: Readonly<Record<string, Step>> = {
  async "a creation"(life) {
    await creating(life, life.id, { n: 0 });
    expect(life.values()).toEqual({ n: 0 });
  },
  async "a first commit"(life) {
    await life.insist(() => life.anna.commit(life.id, { n: 1 }));
    expect(life.values()).toEqual({ n: 1 });
  },
  async "a large commit that is given up, and a small one after it"(life) {
    await life.anna.commit(life.id, { long: "x".repeat(5000) }).catch(() => undefined);
    const { size } = await life.insist(() => life.bert.commit(life.id, { n: 2 }));
    expect(asAnotherProgram(() => life.lab.image(life.id))).toHaveLength(size);
    expect(life.values()).toMatchObject({ n: 2 });
  },
  async "a second commit"(life) {
    await life.insist(() => life.anna.commit(life.id, { n: 2, long: "x".repeat(1000) }));
    await life.insist(() => life.bert.commit(life.id, { n: 3 }));
    expect(life.values()).toEqual({ n: 3, long: "x".repeat(1000) });
  },
  async "a commit that finds a save of another program"(life) {
    life.save({ n: 4, theirs: 1 });
    await life.insist(() => life.anna.commit(life.id, { n: 5 }));
    expect(life.values()).toMatchObject({ n: 5, theirs: 1 });
  },
  async "a read of what another program saved"(life) {
    life.save({ n: 6, theirs: 2 });
    expect(await life.insist(() => life.bert.values(life.id))).toMatchObject({ n: 6, theirs: 2 });
  },
  async "a touch of what another program saved"(life) {
    life.save({ n: 7 }, LATER_MS);
    const before = asAnotherProgram(() => startupMs(life.lab.image(life.id)));
    await life.insist(() => life.anna.call("touch", life.id, 0));
    expect(asAnotherProgram(() => startupMs(life.lab.image(life.id)))).toBeGreaterThan(before);
    expect(life.values()).toMatchObject({ n: 7, theirs: 2 });
  },
  async "a transaction"(life) {
    await life.insist(async () => {
      const { fence } = await life.anna.lease(life.id);
      try {
        await life.anna.commitLeased(life.id, { n: 8 }, fence);
      } finally {
        await life.anna.call("release", life.id, fence);
      }
    });
    expect(life.values()).toMatchObject({ n: 8, theirs: 2 });
  },
  async "a touch of what we wrote"(life) {
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + LATER_MS });
    await life.insist(() => life.anna.call("touch", life.id, 0));
    expect(asAnotherProgram(() => startupMs(life.lab.image(life.id)))).toBe(Date.now());
    expect(life.values()).toMatchObject({ n: 8, theirs: 2 });
    vi.useRealTimers();
  },
  async "a unique creation"(life) {
    await creating(life, life.other, { m: 0 }, true);
    expect(life.values(life.other)).toEqual({ m: 0 });
  },
  async "an end"(life) {
    await life.insist(() => life.anna.abandon(life.other));
    expect(life.hasFile(life.other)).toBe(false);
    letThrough();
    expect(await codeOf(life.anna.create(life.other, {}))).toBe("ERR_ID_TAKEN");
  },
};

/** A session of its own goes on under another id. Needs nothing that was before. */
async function goingOn(life: Life): Promise<void> {
  const [id, next] = [newId(life.prefix), newId(life.prefix)];
  await creating(life, id, { n: 8 });
  await life.insist(async () => {
    // It may have failed when that was visible.
    const hasGone = life.failures > 0 && life.hasFile(next);
    expect([life.hasFile(id), life.hasFile(next)]).toEqual([!hasGone, hasGone]);
    const call = life.anna.commit(id, { n: 9 }, { options: { successor: next } });
    if (hasGone) expect(await codeOf(call)).toBe("ERR_SESSION_GONE");
    else await call;
  });
  expect([life.hasFile(id), life.values(next)]).toEqual([false, { n: 9 }]);
  letThrough();
  expect(await codeOf(life.anna.create(id, {}))).toBe("ERR_ID_TAKEN");
  await life.bert.commit(next, { n: 10 });
  expect(life.values(next)).toEqual({ n: 10 });
}

/** A creation that failed may have got as far as to create. */
async function creating(life: Life, id: string, values: Record<string, unknown>, unique = false): Promise<void> {
  await life.insist(async () => {
    const mayBeThere = life.failures > 0 && life.hasFile(id);
    const call = life.anna.create(id, values, { unique });
    if (mayBeThere) expect(await codeOf(call)).toBe("ERR_ID_TAKEN");
    else await call;
  });
}

/** One way for each call, all of them in turn; a write ends half way as well. */
function waysOf(name: string, at: number): string[] {
  const ways = WAYS[name] ?? [];
  const way = ways[at % ways.length] ?? "EIO";
  return name === "writeSync" ? [way, "short"] : [way];
}

/** Decides which calls of the daemon fail during one step, and in which way. */
type Plant = (call: SystemCall) => string | undefined;

/** Runs the last of the steps with failures, and a commit after it. Throws when anything is not as it should be then. */
async function live(options: DaemonOptions, all: readonly Step[], plant: Plant): Promise<void> {
  const openBefore = countOpenFiles();
  const life = await Life.begin(options);
  try {
    for (const step of all.slice(0, -1)) await step(life);
    interceptWith(plant);
    await all.at(-1)?.(life);
    letThrough();
    for (const id of [life.id, life.other]) expect(isLockFree(native, life.lab.path(id)), "unlocked").toBe(true);
    await life.expectGoesOn();
    expect((await life.anna.status()).errors).not.toHaveProperty("ERR_INTERNAL");
  } finally {
    letThrough();
    vi.useRealTimers();
    await life.lab.close();
  }
  expect(countOpenFiles(), "open files").toBeLessThanOrEqual(openBefore);
}

function interceptWith(plant: Plant): void {
  let cutShort: string | undefined;
  intercept((call) => {
    const isRest = call.name === "writeSync" && call.path === cutShort;
    const way = isRest ? "ENOSPC" : plant(call);
    if (call.name === "writeSync") cutShort = way === "short" ? call.path : undefined;
    if (way === undefined || way === "short") return way ?? "do";
    return failure(way, call);
  });
}

/** What went wrong, an exception that would have ended the daemon included; undefined when nothing did. */
async function problemOf(life: Promise<void>): Promise<string | undefined> {
  const listeners = process.listeners("uncaughtException");
  process.removeAllListeners("uncaughtException");
  const died = new Promise<never>((_, reject) => {
    process.once("uncaughtException", (error) => reject(new Error(`the daemon would have died: ${error.stack}`)));
  });
  const hung = hang();
  try {
    await Promise.race([life, died, hung.promise]);
    return undefined;
  } catch (error) {
    return String(error);
  } finally {
    hung.cancel();
    process.removeAllListeners("uncaughtException");
    for (const listener of listeners) process.on("uncaughtException", listener);
  }
}

/** Rejects when a life has taken longer than it does on any machine, so that the failed call it hangs after is named. */
function hang(): { readonly promise: Promise<never>; readonly cancel: () => void } {
  let timer: NodeJS.Timeout | undefined;
  const promise = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error("HANG")), HANG_MS);
  });
  return { promise, cancel: () => clearTimeout(timer) };
}

const MODES: Readonly<Record<string, DaemonOptions>> = {
  'durability "file"': {},
  'durability "fsync"': { durability: "fsync" },
  "nothing kept open or in memory": { openSessions: 1, cacheBytes: 1 },
};

/** Lets each system call of the last step fail, one after the other. */
async function problemsOf(options: DaemonOptions, steps: readonly Step[]): Promise<string[]> {
  const calls: SystemCall[] = [];
  await live(options, steps, (call) => void calls.push(call));
  const problems: string[] = [];
  for (const [at, { name, path }] of calls.entries()) {
    for (const way of waysOf(name, at)) {
      let count = 0;
      const problem = await problemOf(live(options, steps, () => (count++ === at ? way : undefined)));
      if (problem !== undefined) problems.push(`${way} of ${name} ${path}, call ${at} of ${calls.length}: ${problem}`);
    }
  }
  return problems;
}

describe.each(Object.entries(MODES))("%s: whichever system call fails in", (_, options) => {
  test.each(Object.keys(STEPS).map((name, place) => [name, place] as const))("%s", async (_, place) => {
    expect(await problemsOf(options, Object.values(STEPS).slice(0, place + 1))).toEqual([]);
  });
});

test("whichever system call fails when a session goes on under another id, it has one of them", async () => {
  expect(await problemsOf({ durability: "fsync" }, [goingOn])).toEqual([]);
});

describe("on a full disk", () => {
  let lab: Lab;
  let worker: RawWorker;

  beforeEach(async () => {
    lab = await Lab.open();
    worker = await lab.worker();
  });

  afterEach(async () => {
    letThrough();
    await lab.close();
  });

  function fill(isFull: (call: SystemCall) => boolean): void {
    intercept((call) => (isFull(call) ? failure("ENOSPC", call) : "do"));
  }

  test.each([
    ["written", ({ name }: SystemCall) => name === "writeSync"],
    ["journaled", ({ name, path }: SystemCall) => name === "writeSync" && path.includes("sessiond.journal")],
    ["named", ({ name }: SystemCall) => name === "renameSync"],
  ])("a session that cannot be %s leaves neither file, nor lock, nor twin", async (_, isFull) => {
    fill(isFull);
    for (let count = 0; count < 10; count++) expect(await codeOf(worker.create(newId(), { n: 0 }))).toBe("ERR_STORE");
    letThrough();
    expect(readdirSync(join(lab.root, "session"))).toEqual([]);
    expect(readdirSync(join(lab.root, "sessiond.twins"))).toEqual([]);
  });

  test("what is refused for want of room in the journal leaves nothing there", async () => {
    const id = newId();
    await worker.create(id, { n: 0 });
    const journal = join(lab.root, "sessiond.journal");
    const { size } = statSync(journal);
    fill(({ name, path }) => name === "writeSync" && path.includes("sessiond.journal"));
    for (let n = 1; n <= 50; n++) expect(await codeOf(worker.commit(id, { n }))).toBe("ERR_STORE");
    letThrough();
    await worker.commit(id, { n: -1 });
    // One commit has some 150 bytes.
    expect(statSync(journal).size - size).toBeLessThan(500);
  });

  test("a session may be ended, and is not brought back by the next daemon", async () => {
    const id = newId();
    await worker.create(id, { n: 0 });
    const image = lab.image(id);
    // The journal has no room as long as the session is there.
    fill(({ name, path }) => name === "writeSync" && path.includes("sessiond.journal") && lab.hasFile(id));
    await worker.abandon(id);
    letThrough();
    expect(lab.hasFile(id)).toBe(false);
    await lab.stop();
    await lab.start();
    lab.saveAsGambas(id, image);
    expect(await (await lab.worker()).values(id)).toBeUndefined();
  });
});

describe("a session that cannot be ended now", () => {
  const refusesToUnlink = (call: SystemCall): string | undefined => (call.name === "unlinkSync" ? "EACCES" : undefined);

  test("takes no commit that would be lost with it: it has ended as soon as that can be done", async () => {
    const life = await Life.begin({});
    try {
      await life.anna.create(life.id, { n: 0 });
      interceptWith(refusesToUnlink);
      const [ended, committed] = await Promise.all([
        codeOf(life.anna.abandon(life.id)),
        codeOf(life.anna.commit(life.id, { n: 1 })),
      ]);
      expect(ended).toBe("ERR_STORE");
      expect(["ERR_STORE", "ERR_SESSION_GONE"]).toContain(committed);
      letThrough();
      expect(await codeOf(life.bert.commit(life.id, { n: 2 }))).toBe("ERR_SESSION_GONE");
      expect(await life.bert.values(life.id)).toBeUndefined();
      expect(life.hasFile(life.id)).toBe(false);
    } finally {
      letThrough();
      await life.lab.close();
    }
  });

  test("keeps what was committed when the journal could not tell of the end", async () => {
    const life = await Life.begin({});
    try {
      await life.anna.create(life.id, { n: 0 });
      interceptWith((call) => (call.path.includes("journal") && call.name === "writeSync" ? "EIO" : undefined));
      expect(await codeOf(life.anna.abandon(life.id))).toBe("ERR_STORE");
      letThrough();
      await life.bert.commit(life.id, { n: 2 }).catch(() => undefined);
      const left = await life.bert.values(life.id);
      // Room was made for the record by removing the file; or it was not, and nothing has ended.
      expect([undefined, JSON.stringify({ n: 2 })]).toContain(left && JSON.stringify(left));
      expect(life.hasFile(life.id)).toBe(left !== undefined);
    } finally {
      letThrough();
      await life.lab.close();
    }
  });
});

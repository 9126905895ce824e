// The daemon is cut off before each of its system calls, and in the middle of each write: whatever had been done by then is on the disk,
// the rest never happens. Each time the next daemon, and Gambas, must find the session as it was before or as it was to become, whole.

import { existsSync, fstatSync, statSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import { Journal } from "../../../daemon/once/once.ts";
import type { DaemonOptions } from "../../../daemon/start.ts";
import { FileRecovery } from "../../../daemon/store/gambas-file/recovery.ts";
import { layoutOf } from "../../../protocol/image/image.ts";
import { codeOf, Lab, newId } from "../../support/daemon/lab.ts";
import { type RawWorker, valuesIn, valuesOf } from "../../support/daemon/raw-worker.ts";
import {
  asAnotherProgram,
  CHANGES,
  failure,
  intercept,
  letThrough,
  type SystemCall,
} from "../../support/daemon/system-calls.ts";
import { describeGambas, GambasHouse, stampedNow } from "../../support/gambas/gambas.ts";

vi.mock("node:fs", async (original) =>
  (await import("../../support/daemon/system-calls.ts")).observed(await original<object>()),
);
vi.mock("../../../daemon/files/native.ts", async (original) => {
  const module = await original<typeof import("../../../daemon/files/native.ts")>();
  return {
    ...module,
    native: module.native && (await import("../../support/daemon/system-calls.ts")).observed(module.native),
  };
});

type Values = Record<string, unknown>;

interface Write {
  readonly prepare: (lab: Lab, worker: RawWorker, id: string) => Promise<void>;
  /** Sent before the crash, and again after it. */
  readonly send: (worker: RawWorker, id: string) => Promise<unknown>;
  readonly before: Values | undefined;
  readonly after: Values | undefined;
  /** What may be there until the next daemon starts, which puts it right. */
  readonly meanwhile?: Values;
}

const LONG = "x".repeat(3000);

const WRITES: Readonly<Record<string, Write>> = {
  "a creation": {
    prepare: async () => undefined,
    send: (worker, id) => worker.commit(id, { n: 5 }, { sequence: 10, options: { create: true } }),
    before: undefined,
    after: { n: 5 },
  },
  "a first commit": {
    prepare: (_, worker, id) => commits(worker, id, []),
    send: (worker, id) => worker.commit(id, { n: 5 }, { sequence: 10 }),
    before: { n: 0 },
    after: { n: 5 },
  },
  "a commit for which there is a twin": {
    prepare: (_, worker, id) => commits(worker, id, [{ n: 1, long: LONG }, { long: undefined }]),
    send: (worker, id) => worker.commit(id, { n: 5 }, { sequence: 10 }),
    before: { n: 1 },
    after: { n: 5 },
  },
  "a commit of much": {
    prepare: (_, worker, id) => commits(worker, id, [{ n: 1 }, { n: 2 }]),
    send: (worker, id) => worker.commit(id, { n: 5, long: LONG }, { sequence: 10 }),
    before: { n: 2 },
    after: { n: 5, long: LONG },
  },
  "a commit that finds a save of another program": {
    prepare: async (lab, worker, id) => {
      await commits(worker, id, [{ n: 1 }, { n: 2 }]);
      lab.saveAsGambas(id, lab.changed(lab.image(id), { theirs: 1 }));
    },
    send: (worker, id) => worker.commit(id, { n: 5 }, { sequence: 10 }),
    before: { n: 2, theirs: 1 },
    after: { n: 5, theirs: 1 },
    // The save lies aside, between two exchanges.
    meanwhile: { n: 5 },
  },
  "a touch": {
    prepare: async (lab, _, id) => lab.saveAsGambas(id, lab.newImage({ n: 0 }, 86_400, Date.now() - 5_000)),
    send: (worker, id) => worker.call("touch", id, 0),
    before: { n: 0 },
    after: { n: 0 },
  },
  "an end": {
    prepare: (_, worker, id) => commits(worker, id, [{ n: 1 }, { n: 2 }]),
    send: (worker, id) => worker.abandon(id),
    before: { n: 2 },
    after: undefined,
  },
};

const KEEPS_SIZE: Write = {
  prepare: (_, worker, id) => commits(worker, id, [{ n: 1 }, { n: 2 }]),
  send: (worker, id) => worker.commit(id, { n: 5 }, { sequence: 10 }),
  before: { n: 2 },
  after: { n: 5 },
};

async function commits(worker: RawWorker, id: string, changes: readonly Values[]): Promise<void> {
  await worker.create(id, { n: 0 });
  for (const change of changes) await worker.commit(id, change);
}

const SUCCESSION: Pick<Write, "prepare" | "send"> = {
  prepare: (_, worker, id) => commits(worker, id, [{ n: 1 }, { n: 2 }]),
  send: (worker, id) => worker.commit(id, { n: 5 }, { sequence: 10, options: { successor: successorOf(id) } }),
};

/** Another id of the same prefix. */
function successorOf(id: string): string {
  return `${id.slice(0, -24)}${"F".repeat(24)}`;
}

/** Every session file a crash has left, by its contents without the stamp. */
const found = new Map<string, Buffer>();

afterEach(letThrough);

class Crash {
  readonly lab: Lab;
  readonly id = newId("crash");
  #anna: RawWorker;

  private constructor(lab: Lab, anna: RawWorker) {
    this.lab = lab;
    this.#anna = anna;
  }

  static async prepare(write: Pick<Write, "prepare">, options: DaemonOptions): Promise<Crash> {
    const lab = await Lab.open(options);
    const crash = new Crash(lab, await lab.worker("anna"));
    await write.prepare(lab, await lab.worker("preparer"), crash.id);
    return crash;
  }

  /** All calls of the write that change anything, when nothing keeps it from them. */
  async record(write: Pick<Write, "send">): Promise<Step[]> {
    const calls: Step[] = [];
    intercept((call) => {
      if (CHANGES.has(call.name)) calls.push({ ...call, isInPlace: this.#isInPlace(call) });
      return "do";
    });
    await write.send(this.#anna, this.id);
    letThrough();
    return calls;
  }

  /** Whether a call writes to the very file that has the session's name now. */
  #isInPlace({ name, args }: SystemCall): boolean {
    return asAnotherProgram(() => {
      if (name !== "writeSync" || !this.lab.hasFile(this.id)) return false;
      return fstatSync(Number(args[0])).ino === statSync(this.lab.path(this.id)).ino;
    });
  }

  /** Lets the write go on for so many changes and then no further; nothing the daemon does afterwards happens. */
  async at(write: Pick<Write, "send">, place: number, isHalfWay: boolean): Promise<void> {
    let count = 0;
    intercept((call) => {
      if (!CHANGES.has(call.name) || (call.name === "openSync" && count > place)) return "do";
      count += 1;
      if (count <= place) return "do";
      return isHalfWay && count === place + 1 && call.name === "writeSync" ? "short" : failure("EIO", call);
    });
    await write.send(this.#anna, this.id).catch(() => undefined);
    await this.lab.stop();
    letThrough();
  }

  /** What the file holds: `undefined` when there is none. It must be whole. */
  look(): Values | undefined {
    if (!this.lab.hasFile(this.id)) return undefined;
    const image = this.lab.image(this.id);
    layoutOf(image);
    found.set(image.toString("hex", 8), image);
    return valuesIn(image);
  }

  /** Sends the write again, as its worker does; between the two another worker writes as well. */
  async expectOnce(write: Write, left: Values | undefined): Promise<void> {
    const [anna, bert] = [await this.lab.worker("anna"), await this.lab.worker("bert")];
    if (write.after === undefined) {
      await anna.abandon(this.id);
      expect(await bert.values(this.id)).toBeUndefined();
      expect(await codeOf(bert.create(this.id, {}))).toBe("ERR_ID_TAKEN");
      return;
    }
    const wasApplied = left?.n === write.after.n;
    if (left !== undefined) await bert.commit(this.id, { n: 6 });
    await write.send(anna, this.id);
    const isSet = write.after !== write.before && "n" in write.after && write.after.n === 5;
    expect(await bert.values(this.id)).toMatchObject({ n: wasApplied || !isSet ? 6 : 5 });
    await bert.commit(this.id, { n: 7 });
    await write.send(anna, this.id);
    expect(await bert.values(this.id)).toMatchObject({ n: 7 });
  }
}

interface Step extends Pick<SystemCall, "name" | "path"> {
  readonly isInPlace: boolean;
}

const THE_END: Step = { name: "the end", path: "", isInPlace: false };

/** Before each call, in the middle of each that writes aside, and after the last one. No kill comes in the middle of a write within one page. */
function* crashesWithin(
  calls: readonly Step[],
): Generator<{ readonly place: number; readonly isHalfWay: boolean; readonly where: string }> {
  for (const [place, { name, path, isInPlace }] of [...calls, THE_END].entries()) {
    for (const isHalfWay of name === "writeSync" && !isInPlace ? [false, true] : [false])
      yield { place, isHalfWay, where: `${isHalfWay ? "in the middle of" : "before"} call ${place}, ${name} ${path}` };
  }
}

/** Cuts the daemon off at each place of a write, and looks what is left and what becomes of it. */
async function crashEverywhere(write: Write, durability: "file" | "fsync"): Promise<readonly Step[]> {
  const options = { durability };
  const rehearsal = await Crash.prepare(write, options);
  const calls = await rehearsal.record(write);
  await rehearsal.lab.close();
  expect(calls.length).toBeGreaterThan(1);
  for (const { place, isHalfWay, where } of crashesWithin(calls)) {
    const crash = await Crash.prepare(write, options);
    try {
      await crash.at(write, place, isHalfWay);
      const left = crash.look();
      expect([write.before, write.after, write.meanwhile], where).toContainEqual(left);
      await crash.lab.start();
      const read = valuesOf(await (await crash.lab.worker("reader")).open(crash.id));
      expect([write.before, write.after], where).toContainEqual(read);
      const isEnded = write.after === undefined && read === undefined;
      const isPutRight = write.meanwhile !== undefined && !("theirs" in (left ?? {}));
      if (!isEnded && !isPutRight) expect(read, where).toEqual(left);
      await crash.expectOnce(write, read);
    } finally {
      await crash.lab.close();
    }
  }
  return calls;
}

describe.each<["file" | "fsync"]>([["file"], ["fsync"]])('with durability "%s", a crash within', (durability) => {
  test.each(Object.entries(WRITES))("%s leaves the old or the new, and the retry happens once", async (_, write) => {
    await crashEverywhere(write, durability);
  });

  test("a commit that gives a session another id leaves one of the two, and the retry happens once", async () => {
    const rehearsal = await Crash.prepare(SUCCESSION, { durability });
    const calls = await rehearsal.record(SUCCESSION);
    await rehearsal.lab.close();
    for (const { place, isHalfWay, where } of crashesWithin(calls)) {
      const crash = await Crash.prepare(SUCCESSION, { durability });
      const { lab, id } = crash;
      const next = successorOf(id);
      const [before, lockOf] = [lab.image(id), (one: string) => existsSync(`${lab.path(one)}.lock`)];
      await crash.at(SUCCESSION, place, isHalfWay);
      await lab.start();
      const has = { old: lab.hasFile(id), next: lab.hasFile(next) };
      expect(has.old, where).not.toBe(has.next);
      const [anna, bert] = [await lab.worker("anna"), await lab.worker("bert")];
      expect([await bert.values(id), await bert.values(next)], where).toEqual([
        has.old ? { n: 2 } : undefined,
        has.next ? { n: 5 } : undefined,
      ]);
      await bert.commit(has.old ? id : next, { m: 6, ...(has.next ? { n: 7 } : {}) });
      for (let count = 0; count < 2; count++) await SUCCESSION.send(anna, id);
      expect(await bert.values(next), where).toEqual({ n: has.next ? 7 : 5, m: 6 });
      lab.saveAsGambas(id, before);
      expect([await bert.values(id), lab.hasFile(id), lockOf(id)], where).toEqual([undefined, false, false]);
      await lab.close();
    }
  });
});

describe("a commit that keeps the size", () => {
  test.each([
    ["file", true],
    ["fsync", false],
  ] as const)('is written in place with durability "%s": %s', async (durability, isInPlace) => {
    const calls = await crashEverywhere(KEEPS_SIZE, durability);
    expect(calls.some((call) => call.isInPlace)).toBe(isInPlace);
  });

  test("would be lost or done twice if the journal did not have its checksum: so that would be found", async () => {
    const { wasPublished } = FileRecovery.prototype;
    vi.spyOn(FileRecovery.prototype, "wasPublished").mockImplementation(function (this: FileRecovery, attempt) {
      return wasPublished.call(this, { ...attempt, checksum: undefined });
    });
    await expect(crashEverywhere(KEEPS_SIZE, "file")).rejects.toThrow("{ n: 5 }");
    vi.restoreAllMocks();
  });
});

test("a session stays whose new one was taken back, when a kill comes before the journal says so", async () => {
  const [lab, id] = [await Lab.open(), newId("crash")];
  const next = successorOf(id);
  await (await lab.worker()).create(id, { n: 1 });
  await lab.stop();
  const journal = new Journal(join(lab.root, "sessiond.journal"), [], () => []);
  const revision = { ino: 1, size: 100, mtimeMs: 1 };
  journal.noteCommit({ id: next, client: "anna", sequence: 10 }, { revision, origin: id });
  journal.append();
  journal.close();
  await lab.start();
  const anna = await lab.worker("anna");
  expect([await anna.values(id), await anna.values(next)]).toEqual([{ n: 1 }, undefined]);
  for (let count = 0; count < 2; count++) await SUCCESSION.send(anna, id);
  expect([await anna.values(id), await anna.values(next)]).toEqual([undefined, { n: 5 }]);
  await lab.close();
});

test.each([
  [
    "the contents are on the disk before the name, and the name before the answer",
    (worker: RawWorker, id: string) => worker.commit(id, { n: 2 }),
    ["futimesSync", "fdatasync", "exchange", "fsync", "answer"],
  ],
  [
    "the end of a session is on the disk before the answer",
    (worker: RawWorker, id: string) => worker.abandon(id),
    ["unlinkSync", "unlinkSync", "unlinkSync", "fsync", "answer"],
  ],
])("with fsync %s", async (_, send, order) => {
  const lab = await Lab.open({ durability: "fsync" });
  const worker = await lab.worker();
  const id = newId();
  await commits(worker, id, [{ n: 1 }]);
  const calls: string[] = [];
  intercept(({ name }) => {
    calls.push(name);
    return "do";
  });
  await send(worker, id);
  calls.push("answer");
  letThrough();
  expect(calls.filter((name) => order.includes(name))).toEqual(order);
  await lab.close();
});

describeGambas("what crashes left", () => {
  let house: GambasHouse;
  beforeAll(async () => {
    house = await GambasHouse.open();
  });
  afterAll(() => house.close());

  test("is whole for Gambas, every file of them", async () => {
    expect(found.size).toBeGreaterThan(0);
    for (const image of found.values()) {
      const id = newId("10.0.0.1");
      house.writeSession(id, stampedNow(image));
      const [dump] = await house.oracle([["dump"]], { cookie: id });
      const entries = (dump?.entries ?? []).filter(([key]) => key !== "_");
      const values = entries.map(([key, typed]) => [key, "value" in typed ? typed.value : typed]);
      expect(Object.fromEntries(values)).toEqual(valuesIn(image));
    }
  });
});

// Every system call of a daemon's start and of its end fails once: it starts or says why not, the next one starts, and nothing stays open.

import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, expect, test, vi } from "vitest";
import { Journal, replayJournal } from "../../../daemon/once/once.ts";
import { type Daemon, startDaemon } from "../../../daemon/start.ts";
import { SessionError } from "../../../protocol/errors.ts";
import { codeOf, newId } from "../../support/daemon/lab.ts";
import { countOpenFiles } from "../../support/daemon/left-behind.ts";
import { RawWorker, valuesOf } from "../../support/daemon/raw-worker.ts";
import { failure, intercept, letThrough, type SystemCall } from "../../support/daemon/system-calls.ts";
import { freshRoot, removeRoot } from "../../support/processes.ts";

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

afterEach(letThrough);

function start(root: string): Promise<Daemon> {
  return startDaemon({ root, logLevel: "silent", sweepMs: 0 });
}

function recorded(into: SystemCall[]): void {
  intercept((call) => {
    into.push(call);
    return "do";
  });
}

function failAt(place: number): () => SystemCall | undefined {
  let count = 0;
  let failed: SystemCall | undefined;
  intercept((call) => {
    if (count++ !== place) return "do";
    failed = call;
    return failure("EIO", call);
  });
  return () => failed;
}

/** Tries how the file system rounds times, over and over. */
function isProbe({ name, path }: SystemCall): boolean {
  return path.endsWith("/modification-time") && (name === "futimesSync" || name === "fstatSync");
}

/** The places of the calls, of the many alike only the first. */
function placesOf(calls: readonly SystemCall[]): number[] {
  const firstProbe = calls.findIndex(isProbe);
  return calls.flatMap((call, place) => (isProbe(call) && place > firstProbe + 2 ? [] : [place]));
}

test("a start that fails says why, and the next one succeeds with everything that was there", async () => {
  const root = freshRoot();
  const id = newId();
  const first = await start(root);
  const worker = await RawWorker.connect(first.socket);
  await worker.create(id, { n: 1 });
  await worker.close();
  await first.stop();
  const calls: SystemCall[] = [];
  recorded(calls);
  await (await start(root)).stop();
  letThrough();
  const problems: string[] = [];
  for (const place of placesOf(calls)) {
    const openBefore = countOpenFiles();
    const failed = failAt(place);
    const outcome = await start(root).catch((error: unknown) => error);
    letThrough();
    const where = `${failed()?.name} ${failed()?.path}`;
    if (outcome instanceof Error && !(outcome instanceof SessionError)) problems.push(`${where}: ${outcome}`);
    const daemon = outcome instanceof Error ? await start(root) : (outcome as Daemon);
    const again = await RawWorker.connect(daemon.socket);
    expect(valuesOf(await again.open(id)), where).toEqual({ n: 1 });
    await again.close();
    await daemon.stop();
    if (countOpenFiles() > openBefore) problems.push(`${where}: ${countOpenFiles() - openBefore} files stay open`);
  }
  expect(problems).toEqual([]);
  await removeRoot(root);
});

const LAST_SEQUENCE = 50;

/** A root as a killed daemon leaves it, whose last commit, of number `LAST_SEQUENCE`, was that of 3 to session `id`. */
async function rootOfKilled(id: string, other: string): Promise<string> {
  const root = freshRoot();
  const daemon = await start(root);
  const worker = await RawWorker.connect(daemon.socket);
  await worker.create(other, { n: 0 });
  await worker.create(id, { n: 0 });
  for (const n of [1, 2]) await worker.commit(id, { n });
  await worker.commit(id, { n: 3 }, { sequence: LAST_SEQUENCE });
  // Of a daemon that was killed the journal is what it is now.
  const journal = readFileSync(join(root, "sessiond.journal"));
  await worker.close();
  await daemon.stop();
  writeFileSync(join(root, "sessiond.journal"), journal);
  return root;
}

test("where it cannot be told for want of memory or descriptors what became of the last commit, nothing is forgotten of it", async () => {
  const id = newId();
  const root = await rootOfKilled(id, newId());
  for (const code of ["ENOMEM", "EMFILE", "ENFILE"]) {
    intercept((call) => (call.name === "statSync" && call.path.endsWith(id) ? failure(code, call) : "do"));
    await expect(start(root), code).rejects.toMatchObject({
      code: "ERR_STORE",
      message: expect.stringContaining(code),
    });
  }
  letThrough();
  const daemon = await start(root);
  const worker = await RawWorker.connect(daemon.socket);
  await worker.commit(id, { n: 4 }, { sequence: LAST_SEQUENCE });
  expect(valuesOf(await worker.open(id))).toEqual({ n: 3 });
  await worker.close();
  await daemon.stop();
  await removeRoot(root);
});

test("a session that was committed last, and cannot be looked at, keeps no daemon from its start, nor others from theirs", async () => {
  const [id, other] = [newId(), newId()];
  const root = await rootOfKilled(id, other);
  intercept((call) => (call.name === "statSync" && call.path.endsWith(id) ? failure("EIO", call) : "do"));
  const second = await start(root);
  const again = await RawWorker.connect(second.socket);
  expect(valuesOf(await again.open(other))).toEqual({ n: 0 });
  letThrough();
  expect(valuesOf(await again.open(id))).toEqual({ n: 3 });
  await again.close();
  await second.stop();
  await removeRoot(root);
});

test("on a full disk a daemon starts, sessions can be read, and what the one before knew is not lost", async () => {
  const root = freshRoot();
  const [id, ended] = [newId(), newId()];
  const first = await start(root);
  const worker = await RawWorker.connect(first.socket);
  await worker.create(ended, { n: 0 });
  await worker.create(id, { n: 0 });
  await worker.commit(id, { n: 1 }, { sequence: 10 });
  await worker.abandon(ended);
  await worker.close();
  await first.stop();
  intercept((call) => (call.name === "writeSync" ? failure("ENOSPC", call) : "do"));
  const second = await start(root);
  const again = await RawWorker.connect(second.socket);
  expect(valuesOf(await again.open(id))).toEqual({ n: 1 });
  expect(await codeOf(again.commit(id, { n: 2 }))).toBe("ERR_STORE");
  expect(await codeOf(again.create(newId(), { n: 0 }))).toBe("ERR_STORE");
  // One that ends has no room to say so: the one after it knows what the first did all the same.
  await second.stop();
  const third = await start(root);
  letThrough();
  const last = await RawWorker.connect(third.socket);
  await last.commit(id, { n: 3 });
  expect(valuesOf(await last.open(id))).toEqual({ n: 3 });
  expect(await codeOf(last.create(ended, { n: 4 }))).toBe("ERR_ID_TAKEN");
  await last.commit(id, { n: 1 }, { sequence: 10 });
  expect(valuesOf(await last.open(id))).toEqual({ n: 3 });
  await last.close();
  await third.stop();
  const { commits, ended: told } = replayJournal(join(root, "sessiond.journal"));
  expect(commits.map(({ sequence }) => sequence)).toContain(10);
  expect([...told.keys()]).toEqual([ended]);
  await again.close();
  await removeRoot(root);
});

test("an end that fails somewhere still ends, and the next daemon starts", async () => {
  const root = freshRoot();
  const calls: SystemCall[] = [];
  const first = await start(root);
  recorded(calls);
  await first.stop();
  letThrough();
  const problems: string[] = [];
  for (const place of calls.keys()) {
    const openBefore = countOpenFiles();
    const daemon = await start(root);
    const failed = failAt(place);
    await daemon.stop().catch((error: unknown) => problems.push(`${failed()?.name} ${failed()?.path}: ${error}`));
    letThrough();
    await daemon.stopped;
    await (await start(root)).stop();
    if (countOpenFiles() > openBefore) problems.push(`${failed()?.name} ${failed()?.path}: files stay open`);
  }
  expect(problems).toEqual([]);
  await removeRoot(root);
});

test("a full journal whose successor cannot be begun is tried again, and loses nothing it told", () => {
  const root = freshRoot();
  const path = join(root, "sessiond.journal");
  const endedId = newId();
  const mark = (sequence: number): { id: string; client: string; sequence: number } => ({
    id: `${newId()}`,
    client: "c".repeat(60),
    sequence,
  });
  const revision = { ino: 1, size: 2, mtimeMs: 3 };
  for (let place = 0; place < 6; place++) {
    writeFileSync(path, "");
    const journal = new Journal(path, [], () => [[endedId, Date.now()]]);
    for (let sequence = 1; sequence <= 40_000; sequence++) journal.noteCommit(mark(sequence), { revision });
    journal.append();
    journal.noteCommit(mark(50_000), { revision });
    const failed = failAt(place);
    let isAppended = true;
    try {
      journal.append();
    } catch {
      isAppended = false;
    }
    letThrough();
    if (!isAppended) journal.append();
    journal.close();
    const { commits, ended } = replayJournal(path);
    const where = `${failed()?.name} ${failed()?.path}`;
    expect(new Set(commits.map(({ sequence }) => sequence)).size, where).toBe(40_001);
    expect([...ended.keys()], where).toEqual([endedId]);
  }
  return removeRoot(root);
});

test("a journal that lost its name and cannot get it back is tried again, and loses nothing it told", () => {
  const root = freshRoot();
  const path = join(root, "sessiond.journal");
  const calls: SystemCall[] = [];
  const ended = [newId(), newId()] as const;
  const live = (place: number): void => {
    const openBefore = countOpenFiles();
    writeFileSync(path, "");
    const journal = new Journal(path, [], () => []);
    journal.end(ended[0], Date.now(), () => undefined);
    rmSync(path);
    if (place < 0) recorded(calls);
    const failed = place < 0 ? () => undefined : failAt(place);
    const outcome = attempt(() => journal.keepName());
    letThrough();
    if (place >= 0) expect(outcome, failed()?.name).toBeInstanceOf(Error);
    journal.keepName();
    journal.end(ended[1], Date.now(), () => undefined);
    journal.close();
    expect([...replayJournal(path).ended.keys()], failed()?.name).toEqual(ended);
    expect(countOpenFiles(), failed()?.name).toBe(openBefore);
  };
  live(-1);
  expect(calls.length).toBeGreaterThan(4);
  for (const place of calls.keys()) live(place);
  return removeRoot(root);
});

function attempt(action: () => void): unknown {
  try {
    action();
    return undefined;
  } catch (error) {
    return error;
  }
}

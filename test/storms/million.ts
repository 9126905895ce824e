// Very many sessions: `node dist/test/storms/million.js [sessions]`, a million without an argument. Makes the files, a twentieth of them
// expired; starts a daemon; keeps it busy through one whole sweep. Prints the figures and ends with 1 if the sweep took more than 5 % of
// the daemon's time, or left or removed the wrong ones. Needs some 4 KB and one inode for each session in the temporary directory.

import { closeSync, mkdirSync, openSync, readdirSync, readFileSync, rmSync, writeSync } from "node:fs";
import { join } from "node:path";
import { Log } from "../../daemon/report/log.ts";
import { GambasFileStore } from "../../daemon/store/gambas-file/store.ts";
import { applyDelta, isExpired, newImage } from "../../protocol/image/image.ts";
import { makeSessionId } from "../../protocol/session-id.ts";
import { deltaOf, RawWorker } from "../support/daemon/raw-worker.ts";
import { freshRoot, killAndWait, removeRoot, startDaemonProcess } from "../support/processes.ts";

const TIMEOUT_SECONDS = 86_400;
/** Of the sessions, every twentieth is over already. */
const OVER_EVERY = 20;
const BUSY_SESSIONS = 64;
const BUSY_WIDTH = 16;
const MAX_SHARE = 0.05;
/** What /proc counts CPU time in. */
const TICK_SECONDS = 0.01;
const MB = 1024 * 1024;

const sessions = Number(process.argv[2] ?? 1_000_000);
const root = freshRoot();
const figures: Record<string, string | number> = { sessions };
process.once("SIGINT", () => process.exit(130));
process.once("exit", () => rmSync(root, { recursive: true, force: true }));
await run();
for (const [name, figure] of Object.entries(figures)) process.stdout.write(`  ${name.padEnd(34)} ${figure}\n`);

async function run(): Promise<void> {
  note("seconds to make the files", seconds(makeFiles));
  const sweepCpu = await cpuOfOneSweep();
  note("CPU seconds of one sweep, alone", sweepCpu);
  const beganMs = performance.now();
  const daemon = await startDaemonProcess(root, ["--sweep-ms", "1"]);
  const worker = await RawWorker.connect(join(root, "sessiond.sock"), "million");
  const first = await worker.status();
  note("ms from start to the first answer", performance.now() - beganMs);
  note("MB of memory after the start", (first.memoryBytes ?? 0) / MB);
  await sweepUnderLoad(worker, daemon.pid ?? 0, sweepCpu);
  await worker.close();
  await killAndWait(daemon.pid ?? 0);
  checkFiles();
  await removeRoot(root);
}

function note(name: string, figure: number): void {
  figures[name] = figure >= 100 ? Math.round(figure) : Number(figure.toPrecision(3));
}

function seconds(action: () => void): number {
  const beganMs = performance.now();
  action();
  return (performance.now() - beganMs) / 1000;
}

function makeFiles(): void {
  const folder = join(root, "session");
  mkdirSync(folder);
  const nowMs = Date.now();
  for (let count = 0; count < sessions; count++) {
    const ageMs = (count % OVER_EVERY === 0 ? TIMEOUT_SECONDS + 60 : (count * 7919) % (TIMEOUT_SECONDS / 2)) * 1000;
    const empty = newImage({ nowMs: nowMs - ageMs, timeoutSeconds: TIMEOUT_SECONDS });
    const image = applyDelta(empty, { delta: deltaOf({ user: `user ${count}`, visits: count }), nowMs: nowMs - ageMs });
    const fd = openSync(join(folder, idOf(count)), "wx", 0o600);
    writeSync(fd, image);
    closeSync(fd);
  }
}

function idOf(count: number): string {
  const random = Buffer.alloc(12);
  random.writeUInt32BE(count, 8);
  return makeSessionId("10.0.0.1", random);
}

/** What a sweep does, without its rests and without removing anything. */
async function cpuOfOneSweep(): Promise<number> {
  const store = new GambasFileStore({
    root,
    openSessions: 10,
    inPlace: true,
    gambas: "3.18",
    log: new Log("silent", ""),
  });
  const before = process.cpuUsage();
  for await (const id of store.ids()) {
    const header = store.header(id);
    if (header !== undefined) isExpired(header, Date.now());
  }
  const { user, system } = process.cpuUsage(before);
  store.close();
  return (user + system) / 1e6;
}

async function sweepUnderLoad(worker: RawWorker, pid: number, sweepCpu: number): Promise<void> {
  const beganMs = performance.now();
  const cpuBefore = cpuSeconds(pid);
  let isSwept = false;
  let commits = 0;
  let peakBytes = 0;
  const ids = Array.from({ length: BUSY_SESSIONS }, (_, count) => idOf(OVER_EVERY * count + 1));
  const keepBusy = async (lane: number): Promise<void> => {
    for (let turn = 0; !isSwept; turn++) {
      await worker.commit(ids[(lane + turn * BUSY_WIDTH) % ids.length] ?? "", { visits: turn });
      commits += 1;
    }
  };
  const watch = async (): Promise<void> => {
    while (!isSwept) {
      const { sessionsOnDisk = 0, memoryBytes = 0 } = await worker.status();
      peakBytes = Math.max(peakBytes, memoryBytes);
      isSwept = sessionsOnDisk > 0;
    }
  };
  await Promise.all([watch(), ...Array.from({ length: BUSY_WIDTH }, (_, lane) => keepBusy(lane))]);
  const [lastedSeconds, cpu] = [(performance.now() - beganMs) / 1000, cpuSeconds(pid) - cpuBefore];
  note("seconds of the sweep, daemon busy", lastedSeconds);
  note("commits meanwhile", commits);
  note("CPU seconds of the daemon meanwhile", cpu);
  note("MB of memory at most", peakBytes / MB);
  note("MB of memory after the sweep", ((await worker.status()).memoryBytes ?? 0) / MB);
  note("share of the sweep in CPU time, %", (100 * sweepCpu) / cpu);
  note("share of the sweep in all time, %", (100 * sweepCpu) / lastedSeconds);
  if (sweepCpu / cpu > MAX_SHARE) process.exitCode = 1;
}

function cpuSeconds(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8")
    .replace(/^.*\) /s, "")
    .split(" ");
  return TICK_SECONDS * (Number(fields[11]) + Number(fields[12]));
}

function checkFiles(): void {
  const left = readdirSync(join(root, "session")).filter((name) => !name.endsWith(".lock")).length;
  const expected = sessions - Math.ceil(sessions / OVER_EVERY);
  figures["expired ones removed"] = sessions - left;
  figures["sessions left"] = left;
  if (left !== expected) {
    figures["sessions that should be left"] = expected;
    process.exitCode = 1;
  }
}

// The fuzzer: `node dist/test/storms/fuzz.js [inputs] [--seed N]`, a million inputs without an argument. Half a per mille of them goes over
// the socket of a daemon as well. Ends with 1, and names the seed, on a crash, a hang, memory that was only announced, or a file made
// where none may be.

import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { fuzz } from "./fuzzing.ts";
import { fuzzDaemon } from "./fuzzing-daemon.ts";

const REPORT_EVERY = 1_000;
/** A thousand inputs take a fraction of a second; a hang takes for ever. */
const HANG_MS = 120_000;
const MAX_MEMORY_BYTES = 512 * 1024 * 1024;
const DAEMON_SHARE = 0.0005;

const { values, positionals } = parseArgs({ options: { seed: { type: "string" } }, allowPositionals: true });
const seed = Number(values.seed ?? Date.now() % 2 ** 32);
const inputs = Number(positionals[0] ?? 1_000_000);
if (process.send === undefined) await watchOver();
else await run();

/** The watchdog: a process that hangs cannot tell so itself. */
async function watchOver(): Promise<void> {
  process.stdout.write(`fuzzer, ${inputs} inputs, seed ${seed}\n`);
  const child = fork(fileURLToPath(import.meta.url), [String(inputs), "--seed", String(seed)]);
  let last = 0;
  let timer = setTimeout(() => hangs(child, last), HANG_MS);
  child.on("message", (number) => {
    last = Number(number);
    clearTimeout(timer);
    timer = setTimeout(() => hangs(child, last), HANG_MS);
  });
  const [code, signal] = await once(child, "exit");
  clearTimeout(timer);
  if (code === 0) return;
  process.stdout.write(`  ended with ${signal ?? code} after input ${last}; seed ${seed}\n`);
  process.exitCode = 1;
}

function hangs(child: ChildProcess, last: number): void {
  process.stdout.write(`  hangs within ${REPORT_EVERY} inputs after number ${last}; seed ${seed}\n`);
  child.kill("SIGKILL");
}

async function run(): Promise<void> {
  const beganMs = performance.now();
  let peakBytes = 0;
  const figures = fuzz(inputs, seed, (number) => {
    if (number % REPORT_EVERY !== 0) return;
    peakBytes = Math.max(peakBytes, process.memoryUsage.rss());
    process.send?.(number);
  });
  const seconds = (performance.now() - beganMs) / 1000;
  const daemon = await fuzzDaemon(Math.max(100, Math.round(inputs * DAEMON_SHARE)), seed);
  const { refused, ...rest } = figures;
  const rows = { ...rest, ...daemon, seconds: Math.round(seconds), "MB of memory at most": peakBytes >> 20, seed };
  for (const [name, figure] of Object.entries({ ...rows, ...refused })) {
    process.stdout.write(
      `  ${name.padEnd(28)} ${typeof figure === "number" ? Math.round(figure * 10) / 10 : figure}\n`,
    );
  }
  if (peakBytes > MAX_MEMORY_BYTES) throw new Error(`${peakBytes} bytes of memory were used`);
  process.disconnect();
}

// What tests of `convert` work on: a root with sessions, what the command says, and daemons that serve what it has moved.

import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, vi } from "vitest";
import { runCommandLine } from "../../../daemon/cli/command-line.ts";
import { type Daemon, startDaemon } from "../../../daemon/start.ts";
import { applyDelta, newImage, startupBytes } from "../../../protocol/image/image.ts";
import type { TypeName } from "../../../protocol/types.ts";
import { freshRoot, removeRoot } from "../processes.ts";
import { repository } from "../repository.ts";
import { newId } from "./lab.ts";
import { deltaOf, RawWorker } from "./raw-worker.ts";

export let root: string;
/** What the last command has written to standard output, and to standard error. */
export let said: string;
export let told: string;
const daemons: Daemon[] = [];
const workers: RawWorker[] = [];

/** Each test has a root of its own. The Redis of those that need one is in GAMBAS_SESSION_REDIS (`vi.stubEnv`). */
export function openRoots(): void {
  beforeEach(() => {
    root = freshRoot();
    mkdirSync(join(root, "session"), { mode: 0o700 });
    vi.spyOn(process.stdout, "write").mockImplementation((text) => {
      said += String(text);
      return true;
    });
    vi.spyOn(process.stderr, "write").mockImplementation((text) => {
      told += String(text);
      return true;
    });
  });
  afterEach(async () => {
    vi.restoreAllMocks();
    vi.unstubAllEnvs();
    await stopAll();
    await removeRoot(root);
  });
}

/** Resolves to the exit code. */
export function run(...args: readonly string[]): Promise<number> {
  [said, told] = ["", ""];
  return runCommandLine(args);
}

export function convert(from: string, to: string, ...flags: readonly string[]): Promise<number> {
  return run("convert", "--from", from, "--to", to, "--root", root, ...flags);
}

/** The counts that it prints for programs. */
export async function converted(
  from: string,
  to: string,
  ...flags: readonly string[]
): Promise<Record<string, unknown>> {
  await convert(from, to, "--json", ...flags);
  return JSON.parse(said) as Record<string, unknown>;
}

/** A worker of a daemon that serves the root. */
export async function serve(type: TypeName): Promise<RawWorker> {
  const sweeps = type === "redis" ? {} : { sweepMs: 0 };
  const daemon = await startDaemon({ root, type, ...sweeps, logLevel: "silent" });
  daemons.push(daemon);
  const worker = await RawWorker.connect(daemon.socket);
  workers.push(worker);
  return worker;
}

export async function stopAll(): Promise<void> {
  await Promise.all(workers.splice(0).map((worker) => worker.close()));
  for (const daemon of daemons.splice(0)) await daemon.stop();
}

export function pathOf(id: string): string {
  return join(root, "session", id);
}

export function write(id: string, file: Buffer): void {
  writeFileSync(pathOf(id), file, { mode: 0o600 });
}

export function imageWith(
  values: Readonly<Record<string, unknown>>,
  nowMs = Date.now(),
  timeoutSeconds = 86_400,
): Buffer {
  return applyDelta(newImage({ nowMs, timeoutSeconds }), { delta: deltaOf(values), nowMs });
}

/** Names in `session/` but those of locks, in order. */
export function filesThere(): string[] {
  return readdirSync(join(root, "session"))
    .filter((name) => !name.endsWith(".lock"))
    .sort();
}

/** Every file that Gambas has written, and those that were made like them, as if they had been saved now; each under an id. */
export function everyFile(): Map<string, Buffer> {
  const stamp = startupBytes(Date.now());
  const all = join(repository, "test/fixtures");
  const names = readdirSync(all, { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".session"));
  const files = names.map((name) => {
    const file = readFileSync(join(all, name));
    if (file.length >= stamp.length) stamp.copy(file);
    return [newId(), file] as const;
  });
  return new Map(files);
}

// A house: a private /tmp in which the real Gambas, our daemon and our workers live together, apart from the machine's.
// One process, the anchor, holds the namespace; every other process enters it. All of them end with the house.
import { type ChildProcess, type ChildProcessByStdio, type StdioOptions, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, readdirSync, readFileSync, readlinkSync, rmdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Readable, Writable } from "node:stream";
import { setTimeout as delay } from "node:timers/promises";
import { enterArguments, makeStage, uidInside, unshareArguments } from "../private-tmp.ts";
import { repository } from "../repository.ts";
import { asWritten, imageIn } from "./gambas-dialect.ts";
import { interpreter, interpreterAsked, locale } from "./gambas-version.ts";
import { type OracleAnswer, type OracleCommand, OracleProcess } from "./oracle-process.ts";
import { oracleProgram } from "./program-build.ts";

export interface OracleOptions {
  /** Id of the session, sent as the GBSESSIONID cookie. */
  readonly cookie?: string;
  /** Beyond REMOTE_ADDR=10.0.0.1 and SCRIPT_NAME=/app, which it may replace; undefined leaves one out. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Resolve with error answers too, instead of rejecting at the first. */
  readonly mayFail?: boolean;
}

export interface SpawnOptions {
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly stdio?: StdioOptions;
  /** A folder as seen inside; the checkout by default. */
  readonly cwd?: string;
}

export interface RunResult {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A folder inside for programs that stand for others. */
const tools = "/tmp/tools";

type Anchor = ChildProcessByStdio<Writable, Readable, null>;

export class GambasHouse {
  /** The root of Gambas, and our default one, as processes inside name it. */
  readonly root: string = `/tmp/gambas.${uidInside}`;
  /** The same folder as this process names it. */
  readonly outsideRoot: string;
  readonly #anchor: Anchor;
  readonly #pid: number;

  private constructor(anchor: Anchor, pid: number) {
    this.#anchor = anchor;
    this.#pid = pid;
    this.outsideRoot = this.outside(this.root);
    if (interpreterAsked !== "") this.#installInterpreter();
  }

  static async open(): Promise<GambasHouse> {
    const stage = makeStage();
    try {
      // The anchor lives as long as its standard input is open, so it cannot outlive the test process.
      const args = unshareArguments(stage, ["sh", "-c", "echo ready; exec cat"]);
      const anchor = spawn("unshare", args, { stdio: ["pipe", "pipe", "inherit"] });
      await Promise.race([once(anchor.stdout, "data"), failedStart(anchor)]);
      return new GambasHouse(anchor, anchor.pid ?? 0);
    } finally {
      rmdirSync(stage);
    }
  }

  /** The PATH of processes inside: of several installed interpreters the first is the one that tests meet. */
  get #path(): string | undefined {
    return interpreterAsked === "" ? process.env.PATH : `${tools}:${process.env.PATH}`;
  }

  #installInterpreter(): void {
    mkdirSync(this.outside(tools));
    writeFileSync(this.outside(`${tools}/gbx3`), `#!/bin/sh\n${interpreterAsked}\n`, { mode: 0o755 });
  }

  /** A path inside as this process can open it. */
  outside(path: string): string {
    return `/proc/${this.#pid}/root${path}`;
  }

  /** Starts any command inside. The child's pid is the command's own. */
  spawn(command: string, args: readonly string[], options: SpawnOptions = {}): ChildProcess {
    return spawn("nsenter", enterArguments(this.#pid, options.cwd ?? repository, [command, ...args]), {
      env: { ...process.env, PATH: this.#path, ...options.env },
      stdio: options.stdio ?? "pipe",
    });
  }

  /** Runs any command inside until it ends. */
  async run(command: string, args: readonly string[] = [], options: SpawnOptions = {}): Promise<RunResult> {
    const child = this.spawn(command, args, { ...options, stdio: ["ignore", "pipe", "pipe"] });
    const output = { stdout: "", stderr: "" };
    for (const name of ["stdout", "stderr"] as const) {
      child[name]?.setEncoding("utf8").on("data", (text: string) => {
        output[name] += text;
      });
    }
    const [code, signal]: [number | null, NodeJS.Signals | null] = await endOf(child);
    return { code, signal, ...output };
  }

  /** Runs a Node script inside until it ends. */
  async node(script: string, args: readonly string[] = [], env: SpawnOptions["env"] = {}): Promise<RunResult> {
    return this.run(process.execPath, [script, ...args], { env });
  }

  /** Starts a Node script inside, with pipes unless `stdio` says otherwise. */
  startNode(script: string, args: readonly string[] = [], options: SpawnOptions = {}): ChildProcess {
    return this.spawn(process.execPath, [script, ...args], options);
  }

  /** One Gambas program: runs the commands, ends as a CGI request does, saving its session. One answer per command. */
  async oracle(commands: readonly OracleCommand[], options: OracleOptions = {}): Promise<OracleAnswer[]> {
    const oracle = this.startOracle(options);
    const sent = commands.map((command) => (options.mayFail ? oracle.send(...command) : oracle.do(...command)));
    const [answers, { code, signal }] = await Promise.all([Promise.all(sent), oracle.end()]);
    if (code !== 0) throw new Error(`the oracle ended with ${signal ?? code}`);
    return answers;
  }

  /** A Gambas program to be led step by step. */
  startOracle(options: OracleOptions = {}): OracleProcess {
    const env: Record<string, string | undefined> = {
      PATH: process.env.PATH,
      HOME: "/",
      LANG: locale,
      REMOTE_ADDR: "10.0.0.1",
      SCRIPT_NAME: "/app",
      HTTP_COOKIE: options.cookie === undefined ? undefined : `GBSESSIONID=${options.cookie}`,
      ...options.env,
    };
    const args = enterArguments(this.#pid, repository, interpreter(oracleProgram()));
    return new OracleProcess(spawn("nsenter", args, { env, stdio: ["pipe", "pipe", "pipe"] }));
  }

  /** Where a session file (or, with ".lock" behind the id, its lock file) is, for this process. */
  sessionFile(id: string): string {
    return join(this.outsideRoot, "session", id);
  }

  readSession(id: string): Buffer {
    return readFileSync(this.sessionFile(id));
  }

  /** What the codec makes of the file. */
  readImage(id: string): Buffer {
    return imageIn(this.readSession(id));
  }

  /** Puts an image there as the Gambas of this house would write it, references and all. */
  writeImage(id: string, image: Buffer): void {
    this.writeSession(id, asWritten(image));
  }

  hasSession(id: string): boolean {
    return existsSync(this.sessionFile(id));
  }

  /** Puts a session file there as a program of the same user would have left it. */
  writeSession(id: string, bytes: Uint8Array): void {
    mkdirSync(this.outsideRoot, { recursive: true, mode: 0o700 });
    mkdirSync(join(this.outsideRoot, "session"), { recursive: true, mode: 0o755 });
    writeFileSync(this.sessionFile(id), bytes);
  }

  /** Ids of the session files, sorted. Lock files and names that begin with a dot are left out. */
  listSessions(): string[] {
    const folder = join(this.outsideRoot, "session");
    const names = existsSync(folder) ? readdirSync(folder) : [];
    return names.filter((name) => !name.startsWith(".") && !name.endsWith(".lock")).sort();
  }

  /** Pids of everything that runs inside, the anchor left out. */
  pids(): number[] {
    const namespace = namespaceOf(this.#pid);
    const pids = readdirSync("/proc").map(Number).filter(Number.isInteger);
    return pids.filter((pid) => pid !== this.#pid && namespace !== undefined && namespaceOf(pid) === namespace);
  }

  /** Kills everything inside, detached daemons included, and waits until it is gone. */
  async close(): Promise<void> {
    for (let pids = this.pids(); pids.length > 0; pids = this.pids()) {
      for (const pid of pids) killIfThere(pid);
      await delay(2);
    }
    if (this.#anchor.exitCode !== null || this.#anchor.signalCode !== null) return;
    const gone = once(this.#anchor, "exit");
    this.#anchor.stdin.end();
    await gone;
  }
}

async function failedStart(anchor: Anchor): Promise<never> {
  const [code] = await endOf(anchor);
  throw new Error(`no private /tmp: unshare ended with ${code}`);
}

/** once() rejects when the child emits "error", which it does when it cannot be started. */
async function endOf(child: ChildProcess): Promise<[number | null, NodeJS.Signals | null]> {
  const [code, signal] = await once(child, "close");
  return [code, signal];
}

function namespaceOf(pid: number): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/ns/mnt`);
  } catch {
    return undefined; // ended meanwhile, or another user's
  }
}

function killIfThere(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}

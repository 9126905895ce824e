// In which dialect a session is written whose first reference leaves no form that every version of Gambas reads (GAMBAS.md 3.14).
//
// The setting says it, or else the first of these that shows one: the last save of another program that the daemon saw; the youngest file in
// `session/` that shows a dialect; the installed interpreter; the newest dialect. Decodes no session.

import { execFileSync } from "node:child_process";
import { type Dir, lstatSync, opendirSync, readFileSync, type Stats, statSync } from "node:fs";
import { basename, isAbsolute, join } from "node:path";
import { SessionError } from "../../../../protocol/errors.ts";
import { type Dialect, dialectOf, imageOfFile } from "../../../../protocol/image/image.ts";
import { isSessionId } from "../../../../protocol/session-id.ts";
import { closeDescriptor, isSystemError, openToRead } from "../../../files/files.ts";
import type { Log } from "../../../report/report.ts";

export interface DialectOptions {
  /** "auto": find out. */
  readonly setting: "auto" | Dialect;
  /** The directory of the session files. */
  readonly sessions: string;
  readonly log: Pick<Log, "info">;
  readonly env?: NodeJS.ProcessEnv;
}

interface Finding {
  readonly dialect: Dialect;
  readonly because: string;
}

const NEWEST: Dialect = "3.19";
/** How long the daemon believes a finding: a new look reads some files and stats many. */
const BELIEVED_MS = 60_000;
/** Names that one look stats at most, and files that it reads at most: together some milliseconds. */
const MAX_NAMES = 2_000;
const MAX_READ = 32;
const MAX_READ_BYTES = 256 * 1024;
const INTERPRETER = "gbx3";
const ASKED_MS = 2_000;
const DEFAULT_PATH = "/usr/local/bin:/usr/bin:/bin";
/** More programs than a PATH has; those of releases that were replaced meanwhile are among them. */
const MAX_ASKED = 64;

/** What interpreters have answered, by path and modification time: this process asks each of them once, since it waits for the answer. */
const asked = new Map<string, string | undefined>();

export class DialectInUse {
  readonly #options: DialectOptions;
  /** Shown by the last save of another program. */
  #seen: Finding | undefined;
  #found: Finding | undefined;
  #foundMs = 0;
  #told = "";

  constructor(options: DialectOptions) {
    this.#options = options;
  }

  /** Another program saved this image. */
  noteForeignSave(image: Buffer): void {
    const dialect = dialectOf(image);
    if (this.#seen?.dialect === dialect) return;
    this.#seen = { dialect, because: "another program saved so" };
  }

  /** The dialect for a session that gets its first reference now. */
  get current(): Dialect {
    const finding = this.#find();
    this.#tell(finding);
    return finding.dialect;
  }

  /** The same in words, for an operator. */
  get description(): string {
    const { dialect, because } = this.#find();
    return `${dialect} (${because})`;
  }

  #find(): Finding {
    const { setting } = this.#options;
    if (setting !== "auto") return { dialect: setting, because: "setting" };
    if (this.#seen !== undefined) return this.#seen;
    const nowMs = performance.now();
    if (this.#found === undefined || nowMs - this.#foundMs > BELIEVED_MS) {
      this.#found = this.#lookAtFiles() ?? this.#askInterpreter() ?? { dialect: NEWEST, because: "nothing tells" };
      this.#foundMs = nowMs;
    }
    return this.#found;
  }

  #tell(finding: Finding): void {
    const words = `${finding.dialect} ${finding.because}`;
    if (words === this.#told) return;
    this.#told = words;
    this.#options.log.info("gambas-dialect", { ...finding });
  }

  /** A file that 3.18 wrote without a reference looks like a new one of ours: it shows nothing. */
  #lookAtFiles(): Finding | undefined {
    for (const path of youngestFirst(this.#options.sessions)) {
      const dialect = shownBy(path);
      if (dialect !== undefined) return { dialect, because: "files of this root" };
    }
    return undefined;
  }

  #askInterpreter(): Finding | undefined {
    for (const folder of ((this.#options.env ?? process.env).PATH || DEFAULT_PATH).split(":")) {
      const version = isAbsolute(folder) ? versionOf(join(folder, INTERPRETER)) : undefined;
      const [, major = "", minor = ""] = /^(\d+)\.(\d+)/.exec(version ?? "") ?? [];
      if (major === "") continue;
      const isOld = Number(major) < 3 || (Number(major) === 3 && Number(minor) < 19);
      return { dialect: isOld ? "3.18" : "3.19", because: `the installed Gambas ${version}` };
    }
    return undefined;
  }
}

function versionOf(path: string): string | undefined {
  try {
    const stat = statSync(path, { throwIfNoEntry: false });
    if (stat === undefined) return undefined;
    const name = `${path} ${stat.mtimeMs}`;
    if (asked.size >= MAX_ASKED) asked.clear();
    if (!asked.has(name)) asked.set(name, askVersion(path));
    return asked.get(name);
  } catch {
    // Any system error: a folder of PATH that cannot be looked into has no interpreter for us.
    return undefined;
  }
}

function askVersion(path: string): string | undefined {
  try {
    return execFileSync(path, ["--version"], {
      encoding: "utf8",
      timeout: ASKED_MS,
      // This process stands still until it has ended, which it may do late, or never, for any other signal.
      killSignal: "SIGKILL",
      stdio: ["ignore", "pipe", "ignore"],
    }).trim();
  } catch {
    // Not executable, or no interpreter after all: it says nothing about a dialect.
    return undefined;
  }
}

/** Paths of the sessions that were saved last, as far as a look at some of them tells. */
function youngestFirst(sessions: string): string[] {
  const files: { readonly path: string; readonly mtimeMs: number }[] = [];
  for (const name of firstNames(sessions)) {
    const path = `${sessions}/${name}`;
    const stat = lookAt(path);
    if (stat?.isFile() === true && stat.size <= MAX_READ_BYTES) files.push({ path, mtimeMs: stat.mtimeMs });
  }
  files.sort((one, other) => other.mtimeMs - one.mtimeMs);
  return files.slice(0, MAX_READ).map(({ path }) => path);
}

/** undefined for a file that cannot be looked at, a link to itself, say: it shows nothing, and the next call that opens it is told. */
function lookAt(path: string): Stats | undefined {
  try {
    return lstatSync(path);
  } catch {
    // Any system error; see above.
    return undefined;
  }
}

/** Those that could be read; the next call that opens a session there is told of the error. */
function firstNames(sessions: string): string[] {
  const names: string[] = [];
  let directory: Dir | undefined;
  try {
    directory = opendirSync(sessions, { bufferSize: 256 });
    for (let left = MAX_NAMES; left > 0; left--) {
      const entry = directory.readSync();
      if (entry === null) break;
      if (isSessionId(entry.name)) names.push(entry.name);
    }
  } catch {
    // Any system error; see above.
  }
  directory?.closeSync();
  return names;
}

/** undefined for a file that shows none, or cannot be read. */
function shownBy(path: string): Dialect | undefined {
  try {
    const image = readQuietly(path);
    const { hasReferences } = imageOfFile(image);
    return hasReferences || dialectOf(image) === "3.19" ? dialectOf(image) : undefined;
  } catch (error) {
    if (error instanceof SessionError || isSystemError(error)) return undefined;
    throw error;
  }
}

function readQuietly(path: string): Buffer {
  const fd = openToRead(basename(path), path, true);
  if (fd === undefined) return Buffer.of();
  try {
    return readFileSync(fd);
  } finally {
    closeDescriptor(fd);
  }
}

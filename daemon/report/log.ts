// Log lines for the operator: a JSON object for each event, and a few lines of the same event a minute at most. They go
// to standard error, or to a file of bounded size for a daemon whose standard error nobody reads.

import { createHash } from "node:crypto";
import { appendFileSync, renameSync, statSync, writeSync } from "node:fs";
import { TYPES, type TypeName } from "../../protocol/types.ts";

const LEVELS = ["debug", "info", "warn", "error", "silent"] as const;
export type LogLevel = (typeof LEVELS)[number];

/** Lines of one event: an event of every request must not fill the log, or cost the daemon its time. */
const MAX_PER_MINUTE = 10;
/** A longer file becomes `<file>.old`, so both files together take some twice this. */
const MAX_FILE_BYTES = 1024 * 1024;
const STDERR = 2;
const SESSION_ID = /[^\s"\\,;=/]*:[0-9A-F]{24}(?![0-9A-F])/g;
const ALIAS_DIGITS = 8;

export interface LogOptions {
  /** Sessions are named by an alias, the first digits of the SHA-256 of their ids: an id is a password, and a log is read by more people. */
  readonly hidesIds?: boolean;
}

interface LogSettings {
  readonly logLevel: LogLevel;
  readonly logFile: string;
  readonly type: TypeName;
}

export class Log {
  readonly #threshold: number;
  readonly #file: string;
  readonly #hidesIds: boolean;
  readonly #counts = new Map<string, number>();
  #minute = 0;

  /** @param file path of the log file; "": lines go to standard error. */
  constructor(level: LogLevel, file = "", { hidesIds = false }: LogOptions = {}) {
    this.#threshold = LEVELS.indexOf(level);
    this.#file = file;
    this.#hidesIds = hidesIds;
  }

  /** The log of a daemon. */
  static of({ logLevel, logFile, type }: LogSettings): Log {
    // Who may read the files has their names anyway.
    return new Log(logLevel, logFile, { hidesIds: !TYPES[type].isInFiles });
  }

  info(event: string, details: Record<string, unknown> = {}): void {
    this.#write("info", event, details);
  }

  warn(event: string, details: Record<string, unknown> = {}): void {
    this.#write("warn", event, details);
  }

  error(event: string, details: Record<string, unknown> = {}): void {
    this.#write("error", event, details);
  }

  /** Takes one step of several. The failure of a step is logged and not thrown, so that the other steps follow. */
  async attempt(event: string, step: () => Promise<void> | void): Promise<void> {
    try {
      await step();
    } catch (error) {
      this.error(event, { error: String(error) });
    }
  }

  #write(level: LogLevel, event: string, details: Record<string, unknown>): void {
    if (LEVELS.indexOf(level) < this.#threshold) return;
    this.tellSuppressed();
    const count = (this.#counts.get(event) ?? 0) + 1;
    this.#counts.set(event, count);
    if (count <= MAX_PER_MINUTE) this.#writeLine({ level, event, ...details });
  }

  /** Logs, for a minute that is over, how many lines of each event were left out. */
  tellSuppressed(): void {
    const minute = Math.floor(Date.now() / 60_000);
    if (minute !== this.#minute) this.#beginMinute(minute);
  }

  #beginMinute(minute: number): void {
    for (const [event, count] of this.#counts) {
      if (count > MAX_PER_MINUTE) this.#writeLine({ level: "warn", event, suppressed: count - MAX_PER_MINUTE });
    }
    this.#counts.clear();
    this.#minute = minute;
  }

  #writeLine(line: Record<string, unknown>): void {
    const json = JSON.stringify({ time: new Date().toISOString(), pid: process.pid, ...line });
    const text = `${this.#hidesIds ? json.replace(SESSION_ID, aliasOf) : json}\n`;
    try {
      if (this.#file === "") writeSync(STDERR, text);
      else appendBounded(this.#file, text);
    } catch (error) {
      // Any system error: a log that cannot be written must not end the daemon, so this line is lost.
      if (!(error instanceof Error && "code" in error)) throw error;
    }
  }
}

function aliasOf(id: string): string {
  return `session~${createHash("sha256").update(id).digest("hex").slice(0, ALIAS_DIGITS)}`;
}

function appendBounded(file: string, text: string): void {
  const size = statSync(file, { throwIfNoEntry: false })?.size ?? 0;
  if (size > MAX_FILE_BYTES) renameSync(file, `${file}.old`);
  appendFileSync(file, text, { mode: 0o600 });
}

// Structured log lines: one JSON object per event that an operator must know of, each event at most a few times a minute.
// On standard error, or in a file of bounded size for daemons whose standard error nobody reads.

import { appendFileSync, renameSync, statSync, writeSync } from "node:fs";

const LEVELS = ["debug", "info", "warn", "error", "silent"] as const;
export type LogLevel = (typeof LEVELS)[number];

const MAX_PER_MINUTE = 10;
const MAX_FILE_BYTES = 1024 * 1024;
const STDERR = 2;

export class Log {
  readonly #threshold: number;
  readonly #file: string;
  readonly #counts = new Map<string, number>();
  #minute = 0;

  /** @param file empty: standard error. */
  constructor(level: LogLevel, file = "") {
    this.#threshold = LEVELS.indexOf(level);
    this.#file = file;
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

  /** Takes one step of several. A step that fails is only told: the others follow. */
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

  /** Tells how many lines were left out in a minute that is over. */
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
    const text = `${JSON.stringify({ time: new Date().toISOString(), pid: process.pid, ...line })}\n`;
    try {
      if (this.#file === "") writeSync(STDERR, text);
      else appendBounded(this.#file, text);
    } catch (error) {
      // A log that cannot be written must not end the daemon: the line is lost.
      if (!(error instanceof Error && "code" in error)) throw error;
    }
  }
}

function appendBounded(file: string, text: string): void {
  const size = statSync(file, { throwIfNoEntry: false })?.size ?? 0;
  if (size > MAX_FILE_BYTES) renameSync(file, `${file}.old`);
  appendFileSync(file, text, { mode: 0o600 });
}

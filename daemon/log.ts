// Structured log lines on standard error: one JSON object per event that an operator must know of, each event at most a few times a minute.

const LEVELS = ["debug", "info", "warn", "error", "silent"] as const;
export type LogLevel = (typeof LEVELS)[number];

const MAX_PER_MINUTE = 10;

export class Log {
  readonly #threshold: number;
  readonly #counts = new Map<string, number>();
  #minute = 0;

  constructor(level: LogLevel) {
    this.#threshold = LEVELS.indexOf(level);
  }

  debug(event: string, details: Record<string, unknown> = {}): void {
    this.#write("debug", event, details);
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

  #write(level: LogLevel, event: string, details: Record<string, unknown>): void {
    if (LEVELS.indexOf(level) < this.#threshold) return;
    const minute = Math.floor(Date.now() / 60_000);
    if (minute !== this.#minute) this.#beginMinute(minute);
    const count = (this.#counts.get(event) ?? 0) + 1;
    this.#counts.set(event, count);
    if (count <= MAX_PER_MINUTE) writeLine({ level, event, ...details });
  }

  #beginMinute(minute: number): void {
    for (const [event, count] of this.#counts) {
      if (count > MAX_PER_MINUTE) writeLine({ level: "warn", event, suppressed: count - MAX_PER_MINUTE });
    }
    this.#counts.clear();
    this.#minute = minute;
  }
}

function writeLine(line: Record<string, unknown>): void {
  process.stderr.write(`${JSON.stringify({ time: new Date().toISOString(), pid: process.pid, ...line })}\n`);
}

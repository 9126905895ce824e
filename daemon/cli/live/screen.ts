// A screen that is drawn again and again until whoever looks at it leaves: with q or Ctrl-C, or by a signal. Afterwards the terminal is as it was
// before, however the command ends.

import { writeSync } from "node:fs";
import { type Line, type Look, lookOf, piece, rendered } from "./drawing.ts";

/** Another screen than that of the shell, no cursor, and lines that are too long are cut. */
const ENTER = "\x1b[?1049h\x1b[?25l\x1b[?7l";
const LEAVE = "\x1b[?7h\x1b[?25h\x1b[?1049l";
const HOME = "\x1b[H";
/** Before a line is drawn: behind one that fills its row it would erase the last letter. */
const BLANK_LINE = "\x1b[K";

// biome-ignore lint/suspicious/noControlCharactersInRegex: what keys send.
const KEYS = /\x1b\[[0-9;]*[A-Za-z~]|\x1bO[A-Z]|[\s\S]/g;
const SUSPEND = "\x1a";
const LEAVING_KEYS: readonly string[] = ["q", "Q", "\x03"];
/** Lines by which a key moves what is seen: a screen less one for a page. */
const MOVES: Readonly<Record<string, number | "page" | "page back" | "start" | "end">> = {
  ...{ "\x1b[A": -1, "\x1bOA": -1, k: -1, "\x1b[B": 1, "\x1bOB": 1, j: 1 },
  ...{ "\x1b[6~": "page", " ": "page", "\x1b[5~": "page back", b: "page back" },
  ...{ "\x1b[H": "start", "\x1b[1~": "start", g: "start", "\x1b[F": "end", "\x1b[4~": "end", G: "end" },
};
const ENDING_SIGNALS = ["SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT"] as const;
/** Longer than a stop takes to reach this process. */
const STOP_MS = 100;

const SMALLEST = { columns: 1, rows: 1 };
/** Where a terminal does not say how large it is. */
const USUAL = { columns: 80, rows: 24 };

export interface Size {
  readonly columns: number;
  readonly rows: number;
}

/** What is to be seen: as many lines as it has, and one that stands below them. */
export interface Picture {
  readonly lines: readonly Line[];
  readonly foot: Line;
}

export type Draw = (size: Size) => Picture;

/** A terminal that can be drawn on. */
export interface Terminal {
  readonly input: NodeJS.ReadStream;
  readonly output: NodeJS.WriteStream & { readonly fd: number };
  readonly look: Look;
}

/** Undefined where standard output is none: a pipe, a file, or a terminal that cannot move its cursor. */
export function terminalOf({ stdin, stdout, env }: NodeJS.Process): Terminal | undefined {
  const isCapable = stdout.isTTY === true && !["", "dumb"].includes(env.TERM ?? "");
  return isCapable ? { input: stdin, output: stdout, look: lookOf(env) } : undefined;
}

export class Screen {
  /** Aborted when whoever looks wants to leave. */
  readonly leaving: AbortSignal;
  readonly #terminal: Terminal;
  readonly #leaver = new AbortController();
  #draw: Draw = () => ({ lines: [], foot: [] });
  #firstLine = 0;
  #state: "unused" | "open" | "left" = "unused";
  #signal: NodeJS.Signals | undefined;

  constructor(terminal: Terminal) {
    this.#terminal = terminal;
    this.leaving = this.#leaver.signal;
  }

  /** Shows this from now on. The first time the terminal is taken for it. */
  show(draw: Draw): void {
    this.#draw = draw;
    if (this.#state === "unused") this.#open();
    else this.#paint();
  }

  #open(): void {
    const { input, output } = this.#terminal;
    for (const name of ENDING_SIGNALS) process.on(name, this.#end);
    process.on("SIGTSTP", this.#suspend);
    process.on("SIGCONT", this.#enter);
    // Before Node tells of an error that nobody has caught, and for whoever calls process.exit.
    process.on("uncaughtExceptionMonitor", this.#leaveAtOnce);
    process.on("exit", this.#leaveAtOnce);
    output.on("resize", this.#paint);
    output.on("error", this.#quit);
    if (input.isTTY) input.on("data", this.#take).on("end", this.#quit).on("error", this.#quit).resume();
    this.#enter();
  }

  /** Gives the terminal back. Where a signal has ended the looking, this process ends by it. */
  close(): void {
    const { input, output } = this.#terminal;
    if (this.#state === "unused") return;
    this.#leave();
    for (const name of ENDING_SIGNALS) process.off(name, this.#end);
    process.off("SIGTSTP", this.#suspend);
    process.off("SIGCONT", this.#enter);
    process.off("uncaughtExceptionMonitor", this.#leaveAtOnce);
    process.off("exit", this.#leaveAtOnce);
    output.off("resize", this.#paint);
    output.off("error", this.#quit);
    input.off("data", this.#take).off("end", this.#quit).off("error", this.#quit).pause();
    if (this.#signal !== undefined) process.kill(process.pid, this.#signal);
  }

  readonly #enter = (): void => {
    this.#state = "open";
    this.#setRaw(true);
    this.#terminal.output.write(ENTER);
    this.#paint();
  };

  #leave(): void {
    if (this.#state !== "open") return;
    this.#state = "left";
    this.#setRaw(false);
    this.#terminal.output.write(LEAVE);
  }

  /** What is written by a stream may not arrive any more. */
  readonly #leaveAtOnce = (): void => {
    if (this.#state !== "open") return;
    this.#state = "left";
    this.#setRaw(false);
    try {
      writeSync(this.#terminal.output.fd, LEAVE);
    } catch {
      // Any system error of write: the terminal has gone.
    }
  };

  #setRaw(isRaw: boolean): void {
    const { input } = this.#terminal;
    if (!input.isTTY) return;
    try {
      input.setRawMode(isRaw);
    } catch {
      // The terminal has gone: there is nothing to be given back.
    }
  }

  readonly #quit = (): void => this.#leaver.abort();

  readonly #end = (signal: NodeJS.Signals): void => {
    this.#signal = signal;
    this.#leaver.abort();
  };

  /** As the terminal would do for a program that leaves it alone: everybody in the foreground stops, the shell's prompt appears. */
  readonly #suspend = (): void => {
    this.#leave();
    process.off("SIGTSTP", this.#suspend);
    process.kill(0, "SIGTSTP");
    // After it was continued, or where nobody may stop it.
    setTimeout(() => {
      process.on("SIGTSTP", this.#suspend);
      if (!this.leaving.aborted) this.#enter();
    }, STOP_MS);
  };

  readonly #take = (chunk: Buffer | string): void => {
    for (const [key] of String(chunk).matchAll(KEYS)) {
      if (LEAVING_KEYS.includes(key)) this.#leaver.abort();
      else if (key === SUSPEND) this.#suspend();
      else this.#move(key);
    }
  };

  #move(key: string): void {
    const by = MOVES[key];
    if (by === undefined) return;
    const page = Math.max(1, this.#size.rows - 2);
    if (by === "start") this.#firstLine = 0;
    else if (by === "end") this.#firstLine = Number.MAX_SAFE_INTEGER;
    else this.#firstLine += by === "page" ? page : by === "page back" ? -page : by;
    this.#paint();
  }

  get #size(): Size {
    const { columns = 0, rows = 0 } = this.#terminal.output;
    if (columns <= 0 || rows <= 0) return USUAL;
    return { columns: Math.max(SMALLEST.columns, columns), rows: Math.max(SMALLEST.rows, rows) };
  }

  readonly #paint = (): void => {
    if (this.#state !== "open" || this.leaving.aborted) return;
    const size = this.#size;
    const { lines, foot } = this.#draw(size);
    const room = size.rows - 1;
    this.#firstLine = Math.max(0, Math.min(this.#firstLine, lines.length - room));
    const seen = lines.slice(this.#firstLine, this.#firstLine + room);
    const blank = Array.from({ length: room - seen.length }, (): Line => []);
    const where = `lines ${this.#firstLine + 1} to ${this.#firstLine + seen.length} of ${lines.length}, arrow keys move  `;
    const last = lines.length > room ? [piece(where, "dim"), ...foot] : foot;
    const { look, output } = this.#terminal;
    const text = [...seen, ...blank, last].map((line) => `${BLANK_LINE}${rendered(line, size.columns, look)}`);
    output.write(`${HOME}${text.join("\r\n")}`);
  };
}

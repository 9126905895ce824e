// A window of a terminal, as tmux makes one: programs run in it as they do under a person's hands, and tests see what that person sees.

import { execFileSync } from "node:child_process";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { onTestFailed } from "vitest";
import { freshRoot, until } from "./processes.ts";

export interface WindowOptions {
  readonly columns: number;
  readonly rows: number;
  readonly env?: Readonly<Record<string, string>>;
  readonly directory?: string;
}

export class TerminalWindow {
  /** Where the server has its socket. */
  readonly #place = freshRoot();
  #seen = "";

  private constructor() {
    onTestFailed(() => console.error(`The terminal showed last:\n${this.#seen}`));
  }

  /** Of a server of its own, that ends with the window. */
  static open(command: readonly string[], { columns, rows, env = {}, directory = "/" }: WindowOptions): TerminalWindow {
    const window = new TerminalWindow();
    const variables = Object.entries(env).map(([name, value]) => `${name}=${value}`);
    const where = ["-x", String(columns), "-y", String(rows), "-c", directory];
    window.#tmux("-f", "/dev/null", "new-session", "-d", ...where, "env", ...variables, ...command);
    window.#tmux("set-option", "-g", "window-size", "manual");
    return window;
  }

  static isPossible(): boolean {
    try {
      execFileSync("tmux", ["-V"]);
      return true;
    } catch {
      // Whatever the system error: it cannot be had.
      return false;
    }
  }

  /** What can be seen, without the blanks at the ends of lines. */
  get screen(): string {
    return this.#tmux("capture-pane", "-p");
  }

  /** The same with what makes colours. */
  get colours(): string {
    return this.#tmux("capture-pane", "-p", "-e");
  }

  get isCursorShown(): boolean {
    return this.#tmux("display-message", "-p", "#{cursor_flag}").trim() === "1";
  }

  /** Keys by the names that tmux has for them; other texts letter by letter. */
  press(...keys: readonly string[]): void {
    this.#tmux("send-keys", ...keys);
  }

  type(line: string): void {
    this.#tmux("send-keys", "-l", line);
    this.press("Enter");
  }

  resize(columns: number, rows: number): void {
    this.#tmux("resize-window", "-x", String(columns), "-y", String(rows));
  }

  /** Waits until the screen has this, and resolves to what it shows then. */
  shows(pattern: RegExp): Promise<string> {
    return until(() => {
      this.#seen = this.screen;
      return pattern.test(this.#seen) ? this.#seen : undefined;
    });
  }

  close(): void {
    try {
      this.#tmux("kill-server");
    } catch {
      // It has ended with its program.
    }
    rmSync(this.#place, { recursive: true, force: true });
  }

  #tmux(...args: readonly string[]): string {
    const where = ["-S", join(this.#place, "socket")];
    return execFileSync("tmux", [...where, ...args], { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
  }
}

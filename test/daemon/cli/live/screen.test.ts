// A screen on a terminal that tells what it was told: how it is taken, drawn on, and given back.

import { EventEmitter } from "node:events";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { plainLine } from "../../../../daemon/cli/live/drawing.ts";
import { Screen, terminalOf } from "../../../../daemon/cli/live/screen.ts";

const ENTER = "\x1b[?1049h\x1b[?25l\x1b[?7l";
const LEAVE = "\x1b[?7h\x1b[?25h\x1b[?1049l";

class Keyboard extends EventEmitter {
  readonly isTTY = true;
  isRaw = false;
  isRead = false;

  setRawMode(isRaw: boolean): void {
    this.isRaw = isRaw;
  }

  resume(): this {
    this.isRead = true;
    return this;
  }

  pause(): this {
    this.isRead = false;
    return this;
  }
}

class Display extends EventEmitter {
  readonly isTTY = true;
  // No descriptor that anything could be written to.
  readonly fd = -1;
  columns = 20;
  rows = 4;
  told = "";

  write(text: string): boolean {
    this.told += text;
    return true;
  }

  /** The lines of the last picture. */
  get lines(): string[] {
    const last = this.told.slice(this.told.lastIndexOf("\x1b[H") + 3);
    return last.replaceAll("\x1b[K", "").split("\r\n");
  }
}

let keyboard: Keyboard;
let display: Display;
let screen: Screen;
const listeners = () => process.eventNames().map((name) => [name, process.listenerCount(name as string)]);
let before: ReturnType<typeof listeners>;

beforeEach(() => {
  before = listeners();
  keyboard = new Keyboard();
  display = new Display();
  const look = { colours: "none", letters: "ascii" } as const;
  const [input, output] = [
    keyboard as unknown as NodeJS.ReadStream,
    display as unknown as NodeJS.WriteStream & { fd: number },
  ];
  screen = new Screen({ input, output, look });
});

afterEach(() => {
  screen.close();
  vi.restoreAllMocks();
  expect(listeners()).toEqual(before);
});

function show(count: number): void {
  const lines = Array.from({ length: count }, (_, at) => plainLine(`line ${at + 1}`));
  screen.show(() => ({ lines, foot: plainLine("foot") }));
}

describe("a screen", () => {
  test("takes the terminal with its first picture, and gives it back as it was", () => {
    expect(display.told).toBe("");
    show(2);
    expect([keyboard.isRaw, keyboard.isRead, display.told.startsWith(ENTER)]).toEqual([true, true, true]);
    expect(display.lines).toEqual(["line 1", "line 2", "", "foot"]);
    screen.close();
    expect([keyboard.isRaw, keyboard.isRead, display.told.endsWith(LEAVE)]).toEqual([false, false, true]);
  });

  test.each(["q", "Q", "\x03", "xyq"])("is left by the keys %j", (keys) => {
    show(1);
    keyboard.emit("data", Buffer.from(keys));
    expect(screen.leaving.aborted).toBe(true);
  });

  test("moves what is too long for it by keys, and says where it is", () => {
    show(9);
    const press = (keys: string): string | undefined => {
      keyboard.emit("data", Buffer.from(keys));
      return display.lines[0];
    };
    expect(display.lines).toEqual(["line 1", "line 2", "line 3", "lines 1 to 3 of 9, ~"]);
    expect([press("j"), press("\x1b[B\x1b[B"), press("k"), press(" "), press("b")]).toEqual(
      [2, 4, 3, 5, 3].map((line) => `line ${line}`),
    );
    expect([press("G"), press("j"), press("g"), press("\x1b[A")]).toEqual(["line 7", "line 7", "line 1", "line 1"]);
  });

  test("erases nothing behind what it has drawn, which may fill its row", () => {
    screen.show(({ columns }) => ({ lines: [plainLine("x".repeat(columns))], foot: [] }));
    expect(display.told).toContain(`\x1b[K${"x".repeat(20)}\r\n`);
  });

  test("is drawn anew when the terminal changes its size", () => {
    screen.show(({ columns, rows }) => ({ lines: [plainLine(`${columns} by ${rows}`)], foot: [] }));
    Object.assign(display, { columns: 7, rows: 2 });
    display.emit("resize");
    expect(display.lines).toEqual(["7 by 2", ""]);
    Object.assign(display, { columns: 4 });
    display.emit("resize");
    expect(display.lines).toEqual(["4 b~", ""]);
    Object.assign(display, { columns: 0, rows: 0 });
    display.emit("resize");
    expect(display.lines[0]).toBe("80 by 24");
  });

  test.each(["SIGTERM", "SIGHUP", "SIGINT", "SIGQUIT"] as const)(
    "gives the terminal back at %s before its process ends by it",
    (name) => {
      const kill = vi.spyOn(process, "kill").mockReturnValue(true);
      show(1);
      process.emit(name, name);
      expect([screen.leaving.aborted, kill.mock.calls]).toEqual([true, []]);
      screen.close();
      expect(display.told.endsWith(LEAVE)).toBe(true);
      expect(kill.mock.calls).toEqual([[process.pid, name]]);
    },
  );

  test("is left where the terminal has gone", () => {
    show(1);
    display.emit("error", new Error("EIO"));
    expect(screen.leaving.aborted).toBe(true);
  });
});

test.each([
  [true, "xterm", "a screen"],
  [true, "dumb", "lines"],
  [true, undefined, "lines"],
  [undefined, "xterm", "lines"],
])("standard output that is a terminal: %j, of the kind %j, gets %s", (isTTY, TERM, what) => {
  const process = { stdin: {}, stdout: { isTTY }, env: { TERM } } as unknown as NodeJS.Process;
  expect(terminalOf(process) === undefined ? "lines" : "a screen").toBe(what);
});

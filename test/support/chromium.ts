// A headless Chromium without any package: commands and events go through a pipe, and it ends when the pipe does. Needs Debian's `chromium`.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Readable, Writable } from "node:stream";

const FLAGS = [
  ...["--headless=new", "--remote-debugging-pipe", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"],
  // It is to load what it is told to, and nothing of its own.
  ...["--no-first-run", "--disable-extensions", "--disable-background-networking", "--disable-component-update"],
  ...["--disable-sync", "--disable-default-apps", "--no-default-browser-check", "--hide-scrollbars"],
];
/** The keys that a keyboard alone has. */
const KEYS = {
  Tab: { key: "Tab", code: "Tab", windowsVirtualKeyCode: 9 },
  Enter: { key: "Enter", code: "Enter", windowsVirtualKeyCode: 13, text: "\r" },
} as const;

type Fields = Readonly<Record<string, unknown>>;

interface Message {
  readonly id?: number;
  readonly sessionId?: string;
  readonly method?: string;
  readonly params?: Fields;
  readonly result?: Fields;
  readonly error?: { readonly message: string };
}

export class Chromium {
  readonly #process: ChildProcess;
  readonly #profile: string;
  readonly #commands: Writable;
  readonly #waiting = new Map<number, (message: Message) => void>();
  readonly #listeners = new Map<string, (message: Message) => void>();
  #lastId = 0;
  #unread = "";

  private constructor(profile: string) {
    this.#profile = profile;
    const args = [...FLAGS, `--user-data-dir=${profile}`, "about:blank"];
    this.#process = spawn("chromium", args, { stdio: ["ignore", "ignore", "ignore", "pipe", "pipe"] });
    this.#commands = this.#process.stdio[3] as Writable;
    const answers = this.#process.stdio[4] as Readable;
    answers.setEncoding("utf8").on("data", (part: string) => this.#read(part));
  }

  static async start(): Promise<Chromium> {
    const chromium = new Chromium(mkdtempSync(join(tmpdir(), "gs-chromium-")));
    await once(chromium.#process, "spawn");
    return chromium;
  }

  /** Asked to, it ends its own processes first: killed, they would still be writing what is to be removed. */
  async end(): Promise<void> {
    const ended = once(this.#process, "exit");
    await this.send("Browser.close", {});
    await ended;
    rmSync(this.#profile, { recursive: true, force: true, maxRetries: 5 });
  }

  /** An empty tab with a cookie jar of its own. */
  async tab(): Promise<Tab> {
    const { browserContextId } = await this.send("Target.createBrowserContext", {});
    const { targetId } = await this.send("Target.createTarget", { url: "about:blank", browserContextId });
    const { sessionId } = await this.send("Target.attachToTarget", { targetId, flatten: true });
    const tab = new Tab((method, params) => this.send(method, params, String(sessionId)));
    this.#listeners.set(String(sessionId), ({ method, params }) => tab.hear(method ?? "", params ?? {}));
    for (const domain of ["Page", "Runtime", "Log"]) await tab.send(`${domain}.enable`);
    return tab;
  }

  send(method: string, params: Fields, sessionId?: string): Promise<Fields> {
    this.#lastId += 1;
    const id = this.#lastId;
    this.#commands.write(`${JSON.stringify({ id, method, params, sessionId })}\0`);
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, ({ result, error }) => {
        if (error === undefined) resolve(result ?? {});
        else reject(new Error(`${method}: ${error.message}`));
      });
    });
  }

  #read(part: string): void {
    const messages = (this.#unread + part).split("\0");
    this.#unread = messages.pop() ?? "";
    for (const text of messages) {
      const message = JSON.parse(text) as Message;
      if (message.id === undefined) this.#listeners.get(message.sessionId ?? "")?.(message);
      else this.#waiting.get(message.id)?.(message);
      this.#waiting.delete(message.id ?? 0);
    }
  }
}

export class Tab {
  readonly send: (method: string, params?: Fields) => Promise<Fields>;
  /** Whatever has come up in the console, errors that nobody caught among it. */
  readonly console: string[] = [];

  constructor(send: (method: string, params: Fields) => Promise<Fields>) {
    this.send = (method, params = {}) => send(method, params);
  }

  hear(method: string, params: Fields): void {
    if (/^(?:Runtime\.consoleAPICalled|Runtime\.exceptionThrown|Log\.entryAdded)$/.test(method))
      this.console.push(JSON.stringify(params));
  }

  async size(width: number, height = 900): Promise<void> {
    await this.send("Emulation.setDeviceMetricsOverride", { width, height, deviceScaleFactor: 1, mobile: width < 500 });
  }

  async colours(scheme: "light" | "dark"): Promise<void> {
    const features = [{ name: "prefers-color-scheme", value: scheme }];
    await this.send("Emulation.setEmulatedMedia", { features });
  }

  async withoutScripts(): Promise<void> {
    await this.send("Emulation.setScriptExecutionDisabled", { value: true });
  }

  async open(url: string): Promise<void> {
    await this.send("Page.navigate", { url });
    await this.shows("document.readyState === 'complete' && location.href !== 'about:blank'");
  }

  /** The value of an expression in the page. */
  async see<T = unknown>(expression: string): Promise<T> {
    const asked = { expression, awaitPromise: true, returnByValue: true };
    const { result, exceptionDetails } = await this.send("Runtime.evaluate", asked);
    if (exceptionDetails !== undefined) throw new Error(`${expression}: ${JSON.stringify(exceptionDetails)}`);
    return (result as { readonly value?: unknown }).value as T;
  }

  /** Resolves once an expression is true; what is being loaded is asked again. The test's timeout bounds it. */
  async shows(expression: string): Promise<void> {
    for (;;) if ((await this.see<boolean>(`Boolean(${expression})`).catch(() => false)) === true) return;
  }

  async press(name: keyof typeof KEYS, modifiers = 0): Promise<void> {
    for (const type of ["keyDown", "keyUp"])
      await this.send("Input.dispatchKeyEvent", { type, modifiers, ...KEYS[name] });
  }

  async type(text: string): Promise<void> {
    await this.send("Input.insertText", { text });
  }

  /** Of the whole page, however long it is. */
  async picture(path: string): Promise<void> {
    const { cssContentSize } = await this.send("Page.getLayoutMetrics");
    const clip = { ...(cssContentSize as object), scale: 1 };
    const { data } = await this.send("Page.captureScreenshot", { captureBeyondViewport: true, clip });
    writeFileSync(path, Buffer.from(String(data), "base64"));
  }
}

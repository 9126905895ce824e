// `npm start`'s page beside a daemon that was there before, on every engine: nothing above the seam needs more than an engine offers.

import { afterEach, beforeEach, expect, test } from "vitest";
import type { Engine } from "../../daemon/backend/backend.ts";
import { prepareRoot, resolveConfig } from "../../daemon/config.ts";
import type { Daemon } from "../../daemon/daemon.ts";
import { ENGINES } from "../../daemon/engines.ts";
import { Life } from "../../daemon/life/life.ts";
import { onStore } from "../../daemon/local/local.ts";
import { ToyEngine } from "../support/daemon/toy-engine.ts";
import { Browser, Example } from "../support/example.ts";
import { freshRoot, isAlive, removeRoot } from "../support/processes.ts";

const FILES = await ENGINES.file();
const ALL: readonly (readonly [string, Engine])[] = [
  ["files", FILES],
  ["memory", await ENGINES.memory()],
  ["a toy", onStore(() => new ToyEngine())],
];

let root: string;
let daemon: Daemon | undefined;
let example: Example | undefined;

beforeEach(() => {
  root = freshRoot();
});

afterEach(async () => {
  if (example !== undefined && isAlive(example.pid)) await example.signalAll("SIGKILL");
  await daemon?.stop();
  [daemon, example] = [undefined, undefined];
  await removeRoot(root);
});

test.each(ALL)("the page shares one session between four workers: %s", async (_, engine) => {
  const config = resolveConfig({ root, logLevel: "silent" });
  prepareRoot(config.root);
  daemon = await Life.begin(config, engine);
  example = await Example.start(root);
  const browser = new Browser(example.url);
  for (let visit = 0; visit < 4; visit++) await browser.page();
  await browser.submit("/sign-in", { name: "Ana" });
  await browser.submit("/cart", { dish: "pan", change: "1" });
  const sessions = await browser.sessionByWorker();
  for (const session of sessions) {
    expect(session).toMatchObject({ visits: 6, user: "Ana", cart: { pan: 1 } });
    if (engine === FILES) expect(session.path).toBe(`${root}/session/${session.id}`);
  }
  const old = browser.cookie;
  await browser.ask("/abandon", { method: "POST" });
  const other = new Browser(example.url);
  other.cookie = old;
  expect((await other.session()).id).toBeNull();
  expect(await example.signal("SIGTERM")).toBe(0);
});

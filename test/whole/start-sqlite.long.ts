// `TYPE=sqlite npm start`: the page on databases, with what is killed on it, and what it says where something is missing.

import { execFile } from "node:child_process";
import { mkdirSync, readdirSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { databaseName } from "../../protocol/session-id.ts";
import { contentsOf } from "../daemon/store/gambas-sqlite/databases.ts";
import { Browser, EXAMPLE, Example } from "../support/example.ts";
import { daemonPid, daemonsOf, freshRoot, isAlive, removeRoot } from "../support/processes.ts";
import { describeSqlite, SQLITE_FOLDER } from "../support/sqlite.ts";

let root: string;
let example: Example | undefined;

beforeEach(() => {
  root = freshRoot();
});
afterEach(async () => {
  if (example !== undefined && isAlive(example.pid)) await example.signalAll("SIGKILL");
  example = undefined;
  await removeRoot(root);
});

/** What the example says before it ends by itself, with its status. */
function said(env: NodeJS.ProcessEnv): Promise<string> {
  return new Promise((resolve) => {
    const options = { env: { ...process.env, GAMBAS_SESSION_ROOT: root, PORT: "0", ...env } };
    execFile(process.execPath, [EXAMPLE], options, (error, _stdout, stderr) => resolve(`${error?.code} ${stderr}`));
  });
}

describeSqlite("the page on databases", () => {
  test("is one session for four workers, says which type it is of, loses nothing with its daemon, and ends with nothing left", async () => {
    example = await Example.start(root, { TYPE: "sqlite" });
    const browser = new Browser(example.url);
    for (let visit = 0; visit < 4; visit++) await browser.page();
    const page = await browser.submit("/cart", { dish: "ajillo", change: "1" });
    expect(page).toContain("Four workers, one session, one database.");
    expect(page).toContain("<dt>Type</dt><dd><code>sqlite</code></dd>");
    expect(page).toContain("Session.Type = &#34;sqlite&#34;");
    const sessions = await browser.sessionByWorker();
    const [id = ""] = sessions.map((session) => session.id ?? "");
    const path = join(root, "session", databaseName(id));
    for (const session of sessions) expect(session).toMatchObject({ visits: 5, cart: { ajillo: 1 }, path });

    const token = /name="token" value="(\w+)"/.exec(page)?.[1] ?? expect.fail();
    const daemon = daemonPid(root, "sqlite") ?? expect.fail();
    await browser.submit("/kill-daemon", { token });
    expect(isAlive(daemon)).toBe(false);
    const { keys } = await browser.session();
    expect(keys.report?.value).toMatchObject({ Lost: "0", Visits: "5 before, 25 after", Died: `pid ${daemon}` });
    expect(await (await browser.ask("/session.txt")).text()).toContain("visits");

    expect(await example.signalAll("SIGINT")).toBe(0);
    expect([...readdirSync(root).filter((name) => /\.(?:sock|lock|pid)$/.test(name)), ...daemonsOf(root)]).toEqual([]);
    expect(contentsOf(path).values.map(({ key }) => Buffer.from(String(key), "hex").toString())).toContain("visits");
  });

  test("says what it cannot do without the guard", async () => {
    const modules = join(root, "modules");
    mkdirSync(modules);
    symlinkSync(join(SQLITE_FOLDER, "node_modules/better-sqlite3"), join(modules, "better-sqlite3"));
    example = new Example(root, "0", { TYPE: "sqlite", NODE_PATH: modules });
    await example.says(/^While a Gambas program runs no session is changed.*: npm install --no-save koffi$/m);
    expect(await example.signalAll("SIGINT")).toBe(0);
  });
});

test("a type that there is not is told with those that there are", async () => {
  expect(await said({ TYPE: "sqlit" })).toMatch(/^1 TYPE is file, sqlite or redis, not "sqlit"\.\n$/);
});

// A Node that has SQLite never misses it.
if (process.getBuiltinModule?.("node:sqlite") === undefined) {
  test("without SQLite it says the command that installs it, and ends", async () => {
    expect(await said({ TYPE: "sqlite", NODE_PATH: "" })).toMatch(
      /^1 TYPE=sqlite needs SQLite: .*: npm install --no-save better-sqlite3@12 koffi\n$/,
    );
    expect(readdirSync(root)).toEqual([]);
  });
}

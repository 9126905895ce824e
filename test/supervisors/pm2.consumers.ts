// The real PM2: whatever it does to an application, the daemon goes on under the same pid while somebody needs it, no count is lost, and a reload
// fails no request. How long the slowest request takes is printed, beside the same application without sessions.

import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { freePort } from "../support/free-port.ts";
import { daemonPid, daemonsOf, freshRoot, isAlive, removeRoot, until } from "../support/processes.ts";
import { answering, Load, toText } from "./load.ts";
import { APPLICATION, Pm2 } from "./supervisors.ts";

const VISITORS = 8;
const FEW = 50;
/** A worker leaves in its own time, on a busy machine too. */
const UNHURRIED = ["--kill-timeout", "60000"];

let root: string;
let pm2: Pm2;
let port: number;

beforeAll(() => {
  pm2 = new Pm2();
});

afterAll(() => pm2.end());

beforeEach(async () => {
  root = freshRoot();
  port = await freePort();
});

afterEach(async () => {
  // PM2 has nothing to delete where the test has done it.
  await pm2.run(["delete", "all"]).catch(() => undefined);
  await removeRoot(root);
});

async function start(flags: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<void> {
  await pm2.run(["start", APPLICATION, "--name", "app", ...UNHURRIED, ...flags], {
    GAMBAS_SESSION_ROOT: root,
    PORT: String(port),
    ...env,
  });
  await answering(port);
}

/** Load, the command in the middle of it, and load afterwards. */
async function under(load: Load, command: string): Promise<void> {
  await load.more(FEW);
  await pm2.run([command, "app"]);
  await load.more(FEW);
  const tally = await load.end();
  console.log(`pm2 ${command}: ${toText(tally)}`);
  expect(tally.wrong).toEqual([]);
  // Between the end and the start of a restart nobody listens.
  if (command === "reload") expect(tally).toMatchObject({ errors: 0, unanswered: 0 });
}

describe.each([
  ["in cluster mode", ["-i", "4"], ["reload", "restart"]],
  ["in cluster mode without treekill", ["-i", "2", "--no-treekill"], ["reload"]],
  ["in fork mode", [], ["restart"]],
])("%s", (_, flags, commands) => {
  test(`${commands.join(" and ")} leave the daemon alone, and every count is right`, async () => {
    await start(flags);
    const pid = daemonPid(root);
    expect(pid).toBeDefined();
    for (const command of commands) {
      await under(new Load(port, VISITORS), command);
      expect(daemonPid(root)).toBe(pid);
    }
  });
});

test("the same without sessions, for comparison", async () => {
  await start(["-i", "4"], { CONTROL: "yes" });
  await under(new Load(port, VISITORS, true), "reload");
  expect(daemonsOf(root)).toEqual([]);
});

test.each(["delete", "kill"])("after pm2 %s the daemon leaves by itself, and nothing is left", async (command) => {
  await start(["-i", "2"], { IDLE_EXIT_MS: "1500" });
  const pid = daemonPid(root) ?? 0;
  await pm2.run(command === "kill" ? ["kill"] : [command, "app"]);
  await until(() => !isAlive(pid));
  expect(daemonsOf(root)).toEqual([]);
});

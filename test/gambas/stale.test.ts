// A Gambas program saves what it had loaded long before. Whoever else has read the file meanwhile, and however it is mounted, nothing of
// ours is undone for as long as is promised; and what a program changes on purpose stays, wherever it can be known that it is on purpose.
import { copyFileSync, cpSync, linkSync, readFileSync, renameSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { describeGambas, GambasHouse } from "../support/gambas/gambas.ts";
import type { OracleProcess } from "../support/gambas/oracle-process.ts";
import { kill, WorkerProcess } from "../support/processes.ts";
import { repository } from "../support/repository.ts";
import { NodeSide } from "./node-side.ts";
import { integer } from "./two-sides.ts";

/** Long past what may be called the same moment, well within `repairSeconds`. */
const LONG_MS = 250_000;
const REPAIRS_OVER_MS = 60_000;

let house: GambasHouse;
let node: NodeSide;
let daemon: WorkerProcess;
let id: string;

async function open(mount: string): Promise<void> {
  house = await GambasHouse.open();
  const { code, stderr } = await house.run("mount", ["-o", `remount,${mount}`, "/tmp"]);
  expect([code, stderr]).toEqual([0, ""]);
  await start();
}

async function start(): Promise<void> {
  const script = join(repository, "dist/test/gambas/programs/timed-daemon.js");
  const env = { GAMBAS_SESSION_ROOT: undefined, GAMBAS_SESSION_SOCKET: undefined };
  daemon = new WorkerProcess(house.startNode(script, [], { env, stdio: ["ignore", "inherit", "inherit", "ipc"] }));
  await daemon.call("pass", 0);
  node = NodeSide.start(house, { spawn: false });
}

/** A session that Node has made. */
async function newSession(): Promise<string> {
  const made = await node.run(null, ["set", "x", "old"], ["set", "gone", "here"], ["save"], ["read", "Id"]);
  return String(made.at(-1));
}

/** A Gambas program that has loaded the session, and goes on running. */
async function loaded(): Promise<OracleProcess> {
  const program = house.startOracle({ cookie: id });
  await program.do("touch");
  return program;
}

function commit(): Promise<unknown> {
  return node.run(id, ["set", "x", "new"], ["set", "k2", "added"], ["delete", "gone"], ["write", "Timeout", 900]);
}

const ours = { x: "new", k2: "added", gone: undefined, timeout: 900 };

async function found(...more: readonly string[]): Promise<Record<string, unknown>> {
  const keys = ["x", "k2", "gone", ...more];
  const values = await node.run(id, ...keys.map((key) => ["get", key] as const), ["read", "Timeout"]);
  return Object.fromEntries([...keys, "timeout"].map((key, place) => [key, values[place]]));
}

/** It saves all it has, with a change of its own. */
async function saveAndEnd(program: OracleProcess, key = "mine"): Promise<void> {
  await program.do("put", [[key, integer(1)]]);
  await program.end();
}

/** A short Gambas program, as for one request. */
function request(...commands: Parameters<GambasHouse["oracle"]>[0]): ReturnType<GambasHouse["oracle"]> {
  return house.oracle(commands, { cookie: id });
}

/** The daemon looks who is there: at a commit of another session. */
async function look(): Promise<void> {
  await node.run(null, ["set", "n", 1]);
}

const file = (): string => house.sessionFile(id);

async function command(name: string, ...args: readonly string[]): Promise<void> {
  expect(await house.run(name, args)).toMatchObject({ code: 0 });
}

function stampMs(): number {
  return readFileSync(file()).readDoubleLE(0) * 86_400_000;
}

/** Reads until one of them has stamped the file. */
async function readAndStamp(): Promise<void> {
  const before = stampMs();
  for (;;) {
    await node.ask(id, "get", "x");
    if (stampMs() !== before) return;
  }
}

const inside = (): string => `/tmp/gambas.${file().match(/gambas\.(\d+)/)?.[1]}/session/${id}`;

const meanwhile: readonly [string, () => unknown][] = [
  ["nobody", () => undefined],
  ["cat", () => command("cat", inside())],
  ["tar", () => command("tar", "cf", "/tmp/backup.tar", inside())],
  ["cp", () => command("cp", "-a", inside(), "/tmp/copy")],
  [
    "a backup that resets the access time",
    () => {
      readFileSync(file());
      utimesSync(file(), 1, new Date());
    },
  ],
  ["a backup that makes a hard link", () => linkSync(file(), `${house.outside("/tmp")}/link-${id.slice(-8)}`)],
  ["Gambas, which reads", () => request(["get", "x"])],
  ["Gambas, which changes another key", () => request(["put", [["other", integer(5)]]])],
  ["Node, which reads and stamps", readAndStamp],
  ["Node, which changes another key", () => node.run(id, ["set", "n", 1])],
  [
    "cat, then Node, which changes another key, then cat",
    async () => {
      await command("cat", inside());
      await node.run(id, ["set", "n", 1]);
      await command("cat", inside());
    },
  ],
  [
    "Node, which sets the same keys again and again",
    async () => {
      for (let round = 0; round < 20; round++) await node.run(id, ["set", "x", `${round}`], ["set", "gone", round]);
      await commit();
      await command("cat", inside());
    },
  ],
  [
    "a crowd of short Gambas programs",
    () => Promise.all(Array.from({ length: 12 }, (_, n) => house.oracle([["put", [["n", integer(n)]]]]))),
  ],
];

for (const mount of ["relatime", "noatime", "strictatime"]) {
  describeGambas(`a stale save on a file system mounted with ${mount}`, () => {
    beforeAll(() => open(mount));
    afterAll(() => house.close());
    beforeEach(async () => {
      id = await newSession();
    });

    it.each(meanwhile)("undoes nothing when the file was read meanwhile by %s", async (_who, read) => {
      const stale = await loaded();
      await commit();
      await read();
      await daemon.call("pass", LONG_MS);
      await saveAndEnd(stale);
      expect(await found("mine")).toEqual({ ...ours, mine: 1 });
      const [got] = await request(["get", "x"]);
      expect(got?.value).toEqual({ type: "String", value: "new" });
    });
  });
}

describeGambas("stale saves", () => {
  beforeAll(() => open("relatime"));
  afterAll(() => house.close());
  beforeEach(async () => {
    id = await newSession();
  });

  it("of two programs, one after the other, and of one that saves again and again, undo nothing", async () => {
    const [one, other] = [await loaded(), await loaded()];
    await commit();
    await command("cat", inside());
    for (let round = 0; round < 3; round++) {
      await one.do("put", [["n", integer(round)]]);
      await one.do("save");
      expect(await found("n")).toEqual({ ...ours, n: round });
      await daemon.call("pass", LONG_MS / 5);
    }
    await saveAndEnd(other);
    expect(await found("mine")).toEqual({ ...ours, mine: 1 });
    await one.end();
    expect(await found()).toEqual(ours);
  });

  it("undo nothing that a later program had loaded and saved with a change of its own", async () => {
    const stale = await loaded();
    await commit();
    await request(["put", [["other", integer(5)]]]);
    expect(await found("other")).toEqual({ ...ours, other: 5 });
    await daemon.call("pass", LONG_MS);
    await saveAndEnd(stale);
    // What the other program had set is between the two of them.
    expect(await found("mine")).toEqual({ ...ours, mine: 1 });
  });

  it("undo nothing when another program has loaded and saved it again before the daemon looked", async () => {
    const stale = await loaded();
    await commit();
    await command("cat", inside());
    kill(daemon.pid, "SIGSTOP");
    try {
      await stale.end();
      await request(["put", [["other", integer(5)]]]);
    } finally {
      kill(daemon.pid, "SIGCONT");
    }
    await daemon.call("pass", LONG_MS);
    expect(await found("other")).toEqual({ ...ours, other: 5 });
  });

  it("of a task undo nothing, although it began after the commit: its parent had the session loaded", async () => {
    const parent = await loaded();
    await commit();
    await command("cat", inside());
    await parent.do("fork");
    expect(await found("forked")).toEqual({ ...ours, forked: 1 });
    await parent.end();
    expect(await found()).toEqual(ours);
  });

  it("win when they come later than is promised", async () => {
    const stale = await loaded();
    await commit();
    await command("cat", inside());
    await daemon.call("pass", LONG_MS + REPAIRS_OVER_MS);
    await saveAndEnd(stale);
    expect(await found("mine")).toMatchObject({ x: "old", k2: undefined, gone: "here", mine: 1 });
  });
});

describeGambas("a change that brings the old value back on purpose", () => {
  beforeAll(() => open("relatime"));
  afterAll(() => house.close());
  beforeEach(async () => {
    id = await newSession();
  });

  const removed = { ...ours, k2: undefined };

  it("wins at once when no program was there before", async () => {
    await commit();
    await request(["remove", "k2"]);
    expect(await found()).toEqual(removed);
  });

  it("wins beside a program that has had the session loaded all the time", async () => {
    const long = await loaded();
    await commit();
    for (let round = 0; round < 3; round++) {
      await request(["remove", "k2"]);
      expect(await found()).toEqual(removed);
      await node.run(id, ["set", "k2", "added"]);
    }
    await saveAndEnd(long);
    expect(await found("mine")).toEqual({ ...ours, mine: 1 });
  });

  it("wins after a program that had loaded the older value has saved it, and was seen to be gone", async () => {
    const short = await loaded();
    await commit();
    await short.end();
    expect(await found()).toEqual(ours);
    await look();
    await request(["remove", "k2"]);
    expect(await found()).toEqual(removed);
  });

  it("wins when Node has changed another key since the program loaded", async () => {
    await commit();
    await daemon.call("pass", 2_000);
    await look();
    const program = await loaded();
    await program.do("remove", "k2");
    await node.run(id, ["set", "n", 1]);
    await program.end();
    expect(await found("n")).toEqual({ ...removed, n: 1 });
  });

  it("wins after a program that had loaded the older value has crashed, although its directory stays", async () => {
    const crashed = await loaded();
    await commit();
    await crashed.send("crash").catch(() => undefined);
    await request(["remove", "k2"]);
    expect(await found()).toEqual(removed);
  });
});

describeGambas("a file that is put back", () => {
  beforeAll(() => open("relatime"));
  afterAll(() => house.close());

  const backup = (): string => join(house.outside("/tmp"), "backup");

  /** A copy as it would have been made a minute ago. */
  function backUp(): void {
    const image = readFileSync(file());
    image.writeDoubleLE(image.readDoubleLE(0) - 60 / 86_400, 0);
    writeFileSync(backup(), image);
  }

  const ways: readonly [string, () => void][] = [
    ["written over the present one", () => copyFileSync(backup(), file())],
    ["with its times", () => cpSync(backup(), file(), { preserveTimestamps: true })],
    ["under its name in one step", () => renameSync(backup(), file())],
    [
      "after the present one was removed",
      () => {
        rmSync(file());
        writeFileSync(file(), readFileSync(backup()));
      },
    ],
  ];

  describe.each(["while no Gambas program runs", "beside one that has the session loaded"])("%s", (when) => {
    it.each(ways)("%s is what counts, and what Node does with it afterwards too", async (_way, putBack) => {
      id = await newSession();
      const long = when.startsWith("beside") ? await loaded() : undefined;
      backUp();
      await commit();
      putBack();
      expect(await found()).toEqual({ x: "old", k2: undefined, gone: "here", timeout: 86_400 });
      await node.run(id, ["set", "k2", "again"]);
      expect(await found()).toEqual({ x: "old", k2: "again", gone: "here", timeout: 86_400 });
      // It had the same loaded, but for what Node has done since.
      if (long !== undefined) await saveAndEnd(long);
      expect(await found()).toEqual({ x: "old", k2: "again", gone: "here", timeout: 86_400 });
    });
  });

  it("while no daemon runs is what counts too, although the next one knows what was committed", async () => {
    id = await newSession();
    const long = await loaded();
    backUp();
    await commit();
    await node.kill();
    await daemon.kill();
    renameSync(backup(), file());
    await start();
    expect(await found()).toEqual({ x: "old", k2: undefined, gone: "here", timeout: 86_400 });
    await long.end();
  });
});

// A worker of a storm: uses sessions as applications do, through the package by its name.

import { type Client, connect, type Handle, Session } from "gambas-session";
import { serveCalls } from "../support/processes.ts";
import { COUNTER, type Load, PATIENCE_MS, readEverything, runLoad, type Sessions } from "./load.ts";
import { Recorder } from "./recorder.ts";

let connecting: Promise<Client> | undefined;

function client(): Promise<Client> {
  const durability = process.argv[2] === "fsync" ? "fsync" : "file";
  connecting ??= connect({ waitMs: PATIENCE_MS, durability });
  return connecting;
}

async function open(id: string): Promise<Handle> {
  const handle = await (await client()).open(id);
  if (handle === undefined) throw new Error(`session ${id} is not there`);
  return handle;
}

let turns = 0;

/** The two interfaces take turns. */
function isTurnOfStatic(): boolean {
  turns += 1;
  return turns % 2 === 0;
}

const sessions: Sessions = {
  async read(id, key) {
    return isTurnOfStatic() ? Session.Run({ id }, () => Session.get(key)) : (await open(id)).get(key);
  },
  async commit(id, key, value) {
    if (isTurnOfStatic()) return Session.Run({ id }, () => Session.set(key, value));
    const handle = await open(id);
    handle.set(key, value);
    await handle.save();
  },
  async transaction(id, fn) {
    if (isTurnOfStatic()) return Session.Run({ id }, () => Session.Transaction(() => fn(Session)));
    return (await client()).transaction(id, fn);
  },
};

serveCalls({
  async create() {
    const handle = (await client()).create({ prefix: "storm" });
    handle.set(COUNTER, 0);
    await handle.save();
    return handle.id;
  },
  async run(load: Load, path: string) {
    await client();
    const recorder = new Recorder(path);
    await runLoad(load, sessions, recorder);
    recorder.close();
  },
  async readAll(sessionIds: readonly string[], names: readonly string[], path: string) {
    const recorder = new Recorder(path);
    await readEverything({ sessionIds, names }, sessions, recorder);
    recorder.close();
  },
});

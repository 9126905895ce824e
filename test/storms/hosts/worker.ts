// A worker of a storm over many hosts: uses sessions as applications do, through the package by its name, in three ways that take turns: by the static
// Session, by handles, and by requests to an HTTP server of its own.

import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { type Client, connect, type Handle, Session, session } from "gambas-session";
import { serveCalls } from "../../support/processes.ts";
import { COUNTER, type Keys, type Load, readEverything, runLoad, type Sessions } from "../load.ts";
import { Recorder } from "../recorder.ts";

const OPTIONS = {
  waitMs: 60_000,
  durability: process.env.STORM_DURABILITY === "replica" ? ("replica" as const) : ("file" as const),
};

let connecting: Promise<Client> | undefined;

function client(): Promise<Client> {
  connecting ??= connect(OPTIONS);
  return connecting;
}

async function open(id: string): Promise<Handle> {
  const handle = await (await client()).open(id);
  if (handle === undefined) throw missing(id);
  return handle;
}

function missing(id: string): Error {
  return Object.assign(new Error(`session ${id} is not there`), { code: "MISSING" });
}

const byHandle: Sessions = {
  async read(id, key) {
    return (await open(id)).get(key);
  },
  async commit(id, key, value) {
    const handle = await open(id);
    handle.set(key, value);
    await handle.save();
  },
  async transaction(id, fn) {
    await (await client()).transaction(id, fn);
  },
};

function inContext<T>(id: string, fn: () => T): Promise<Awaited<T>> {
  return Session.Run({ id }, async () => {
    if (Session.Id === null) throw missing(id);
    return await fn();
  }) as Promise<Awaited<T>>;
}

const byStatic: Sessions = {
  read: (id, key) => inContext(id, () => Session.get(key)),
  commit: (id, key, value) => inContext(id, () => Session.set(key, value)),
  transaction: (id, fn) => inContext(id, () => Session.Transaction(() => fn(Session as Keys))),
};

/** What the requests under way do, by number, and the code of what could not be saved of one. */
const deeds = new Map<string, () => unknown>();
const failures = new Map<string, string>();
let lastDeed = 0;
let url: Promise<string> | undefined;

async function serve(): Promise<string> {
  const middleware = session({
    ...OPTIONS,
    onError: (error, req) => failures.set(deedOf(req), (error as NodeJS.ErrnoException).code ?? String(error)),
  });
  const server = createServer((req, res) => {
    middleware(req, res, async () => {
      try {
        if (Session.Id === null) throw missing("of the request");
        const value = await deeds.get(deedOf(req))?.();
        res.end(JSON.stringify({ value: value ?? null }));
      } catch (error) {
        res.statusCode = 500;
        res.end(JSON.stringify({ code: (error as NodeJS.ErrnoException).code ?? String(error) }));
      }
    });
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

function deedOf({ url = "" }: { readonly url?: string | undefined }): string {
  return url.slice(1);
}

async function request(id: string, deed: () => unknown): Promise<unknown> {
  url ??= serve();
  lastDeed += 1;
  const number = String(lastDeed);
  deeds.set(number, deed);
  try {
    const answer = await fetch(`${await url}/${number}`, { headers: { cookie: `SESSION=${id}` } });
    const text = await answer.text();
    if (answer.ok) return (JSON.parse(text) as { value: unknown }).value;
    const said = text.startsWith("{") ? (JSON.parse(text) as { code: string }).code : undefined;
    throw Object.assign(new Error(text), { code: said ?? failures.get(number) ?? `HTTP ${answer.status}` });
  } finally {
    deeds.delete(number);
    failures.delete(number);
  }
}

const byRequest: Sessions = {
  read: (id, key) => request(id, () => Session.get(key)),
  async commit(id, key, value) {
    await request(id, () => Session.set(key, value));
  },
  async transaction(id, fn) {
    await request(id, () => Session.Transaction(() => fn(Session as Keys)));
  },
};

let turns = 0;

/** Requests cost the most. */
const WAYS: readonly Sessions[] = [byHandle, byStatic, byHandle, byStatic, byRequest];

function inTurn(): Sessions {
  turns += 1;
  return WAYS[turns % WAYS.length] as Sessions;
}

const sessions: Sessions = {
  read: (id, key) => inTurn().read(id, key),
  commit: (id, key, value) => inTurn().commit(id, key, value),
  transaction: (id, fn) => inTurn().transaction(id, fn),
};

/** Handles of slow requests, by what they are called. */
const slow = new Map<string, Handle>();

/** What became of it: "done", or the code of its error. */
async function outcomeOf(work: () => Promise<unknown>): Promise<string> {
  try {
    await work();
    return "done";
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? String(error);
  }
}

async function add(id: string, key: string): Promise<void> {
  await inTurn().transaction(id, async (keys) => keys.set(key, Number(keys.get(key) ?? 0) + 1));
}

serveCalls({
  async create(options: { prefix: string; id?: string; isUnique?: boolean }) {
    const handle = (await client()).create(options);
    handle.set(COUNTER, 0);
    const outcome = await outcomeOf(() => handle.save());
    return { id: handle.id, outcome };
  },
  async run(load: Load, path: string) {
    await client();
    const recorder = new Recorder(path);
    await runLoad(load, sessions, recorder);
    recorder.close();
  },
  async readAll(sessionIds: readonly string[], names: readonly string[], path: string) {
    const recorder = new Recorder(path);
    await readEverything({ sessionIds, names }, byHandle, recorder);
    recorder.close();
  },
  /** Keeps a handle as a request does that is slow. */
  async keep(id: string) {
    slow.set(id, await open(id));
  },
  async saveLate(id: string, key: string) {
    const handle = slow.get(id);
    slow.delete(id);
    handle?.set(key, -1);
    return outcomeOf(async () => handle?.save());
  },
  async regenerate(id: string, key: string, value: number) {
    const handle = slow.get(id);
    handle?.set(key, value);
    const outcome = await outcomeOf(async () => handle?.regenerate());
    return { id: handle?.id, outcome };
  },
  abandon: (id: string) => outcomeOf(async () => (await client()).abandon(id)),
  add: (id: string, key: string) => outcomeOf(() => add(id, key)),
  set: (id: string, key: string, value: unknown) => outcomeOf(() => inTurn().commit(id, key, value)),
  /** The values of some keys, or null where there is no session. */
  async look(id: string, keys: readonly string[]) {
    const handle = await (await client()).open(id);
    return handle === undefined ? null : keys.map((key) => handle.get(key) ?? null);
  },
  async list(prefix: string) {
    const found: string[] = [];
    for await (const { id } of (await client()).list({ prefix })) found.push(id);
    return found.sort();
  },
  async status() {
    return (await client()).status();
  },
});

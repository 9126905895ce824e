// The packed package in applications of real frameworks, which all answer the same requests. Installs what it needs: `npm run test:consumers`.

import { execFile } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Client } from "../../client/index.ts";
import { Browser } from "../support/example.ts";
import { HttpDoor } from "../support/http/http-house.ts";
import { repository } from "../support/repository.ts";
import { SessionHouse } from "../support/session-house.ts";
import { begin, type Differences, itAnswersAlike, LIKE_NODE, type Site, stored } from "./cases.ts";
import { itServesPackages } from "./packages.ts";
import { type Application, Project } from "./project.ts";

const APPS = "test/frameworks/apps";
const EXAMPLES = "client/examples/frameworks";
/** Applications that run under the older versions, too. */
const HAVE_OLDER = ["bodies.ts", "express.ts", "fastify.ts", "koa.ts", "nest.ts", "packages.ts", "pages.ts"];
const PATIENCE_MS = 600_000;

let house: SessionHouse;
let worker: Client;
let newest: Project;
let older: Project;
const complaints: Record<string, string> = {};

beforeAll(async () => {
  house = await SessionHouse.open({ maxSessionBytes: 1_000_000 });
  worker = house.worker();
  newest = Project.make(".");
  older = Project.make("older", newest);
  complaints["the applications"] = newest.compile(APPS);
  complaints["the examples"] = newest.compile(EXAMPLES);
  complaints["the applications, with older versions"] = older.compile(APPS, (name) => HAVE_OLDER.includes(name));
}, PATIENCE_MS);

afterAll(async () => {
  newest?.remove();
  older?.remove();
  await house.close();
});

/** Starts an application for the tests of a block. */
function served(make: () => Promise<Application>): () => Site {
  let app: Application | undefined;
  beforeAll(async () => {
    app = await make();
  });
  afterAll(() => app?.stop());
  return () => ({ house, worker, door: new HttpDoor(app?.port ?? 0) });
}

const env = (): NodeJS.ProcessEnv => ({ GAMBAS_SESSION_ROOT: house.root });

describe("with the types of their frameworks compile", () => {
  it.each(["the applications", "the examples", "the applications, with older versions"])("%s", (what) => {
    expect(complaints[what]).toBe("");
  });
});

/** Handlers of Request and Response have nobody who would tell them that the client has left. */
const LIKE_FETCH: Differences = { errors: "answered outside", keepsWhatNobodyWaitsFor: false };

const TABLE: readonly (readonly [
  framework: string,
  project: () => Project,
  app: string,
  args?: readonly string[],
  differences?: Differences,
])[] = [
  ["Express 5", () => newest, "express"],
  ["Express 4", () => older, "express"],
  ["connect 3", () => newest, "connect"],
  ["Fastify 5", () => newest, "fastify"],
  ["Fastify 4", () => older, "fastify"],
  ["Koa 3", () => newest, "koa"],
  ["Koa 2", () => older, "koa"],
  ["Hono 4", () => newest, "hono"],
  ["NestJS 12 on Express", () => newest, "nest", ["express"]],
  ["NestJS 12 on Fastify", () => newest, "nest", ["fastify"]],
  ["NestJS 11 on Express", () => older, "nest", ["express"]],
  ["NestJS 11 on Fastify", () => older, "nest", ["fastify"]],
  ["h3 2, around all of it", () => newest, "h3", [], { ...LIKE_FETCH, errors: "handled" }],
  ["a handler of fetch", () => newest, "fetch", [], LIKE_FETCH],
];

for (const [framework, project, app, args = [], differences = LIKE_NODE] of TABLE) {
  describe(`${framework} answers with`, () => {
    const of = served(() => project().start(`${APPS}/${app}.js`, args, env()));
    itAnswersAlike(of, differences);
    if (app === "fastify") fastifyCases(of);
    if (app === "koa") rawCase(of);
    if (app === "hono") honoCases(of);
  });
}

for (const [express, project] of [
  ["Express 5", () => newest],
  ["Express 4", () => older],
] as const) {
  for (const kind of ["drop-in", "store", "control"]) {
    describe(`${express} with packages for express-session and sessions of the ${kind}`, () => {
      itServesPackages(served(() => project().start(`${APPS}/packages.js`, [kind], env())));
    });
  }
}

function rawCase(of: () => Site): void {
  it("what is written past the framework", async () => {
    const reply = await of().door.ask("/raw");
    expect([reply.status, reply.text, await stored(of(), reply.cookie, "n")]).toEqual([200, "raw", "raw"]);
  });
}

function fastifyCases(of: () => Site): void {
  rawCase(of);

  it("the session in hooks that come after the plugin", async () => {
    const cookie = await begin(of());
    expect((await of().door.ask("/n", { cookie })).headers["x-session"]).toBe(cookie.slice("SESSION=".length));
  });

  it("the same to requests that are injected", async () => {
    const reply = JSON.parse((await of().door.ask("/injected")).text);
    expect(reply).toMatchObject({ begun: 200, read: "7", streamed: "one 7 three" });
    expect(await stored(of(), reply.cookie, "middle")).toBe("yes");
  });
}

function honoCases(of: () => Site): void {
  it("the same to requests that come from no server", async () => {
    const reply = JSON.parse((await of().door.ask("/requested")).text);
    expect(reply).toMatchObject({ begun: 200, read: "7", streamed: "one 7 three" });
    expect(await stored(of(), reply.cookie, "middle")).toBe("yes");
  });

  it("a response that other middleware has put in the place of its own", async () => {
    const reply = await of().door.ask("/replaced");
    expect([reply.text, await stored(of(), reply.cookie, "n")]).toEqual(["replaced", 1]);
  });

  it("what its helper for streams writes", async () => {
    const cookie = await begin(of());
    const reply = await of().door.ask("/helper", { cookie });
    expect([reply.text, await stored(of(), cookie, "helper")]).toEqual(["one two", "yes"]);
  });
}

/** What a client of a socket is answered: each message names a key of the session, which counts. */
async function say(kind: string, url: string, cookie: string, ...messages: readonly string[]): Promise<unknown> {
  const client = join(newest.folder, APPS, "socket-client.js");
  const { stdout } = await promisify(execFile)(process.execPath, [client, kind, url, cookie, ...messages]);
  return JSON.parse(stdout);
}

describe("a message of", () => {
  const of = served(() => newest.start(`${APPS}/sockets.js`, [], env()));

  it.each([
    ["ws 8", "ws"],
    ["socket.io 4, over a WebSocket", "websocket"],
    ["socket.io 4, over requests", "polling"],
  ])("%s belongs to the session of the request that it came by, and begins none", async (_name, kind) => {
    const cookie = await begin(of());
    const url = kind === "ws" ? `ws://127.0.0.1:${of().door.port}/ws` : `http://127.0.0.1:${of().door.port}`;
    expect(await say(kind, url, cookie, "n", "n", kind)).toEqual(["8", "9", "1"]);
    expect([await stored(of(), cookie, "n"), (await of().door.ask("/n", { cookie })).text]).toEqual([9, "9"]);
    expect(await say(kind, url, "", "n")).toEqual(["ERR_HEADERS_SENT"]);
  });
});

describe("the example for", () => {
  const COUNTING = ["express-session", "fastify", "fetch", "hono", "koa"];

  it("each framework is short, and tested", () => {
    const files = readdirSync(join(repository, EXAMPLES));
    expect(files.sort()).toEqual([...COUNTING, "sockets"].map((name) => `${name}.ts`).sort());
    const lines = files.map((name) => readFileSync(join(repository, EXAMPLES, name), "utf8").split("\n").length - 1);
    expect(lines.filter((count) => count >= 40)).toEqual([]);
  });

  it.each(COUNTING)("%s counts visits, and begins again", async (name) => {
    const app = await newest.start(`${EXAMPLES}/${name}.js`, [], { ...env(), PORT: "0" });
    try {
      const browser = new Browser(`http://127.0.0.1:${app.port}`);
      const visit = async (): Promise<string> => (await browser.ask("/")).text();
      expect(await visit()).toMatch(/^Visit 1 of /);
      expect(await visit()).toMatch(/^Visit 2 of /);
      const left = await browser.ask("/abandon", { method: "POST" });
      expect([left.status, browser.cookie]).toEqual([303, ""]);
      expect(await visit()).toMatch(/^Visit 1 of /);
    } finally {
      app.stop();
    }
  });

  it("sockets counts the messages of a session", async () => {
    const app = await newest.start(`${EXAMPLES}/sockets.js`, [], { ...env(), PORT: "0" });
    try {
      const browser = new Browser(`http://127.0.0.1:${app.port}`);
      await browser.ask("/");
      const url = `ws://127.0.0.1:${app.port}/`;
      expect(await say("ws", url, browser.cookie, "a", "b")).toEqual(["message 1", "message 2"]);
      expect(await (await browser.ask("/")).text()).toBe("2 messages so far\n");
    } finally {
      app.stop();
    }
  });
});

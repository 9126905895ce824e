// The packed package in an application of Next.js: route handlers with withSession(), and everything below a server that has session() around it.
// Once as Next.js bundles it, and once as `serverExternalPackages` leaves it. Installs what it needs: `npm run test:consumers`.

import { execFile } from "node:child_process";
import { cpSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Client } from "../../client/index.ts";
import { Browser } from "../support/example.ts";
import { HttpDoor } from "../support/http/http-house.ts";
import { freshRoot, removeRoot } from "../support/processes.ts";
import { repository } from "../support/repository.ts";
import { SessionHouse } from "../support/session-house.ts";
import { begin, type Differences, itAnswersAlike, type Site } from "./cases.ts";
import { Application, Project } from "./project.ts";

const APPS = "test/frameworks/apps";
const APP = "test/frameworks/next";
const EXAMPLE = "client/examples/next";
const PATIENCE_MS = 600_000;
/** As Next.js has its users set it. */
const LIKE_NEXT_CONFIG = { module: "preserve", moduleResolution: "bundler", jsx: "react-jsx" };
/** Next.js answers by itself what a handler throws, and tells no handler that its client has left. */
const LIKE_NEXT: Differences = { errors: "answered outside", keepsWhatNobodyWaitsFor: false };
const BUILDS = ["bundled", "external"] as const;
type Build = (typeof BUILDS)[number];

let house: SessionHouse;
let worker: Client;
let project: Project;
let rootOfBuilds: string;
const complaints: string[] = [];

const folder = (): string => join(project.folder, APP);
const nextProgram = (): string => join(project.folder, "node_modules/next/dist/bin/next");

function envOf(build: Build, root = house.root): NodeJS.ProcessEnv {
  return { BUILD: build, GAMBAS_SESSION_ROOT: root, NEXT_TELEMETRY_DISABLED: "1", NODE_ENV: "production" };
}

beforeAll(async () => {
  house = await SessionHouse.open({ maxSessionBytes: 1_000_000 });
  worker = house.worker();
  rootOfBuilds = freshRoot();
  project = Project.makeOutside("next");
  complaints.push(project.compile(APPS, (name) => ["bodies.ts", "pages.ts"].includes(name)));
  for (const from of [EXAMPLE, APP]) complaints.push(project.compile(from, () => true, LIKE_NEXT_CONFIG));
  cpSync(join(project.folder, EXAMPLE), folder(), { recursive: true });
  // Where it finds TypeScript, Next.js looks for a compiler of its own.
  for (const name of readdirSync(folder(), { recursive: true, encoding: "utf8" })) {
    if (/\.tsx?$|^tsconfig/.test(name)) rmSync(join(folder(), name));
  }
  writeFileSync(join(folder(), "package.json"), JSON.stringify({ type: "module", private: true }));
  await Promise.all(
    BUILDS.map((build) => {
      const env = { ...process.env, ...envOf(build, rootOfBuilds) };
      return promisify(execFile)(process.execPath, [nextProgram(), "build"], { cwd: folder(), env });
    }),
  );
}, PATIENCE_MS);

afterAll(async () => {
  project?.remove();
  await removeRoot(rootOfBuilds);
  await house.close();
});

/** Starts a server for the tests of a block, which ask below `base`. */
function served(base: string, make: () => Promise<Application>): () => Site {
  let app: Application | undefined;
  beforeAll(async () => {
    app = await make();
  });
  afterAll(() => app?.stop());
  return () => ({ house, worker, door: new HttpDoor(app?.port ?? 0, base) });
}

const startNext = (build: Build, root?: string): Promise<Application> =>
  Application.start(nextProgram(), ["start", folder(), "-p", "0", "-H", "127.0.0.1"], envOf(build, root));
const startServer = (build: Build, root?: string): Promise<Application> =>
  Application.start(join(folder(), "server.js"), [], { ...envOf(build, root), PORT: "0" });

function redirectCase(of: () => Site): void {
  it("a redirect that is thrown, with its own cookie and with one that Next.js was given", async () => {
    const reply = await of().door.ask("/thrown");
    const to = `${of().door.base}/n`;
    expect([reply.status, reply.headers.location, reply.setCookies.length]).toEqual([307, to, 2]);
    expect(reply.cookie).toContain("theme=dark");
    // Next.js has encoded it.
    expect((await of().door.ask("/n", { cookie: reply.cookie })).text).toBe("1");
  });
}

it("compiles with the types of Next.js, and needs no daemon to be built", () => {
  expect(complaints.join("")).toBe("");
  expect(readdirSync(rootOfBuilds)).toEqual([]);
});

describe.each(BUILDS)("%s, a route handler", (build) => {
  describe("with withSession() answers with", () => {
    const of = served("/fetch", () => startNext(build));
    itAnswersAlike(of, LIKE_NEXT);
    redirectCase(of);
  });

  describe("below session() answers with", () => {
    const of = served("/direct", () => startServer(build));
    itAnswersAlike(of);
    redirectCase(of);

    it("the same count in a handler of the Pages Router", async () => {
      const cookie = await begin(of());
      const door = new HttpDoor(of().door.port, "/api");
      const replies = await Promise.all(Array.from({ length: 20 }, () => door.ask("/count", { cookie })));
      expect(new Set(replies.map(({ text }) => text)).size).toBe(20);
      expect((await of().door.ask("/n", { cookie })).text).toBe("27");
    });
  });
});

/** What a page has hidden in its form, for an action without JavaScript. */
function hiddenFields(html: string): FormData {
  const form = new FormData();
  for (const [input] of html.matchAll(/<input type="hidden"[^>]*>/g)) {
    const attribute = (name: string): string => new RegExp(`${name}="([^"]*)"`).exec(input)?.[1] ?? "";
    form.append(attribute("name"), attribute("value"));
  }
  return form;
}

describe("the example", () => {
  it("is short", () => {
    const names = readdirSync(join(repository, EXAMPLE), { recursive: true, encoding: "utf8" });
    const lines = names.filter((name) => /\.tsx?$/.test(name)).map((name) => linesOf(join(repository, EXAMPLE, name)));
    expect([lines.length, lines.filter((count) => count >= 40)]).toEqual([4, []]);
  });

  it.each(BUILDS)("%s, finds its daemon, counts visits and begins again", async (build) => {
    const root = freshRoot();
    const app = await startNext(build, root);
    try {
      const browser = new Browser(`http://127.0.0.1:${app.port}`);
      const visit = async (): Promise<string> => (await browser.ask("/visits")).text();
      expect(await visit()).toMatch(/^Visit 1 of /);
      expect(await visit()).toMatch(/^Visit 2 of /);
      const left = await browser.ask("/visits", { method: "POST" });
      expect([left.status, left.headers.get("location"), browser.cookie]).toEqual([303, "/visits", ""]);
      expect(await visit()).toMatch(/^Visit 1 of /);
    } finally {
      app.stop();
      await removeRoot(root);
    }
  });

  it.each(BUILDS)("%s, below its server, keeps in an action what its page shows", async (build) => {
    const root = freshRoot();
    const app = await startServer(build, root);
    try {
      const browser = new Browser(`http://127.0.0.1:${app.port}`);
      const stranger = await browser.page();
      expect([stranger, browser.cookie]).toEqual([expect.stringContaining("Hello <!-- -->stranger"), ""]);
      const form = hiddenFields(stranger);
      form.append("name", "Ann");
      const kept = await browser.ask("/", { method: "POST", body: form });
      expect([kept.status, kept.headers.get("location"), browser.cookie]).toEqual([303, "/", expect.any(String)]);
      expect(await browser.page()).toContain("Hello <!-- -->Ann");
    } finally {
      app.stop();
      await removeRoot(root);
    }
  });
});

function linesOf(file: string): number {
  return readFileSync(file, "utf8").split("\n").length - 1;
}

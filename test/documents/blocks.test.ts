// Every block of code of every page is tried: this is what of it needs no more than we install ourselves. blocks.consumers.ts has the others.

import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { freshRoot } from "../support/processes.ts";
import { hasRedis, RedisProcess } from "../support/redis/redis-server.ts";
import { repository } from "../support/repository.ts";
import { complaintsOf } from "./commands.ts";
import { BEFORE, checkOf, moduleOf, packagesOf, REDIS } from "./kinds.ts";
import { type Block, readPage, readPages } from "./pages.ts";
import { Workshop } from "./workshop.ts";

const manifest = JSON.parse(readFileSync(join(repository, "package.json"), "utf8"));
const OURS = Object.keys({ ...manifest.dependencies, ...manifest.devDependencies });

const blocks = readPages().flatMap((page) => page.blocks);
const isHere = (text: string): boolean => packagesOf(text).every((name) => OURS.includes(name));
const blocksFor = (check: string) => blocks.filter((block) => checkOf(block) === check && block.word !== BEFORE);
const home = freshRoot();
let redis: RedisProcess | undefined;
let workshop: Workshop;

/** Written here, and bad. They are tried together with the good ones: starting a process costs most. */
const BAD = [
  '```js\nthrow new Error("thrown");\n```',
  '```js\nprocess.emitWarning("warned");\n```',
  '```js app\napp.get("/broken", () => { throw new Error("broken"); });\n```',
  '```js\nimport { session } from "gambas-session";\nsession({ maxage: 5 });\n```',
  "```ts request\nconst n: number = Session.Id;\n```",
].flatMap((text, index) => readPage(`bad-${index}.md`, text).blocks);
let ran: readonly string[];
let compiled: readonly string[];

beforeAll(async () => {
  redis = hasRedis ? await RedisProcess.start() : undefined;
  // Below the package, so that it finds itself by its name.
  const folder = join(repository, `dist/test/documents/blocks-${process.pid}`);
  workshop = new Workshop(folder, home, redis && { redis: redis.socketUrl });
  const own = (check: string) =>
    [...blocksFor(check).filter(isServed), ...BAD.filter((block) => checkOf(block) === check)].filter((block) =>
      isHere(moduleOf(block, home)),
    );
  [ran, compiled] = await Promise.all([workshop.run(own("run")), workshop.compile(own("compile"))]);
});

afterAll(async () => {
  await workshop.close();
  await redis?.remove();
});

/** Whether there is the server that it uses. */
function isServed({ language, text }: Block): boolean {
  return hasRedis || language !== "js" || !text.includes(REDIS);
}

const isOfBad = (complaint: string): boolean => complaint.includes("bad-");

describe("every block of code in the pages", () => {
  it("is of a kind that is known here", () => {
    expect(blocks.map(checkOf).filter((check) => check instanceof Error)).toEqual([]);
  });

  it("uses the frames that there are", () => {
    const names = readdirSync(join(repository, "test/documents/frames")).filter((name) => !name.endsWith(".d.ts"));
    const used = new Set([...blocks, ...BAD].map(({ word, language }) => `${word}.${language}`));
    expect(names.filter((name) => !used.has(name))).toEqual([]);
  });

  it(`of JavaScript runs, and what it serves is answered${hasRedis ? "" : " (but for those with Redis: needs redis-server)"}`, () => {
    expect(ran.filter((complaint) => !isOfBad(complaint))).toEqual([]);
  });

  it("of TypeScript compiles", () => {
    expect(compiled.filter((complaint) => !isOfBad(complaint))).toEqual([]);
  });

  it("of another package, as it was before, can be read", async () => {
    expect(await workshop.parse(blocks.filter(({ word }) => word === BEFORE))).toEqual([]);
  });

  it("of a shell is one of ours or of programs that are known, as a shell reads it", () => {
    const commands = blocksFor("commands");
    for (const { text } of commands) execFileSync("bash", ["-n"], { input: text });
    expect(commands.flatMap(complaintsOf)).toEqual([]);
  });

  it("of data is well formed", () => {
    for (const { text } of blocksFor("parse").filter(({ language }) => language === "json")) JSON.parse(text);
  });

  it("of a unit of systemd is of those that are in the package", () => {
    const folder = join(repository, "client/examples/systemd");
    const lines = readdirSync(folder).flatMap((name) => readFileSync(join(folder, name), "utf8").split("\n"));
    const units = blocksFor("parse").filter(({ language }) => language === "ini");
    expect(units.flatMap(({ text }) => text.split("\n")).filter((line) => !lines.includes(line))).toEqual([]);
  });
});

describe("a block is not taken for good", () => {
  const blockOf = (text: string) => readPage("page.md", text).blocks.slice(0, 1);

  it.each([
    ["without a language", "```\nx\n```"],
    ["in a language that nobody knows", "```cobol\nx\n```"],
    ["in a frame that is not there", "```js nowhere\nx\n```"],
  ])("%s", (_name, text) => expect(blockOf(text).map(checkOf)).toEqual([expect.any(Error)]));

  it("if it throws, warns, or answers with an error of its own", () => {
    expect(ran.filter(isOfBad)).toEqual([
      expect.stringContaining("bad-0.md:2: Error: thrown"),
      expect.stringContaining("warned"),
      expect.stringContaining("/broken answers 500"),
      expect.stringContaining("maxAge"),
    ]);
  });

  it("if the compiler complains", () => {
    expect(compiled.filter(isOfBad)).toEqual([expect.stringContaining("TS2322")]);
  });

  it.each([
    "gambas-sessiond lits",
    "npx gambas-sessiond end --prefx x",
    "npm run tset",
    "frobnicate --all",
    "FOO=1 sudo -u app rmm x",
  ])("if nobody knows the command %s", (line) =>
    expect(complaintsOf({ page: "page.md", line: 1, language: "sh", word: "", text: line })).toHaveLength(1),
  );
});

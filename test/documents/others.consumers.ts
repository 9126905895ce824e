// Blocks in languages that Node does not speak: each is given to the program that reads it, which must take it.

import { spawnSync } from "node:child_process";
import { copyFileSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { freshRoot } from "../support/processes.ts";
import { checkOf } from "./kinds.ts";
import { readPages } from "./pages.ts";

const folder = freshRoot();
const blocks = readPages().flatMap((page) => page.blocks.filter((block) => checkOf(block) === "program"));

afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Runs a program, which must end well. */
function ask(program: string, ...args: readonly string[]): void {
  const { status, stderr, stdout, error } = spawnSync(program, args, { encoding: "utf8", cwd: folder });
  expect(status, `${program}: ${error?.message ?? ""}${stderr}${stdout}`).toBe(0);
}

function put(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

const READERS: Readonly<Record<string, (text: string) => void>> = {
  gambas(text) {
    const project = join(folder, "page");
    mkdirSync(join(project, ".src"), { recursive: true });
    put("page/.project", "# Gambas Project File 3.0\nTitle=Block\nStartup=Main\nVersion=1.0.0\nComponent=gb.web\n");
    // Statements by themselves are those of a page.
    const isModule = /^Public Sub /m.test(text);
    put("page/.src/Main.module", `' Gambas module file\n\n${isModule ? text : `Public Sub Main()\n${text}\nEnd\n`}`);
    ask("gbc3", "-ga", project);
  },
  php(text) {
    ask("php", "-l", put("block.php", text));
  },
  nginx(text) {
    copyFileSync("/etc/nginx/fastcgi_params", join(folder, "fastcgi_params"));
    const server = `server { listen unix:${folder}/http.sock;\n${text}\n}`;
    const conf = `pid ${folder}/nginx.pid;\nerror_log stderr;\nevents {}\nhttp { access_log off;\n${server}\n}\n`;
    ask("nginx", "-t", "-p", folder, "-c", put("nginx.conf", conf));
  },
  lighttpd(text) {
    const modules = 'server.modules = ( "mod_alias", "mod_cgi", "mod_proxy" )';
    ask("lighttpd", "-tt", "-f", put("lighttpd.conf", `${modules}\nserver.document-root = "${folder}"\n${text}`));
  },
};

describe("a block for another program", () => {
  it.each(blocks.map((block) => [block.language, `${block.page}:${block.line}`, block] as const))(
    "in the language %s is taken by it: %s",
    (language, _, { text }) => {
      expect(Object.keys(READERS)).toContain(language);
      READERS[language]?.(text);
    },
    60_000,
  );

  it("is there in each of these languages", () => {
    expect(new Set(blocks.map(({ language }) => language))).toEqual(new Set(Object.keys(READERS)));
  });
});

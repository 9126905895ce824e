// What sessions in Redis need besides the server: the client's package, loaded when it is used, and the rights that the scripts call for.

import { execFileSync } from "node:child_process";
import { cpSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { neededRights } from "../../../../daemon/redis/server/rights.ts";
import { repository } from "../../../support/repository.ts";
import { sourcesOf } from "../../../support/sources.ts";

const OWN = "daemon/redis/server/rights";

describe("sessions in Redis need", () => {
  it("the rights to the commands of the scripts, and no others", () => {
    const scripts = sourcesOf("daemon/redis").filter(({ name }) => name !== OWN);
    const called = scripts.flatMap(({ text }) =>
      [...text.matchAll(/\bredis\.p?call\(\s*['"](\w+)['"]/gi)].map(([, name]) => name),
    );
    const wanted = new Set(called.map((name) => `+${String(name).toLowerCase()}`));
    const alone = ["+hello", "+client|tracking", "+info", "+eval", "+evalsha", "+scan", "+wait"];
    const rights = neededRights([], false, false).split(" ");
    expect([...rights].sort()).toEqual([...wanted, ...alone].sort());
    expect(wanted.size).toBeGreaterThan(5);
  });

  it("the package of the client, and say how to install it where it is missing, before anything is connected", () => {
    const folder = mkdtempSync(join(tmpdir(), "gs-"));
    for (const part of ["protocol", "daemon/redis", "daemon/report"]) {
      cpSync(join(repository, "dist", part), join(folder, part), { recursive: true });
    }
    writeFileSync(join(folder, "package.json"), '{"type":"module"}');
    const program = `
      import { connectLink } from "./daemon/redis/link/link.js";
      console.log("loaded");
      const options = { url: "redis://127.0.0.1:1", keyPrefixes: [], waitMs: 1e6, answerMs: 1e6, log: { warn() {} } };
      await connectLink(options).catch(({ code, message }) => console.log(code, message));`;
    writeFileSync(join(folder, "program.js"), program);
    const said = execFileSync(process.execPath, ["program.js"], {
      cwd: folder,
      encoding: "utf8",
      env: { ...process.env, NODE_PATH: "" },
    });
    expect(said).toMatch(
      /^loaded\nERR_BAD_OPTION .*@redis\/client, which is not installed: npm install @redis\/client@6\./,
    );
    rmSync(folder, { recursive: true });
  });
});

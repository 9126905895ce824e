// What a daemon accepts as its root directory, and what it says of one it refuses.

import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { prepareRoot } from "../../../daemon/config.ts";
import { SessionError } from "../../../protocol/errors.ts";

let place: string;

beforeEach(() => {
  place = mkdtempSync(join(tmpdir(), "gs-"));
});

afterEach(() => {
  rmSync(place, { recursive: true, force: true });
});

function modeOf(path: string): number {
  return statSync(path).mode & 0o777;
}

function refusalOf(root: string): string {
  try {
    prepareRoot(root);
  } catch (error) {
    if (error instanceof SessionError && error.code === "ERR_BAD_ROOT") return error.message;
    throw error;
  }
  return "";
}

describe("the root", () => {
  test("is made with its parents, for its owner only", () => {
    const root = join(place, "a", "b", "root");
    prepareRoot(root);
    expect(modeOf(root)).toBe(0o700);
  });

  test("may be there already", () => {
    prepareRoot(place);
    prepareRoot(place);
    expect(modeOf(place)).toBe(0o700);
  });

  test("gets the mode that Gambas gives it", () => {
    for (const mode of [0o755, 0o777, 0o500]) {
      chmodSync(place, mode);
      prepareRoot(place);
      expect(modeOf(place)).toBe(0o700);
    }
  });

  test("is refused when it is a symbolic link, wherever that leads", () => {
    mkdirSync(join(place, "real"));
    symlinkSync(join(place, "real"), join(place, "link"));
    symlinkSync(join(place, "nowhere"), join(place, "dangling"));
    expect(refusalOf(join(place, "link"))).toContain("is a symbolic link");
    expect(refusalOf(join(place, "dangling"))).toContain("is a symbolic link");
  });

  test("is refused when it is a file", () => {
    writeFileSync(join(place, "file"), "");
    expect(refusalOf(join(place, "file"))).toContain("is not a directory");
  });

  test("is refused with the system's reason when it cannot be made", () => {
    writeFileSync(join(place, "file"), "");
    symlinkSync(join(place, "nowhere"), join(place, "dangling"));
    expect(refusalOf(join(place, "file", "root"))).toContain("ENOTDIR");
    expect(refusalOf(join(place, "dangling", "root"))).toContain("EEXIST");
  });

  test.runIf(process.getuid?.() === 0)("is refused when it is another user's", () => {
    expect(refusalOf(foreignRoot())).toMatch(/belongs to uid \d+, not to 0/);
  });
});

/** Only root can give a directory away. */
function foreignRoot(): string {
  const root = join(place, "foreign");
  mkdirSync(root);
  chownSync(root, 12_345, 12_345);
  return root;
}

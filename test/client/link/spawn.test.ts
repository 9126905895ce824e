// What a client says of a daemon that it cannot start, and what to do about it.
import { expect, it, vi } from "vitest";
import { DaemonProgram } from "../../../client/link/daemon-program.ts";
import type { Start } from "../../../client/link/nobodys-child.ts";
import { spawnDaemon } from "../../../client/link/spawn.ts";

const PLACES = { root: "/somewhere", socket: "/somewhere/sessiond.sock", type: "file" } as const;
let start: Start;

vi.mock("../../../client/link/nobodys-child.ts", () => ({ startNobodysChild: async () => start }));

/** A program that is there; it is not run. */
const program = (): DaemonProgram => new DaemonProgram(PLACES, {}, process.execPath);

it.each([
  "Error: Access to this API has been restricted",
  "Error: Access to this API has been restricted. Use --allow-child-process to manage permissions.",
])("names the flag of Node's permission model: %s", async (said) => {
  start = { outcome: "failed", said };
  const { code, message } = (await spawnDaemon(PLACES, program(), 1000)) ?? {};
  expect(code).toBe("ERR_DAEMON_UNAVAILABLE");
  expect(message).toMatch(/restricted.*\)\. Node's permission model forbids it: .*--allow-child-process/);
  expect(message).not.toMatch(/install|\.\./);
});

it("adds no advice to that of a daemon that refuses to start", async () => {
  const said = "gambas-sessiond: ERR_BAD_ROOT: The root /somewhere cannot be made. The root must be a directory.";
  start = { outcome: "ended", said };
  await expect(spawnDaemon(PLACES, program(), 1000)).rejects.toMatchObject({
    code: "ERR_DAEMON_UNAVAILABLE",
    message: `A daemon for /somewhere could not be started: it ended. ${said}`,
  });
});

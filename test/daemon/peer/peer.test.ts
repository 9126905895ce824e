// What is asked of another daemon: what is said when there is none, and when there is one that does not answer.

import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { status as carryOut } from "../../../daemon/cli/status.ts";
import { Conversation, Peer } from "../../../daemon/peer/peer.ts";
import { Lab, newId } from "../../support/daemon/lab.ts";
import { freshRoot, keepLocked, kill, killAndWait, removeRoot, startDaemonProcess } from "../../support/processes.ts";

let root: string;
let server: Server | undefined;

beforeEach(() => {
  root = freshRoot();
});

afterEach(async () => {
  vi.useRealTimers();
  server?.close();
  server = undefined;
  await removeRoot(root);
});

/** What the command prints. */
async function status(at: string, form: "text" | "json"): Promise<string> {
  let said = "";
  await carryOut({
    options: { root: at },
    operands: [],
    form,
    say: async (text) => {
      said += text;
      return true;
    },
  });
  return said;
}

function retire(): Promise<number | undefined> {
  return new Peer({ root, socket: join(root, "sessiond.sock"), type: "file" }).retire();
}

/** Takes connections and says nothing, as a daemon that was stopped. */
async function stopped(): Promise<void> {
  server = createServer((socket) => socket.on("error", () => undefined).resume());
  server.listen(join(root, "sessiond.sock"));
  writeFileSync(join(root, "sessiond.pid"), "4711\n");
  await once(server, "listening");
}

test("of none is asked in vain", async () => {
  await expect(status(root, "text")).rejects.toThrow(`No daemon answers on ${root}/sessiond.sock.`);
  expect(await retire()).toBeUndefined();
});

test.each([
  ["how it is", () => status(root, "json")],
  ["to leave", () => retire()],
])("of one that does not answer is not waited for for ever, and its pid is named: %s", async (_, ask) => {
  await stopped();
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  const answer = expect(ask()).rejects.toMatchObject({
    code: "ERR_DAEMON_UNAVAILABLE",
    message: expect.stringMatching(/pid 4711.*has not answered.*kill -CONT 4711[^.]*kill -KILL 4711/),
  });
  await once(server as Server, "connection");
  vi.advanceTimersByTime(5_000);
  await answer;
});

describe("in the middle of what it was asked, a daemon", () => {
  const TIMERS = ["setTimeout", "clearTimeout", "setInterval", "clearInterval"] as const;
  const id = newId();

  async function begin(): Promise<Conversation> {
    const conversation = await Conversation.begin({ root, socket: join(root, "sessiond.sock"), type: "file" });
    if (conversation === undefined) throw new Error("no daemon has answered");
    return conversation;
  }

  test("that is stopped is not waited for for ever, and its pid is named", async () => {
    const { pid = 0 } = await startDaemonProcess(root);
    const conversation = await begin();
    kill(pid, "SIGSTOP");
    vi.useFakeTimers({ toFake: [...TIMERS] });
    const answer = expect(conversation.call("list", { after: "", prefix: null, limit: 1 })).rejects.toMatchObject({
      code: "ERR_DAEMON_UNAVAILABLE",
      message: expect.stringMatching(new RegExp(`pid ${pid}.*has not answered.*kill -CONT ${pid}`)),
    });
    await vi.advanceTimersByTimeAsync(10_000);
    vi.useRealTimers();
    await answer;
    await killAndWait(pid);
  });

  test("that waits itself is waited for as long as it is alive", async () => {
    const { pid = 0 } = await startDaemonProcess(root, ["--lock-wait-ms", "300000"]);
    const conversation = await begin();
    const keeper = await keepLocked(join(root, "session", `${id}.lock`));
    vi.useFakeTimers({ toFake: [...TIMERS] });
    const end = vi.fn();
    const answer = conversation.call("abandon", { sid: id }).finally(end);
    await vi.advanceTimersByTimeAsync(5_000);
    vi.useRealTimers();
    expect(end).not.toHaveBeenCalled();
    await killAndWait(keeper.pid ?? 0);
    await answer;
    conversation.close();
    await killAndWait(pid);
  });
});

test("what answers in another language is no daemon, and is named", async () => {
  server = createServer((socket) => socket.on("error", () => undefined).end("HTTP/1.1 400 Bad Request\r\n\r\n"));
  server.listen(join(root, "sessiond.sock"));
  await once(server, "listening");
  const refused = expect(status(root, "text")).rejects;
  await refused.toMatchObject({ code: "ERR_DAEMON_UNAVAILABLE", message: expect.stringContaining("sessiond.sock") });
});

test("tells people and programs the same", async () => {
  const lab = await Lab.open();
  const json = JSON.parse(await status(lab.root, "json")) as Record<string, unknown>;
  const text = await status(lab.root, "text");
  for (const name of Object.keys(json)) expect(text).toMatch(new RegExp(`^${name} `, "m"));
  await lab.close();
});

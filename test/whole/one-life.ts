// A short life of sessions under the root that is named, in this process: prints as JSON what the daemon says its file system lacks, what
// became of the sessions, and each read that did not see the write before it. For tests that mount things before it starts.

import { readdirSync } from "node:fs";
import { join } from "node:path";
import { Client } from "../../client/link/client.ts";
import { startDaemon } from "../../daemon/start.ts";

const COMMITS = 60;

const root = process.argv[2] ?? "";
const socket = process.argv[3] ?? join(root, "sessiond.sock");

async function live(): Promise<Record<string, unknown>> {
  const daemon = await startDaemon({ root, socket, logLevel: "silent" });
  const [anna, bert] = [new Client({ root, socket, spawn: false }), new Client({ root, socket, spawn: false })];
  const handle = anna.create({ prefix: "life" });
  handle.set("n", 1000);
  await handle.save();
  const id = handle.id ?? "";
  const missed: number[] = [];
  for (let n = 1001; n <= 1000 + COMMITS; n++) {
    const own = await (n % 2 === 0 ? anna : bert).open(id);
    own?.set("n", n);
    await own?.save();
    for (const reader of [anna, bert]) if ((await reader.open(id))?.get("n") !== n) missed.push(n);
  }
  await bert.transaction(id, (own) => own.set("n", Number(own.get("n")) + 1));
  const ended = bert.create({ prefix: "life" });
  ended.set("m", 1);
  await ended.save();
  await anna.abandon(ended.id ?? "");
  const names = readdirSync(join(root, "session")).filter((name) => !name.startsWith("."));
  const { fileSystem } = (await anna.status()) as { fileSystem: Record<string, boolean> };
  anna.close();
  bert.close();
  await daemon.stop();
  const again = await startDaemon({ root, socket, logLevel: "silent" });
  const later = new Client({ root, socket, spawn: false });
  const last = (await later.open(id))?.get("n");
  later.close();
  await again.stop();
  const hidden = readdirSync(join(root, "session")).filter((name) => name.startsWith("."));
  const lacking = Object.keys(fileSystem).filter((name) => fileSystem[name] !== true);
  return { lacking: lacking.sort(), last, missed, isAlone: names.length === 2, hidden };
}

const outcome = await live().catch((error: unknown) => ({ refused: String(error) }));
process.stdout.write(`${JSON.stringify(outcome)}\n`);
process.exit(0);

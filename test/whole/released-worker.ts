// A worker whose client waits as long as a test says, started from a release that the test removes or replaces under it.

import { Client } from "../../client/link/client.ts";
import { serveCalls } from "../support/processes.ts";

const client = new Client({ waitMs: Number(process.argv[2] ?? 10_000) });

serveCalls({
  async create(values: Record<string, unknown>) {
    const handle = client.create({ prefix: "released" });
    for (const [key, value] of Object.entries(values)) handle.set(key, value);
    await handle.save();
    return handle.id;
  },
  async get(id: string, key: string) {
    return (await client.open(id))?.get(key) ?? null;
  },
  async set(id: string, key: string, value: unknown) {
    const handle = await client.open(id);
    handle?.set(key, value);
    await handle?.save();
    return handle !== undefined;
  },
  async daemonPid() {
    return (await client.status()).pid;
  },
});

// Where the example runs: on this machine alone, with sessions in files, or with TYPE=sqlite in databases; or with TYPE=redis on two "hosts" of one
// Redis, each with a root, a daemon and two workers of its own, and a way to Redis that can be cut.

import type { Worker } from "node:cluster";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type DaemonOfRoot, ensureDaemon, leaveDaemon } from "./own-daemon.ts";
import { ensureRedis } from "./own-redis.ts";
import { checkSqlite } from "./own-sqlite.ts";
import { freePort, freePortBehind } from "./ports.ts";
import { Relay } from "./relay.ts";
import { Team } from "./team.ts";

export const WORKERS = 4;
const HOSTS = 2;

export interface Host {
  readonly url: string;
  readonly daemon: DaemonOfRoot;
  readonly team: Team;
  /** Undefined where there is no network to be cut. */
  readonly relay: Relay | undefined;
}

/** What was started is ended in the other order. */
export type Ends = (() => Promise<void> | void)[];

type Environment = Readonly<Record<string, string>>;

/** @param env what all workers find in their environment. */
export async function openHosts(
  { PORT, TYPE }: NodeJS.ProcessEnv,
  env: Environment,
  ends: Ends,
): Promise<readonly Host[]> {
  const common = { ...env, WORKERS: String(WORKERS) };
  if (TYPE === "redis") return openTwo(await freePort(PORT), common, ends);
  const type = typeNamed(TYPE);
  if (type === "sqlite") checkSqlite();
  const port = await freePort(PORT);
  const daemon = await ensureDaemon(type === undefined ? {} : { type });
  ends.push(() => leaveDaemon(daemon));
  const where = type === undefined ? {} : { GAMBAS_SESSION_TYPE: type };
  const team = new Team(WORKERS, { ...common, ...where, PORT: String(port) });
  ends.push(() => team.stop());
  return [{ url: urlOf(port), daemon, team, relay: undefined }];
}

/** Undefined: whatever the environment says. */
function typeNamed(type: string | undefined): "file" | "sqlite" | undefined {
  if (type === undefined || type === "") return undefined;
  if (type === "file" || type === "sqlite") return type;
  throw new Error(`TYPE is file, sqlite or redis, not ${JSON.stringify(type)}.`);
}

async function openTwo(port: number, common: Environment, ends: Ends): Promise<readonly Host[]> {
  const redis = await ensureRedis(process.env.GAMBAS_SESSION_REDIS);
  ends.push(() => redis.end());
  const ports = [port, await freePortBehind(port)];
  const HOST_URLS = ports.map(urlOf).join(" ");
  const hosts: Host[] = [];
  for (const [index, own] of ports.entries()) {
    const relay = await Relay.open(redis.address);
    ends.push(() => relay.close());
    const root = mkdtempSync(join(tmpdir(), "gs-host-"));
    ends.push(() => rmSync(root, { recursive: true, force: true }));
    const url = redis.urlAt(relay.port);
    const daemon = await ensureDaemon({ root, type: "redis", redis: url });
    // With the network: a daemon that is cut off would first wait for it.
    ends.push(
      () => relay.heal(),
      () => leaveDaemon(daemon),
    );
    const where = { GAMBAS_SESSION_ROOT: root, GAMBAS_SESSION_TYPE: "redis", GAMBAS_SESSION_REDIS: url };
    const size = WORKERS / HOSTS;
    const env = { ...common, ...where, PORT: String(own), HOST: String(index + 1), HOST_URLS };
    const team = new Team(size, env, 1 + index * size);
    ends.push(() => team.stop());
    hosts.push({ url: urlOf(own), daemon, team, relay });
  }
  return hosts;
}

export function hostOf(hosts: readonly Host[], worker: Worker): Host | undefined {
  return hosts.find(({ team }) => team.has(worker));
}

function urlOf(port: number): string {
  return `http://127.0.0.1:${port}/`;
}

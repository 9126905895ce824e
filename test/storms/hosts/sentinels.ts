// A master, replicas and Sentinels, each on a host of its own, and what happens to the master.

import type { NetworkHost } from "../../support/network.ts";
import { until } from "../../support/processes.ts";
import { KEEPING, REDIS_PORT, RedisProcess, SENTINEL_PORT } from "../../support/redis/redis-server.ts";
import type { Fault } from "./faults.ts";

const NAME = "sessions";
export const DOWN_AFTER_MS = 1_000;
/** As README recommends: a master that no replica follows takes nothing. What it has answered a replica has: its own disk need not. */
const GUARDED = [
  ...KEEPING,
  ...["--appendfsync", "everysec"],
  "--min-replicas-to-write",
  "1",
  "--min-replicas-max-lag",
  "1",
  "--repl-diskless-sync-delay",
  "0",
];

interface Node {
  readonly place: NetworkHost;
  readonly redis: RedisProcess;
}

interface Watcher {
  readonly place: NetworkHost;
  readonly sentinel: RedisProcess;
}

export class Sentinels {
  readonly #nodes: readonly Node[];
  readonly #watchers: readonly Watcher[];
  /** From the beginning of each failover until everybody follows the new master, in ns of the clock that all processes share. */
  readonly failovers: { readonly fromNs: number; toNs: number }[] = [];

  private constructor(nodes: readonly Node[], watchers: readonly Watcher[]) {
    this.#nodes = nodes;
    this.#watchers = watchers;
  }

  /** Each place has a Sentinel, the first one the master, and so many others a replica. Resolves when all is well. */
  static async start(places: readonly NetworkHost[], replicas: number): Promise<Sentinels> {
    const [first] = places;
    if (first === undefined) throw new Error("no place for a master");
    const watched = [
      `monitor ${NAME} ${first.address} ${REDIS_PORT} 2`,
      `down-after-milliseconds ${NAME} ${DOWN_AFTER_MS}`,
      `failover-timeout ${NAME} 3000`,
    ].map((line) => `sentinel ${line}`);
    const nodes: Node[] = [];
    for (const place of places.slice(0, 1 + replicas)) {
      const follows = place === first ? [] : ["--replicaof", first.address, String(REDIS_PORT)];
      nodes.push({ place, redis: await RedisProcess.startOn(place, [...GUARDED, ...follows]) });
    }
    const watchers: Watcher[] = [];
    for (const place of places) watchers.push({ place, sentinel: await RedisProcess.startSentinelOn(place, watched) });
    const sentinels = new Sentinels(nodes, watchers);
    await sentinels.#areWell();
    return sentinels;
  }

  get url(): string {
    const addresses = this.#watchers.map(({ place }) => `${place.address}:${SENTINEL_PORT}`);
    return `redis+sentinel://${addresses.join(",")}/${NAME}`;
  }

  async remove(): Promise<void> {
    for (const server of [...this.#nodes.map(({ redis }) => redis), ...this.#watchers.map(({ sentinel }) => sentinel)])
      await server.remove();
  }

  /** kill -9; it comes back when all Sentinels know which one has taken over. */
  killMaster(): Fault {
    let dead: Node | undefined;
    return this.#failover("masters killed", {
      begin: async (master) => {
        dead = master;
        await master.redis.kill();
        return this.#watchers;
      },
      end: async () => dead?.redis.startAgain(),
    });
  }

  /** Its host is cut off, with the Sentinel on it and whatever else. */
  cutMaster(): Fault {
    let alone: Node | undefined;
    return this.#failover("masters cut off", {
      begin: (master) => {
        alone = master;
        master.place.cut();
        return this.#watchers.filter(({ place }) => place !== master.place);
      },
      end: () => alone?.place.heal(),
    });
  }

  #failover(name: string, { begin, end }: Going): Fault {
    return {
      name,
      begin: async () => {
        // A machine that stood still for a second has had another master by itself.
        const master = await this.#areWell();
        this.failovers.push({ fromNs: Number(process.hrtime.bigint()), toNs: Number.POSITIVE_INFINITY });
        const watchers = await begin(master);
        await until(() =>
          this.#nodes.some((next) => next !== master && isMaster(next.redis) && areFor(next, watchers)),
        );
      },
      end: async () => {
        await end();
        await this.#areWell();
        const last = this.failovers.at(-1);
        if (last !== undefined) last.toNs = Number(process.hrtime.bigint());
      },
    };
  }

  get #master(): Node | undefined {
    const masters = this.#nodes.filter(({ redis }) => isMaster(redis));
    return masters.length === 1 ? masters[0] : undefined;
  }

  /** One master, to which this resolves, which all others follow, and all Sentinels know of all. */
  #areWell(): Promise<Node> {
    const others = this.#nodes.length - 1;
    const knows = new RegExp(`status=ok,address=[^,]*,slaves=${others},sentinels=${this.#watchers.length}`);
    return until(() => {
      const master = this.#master;
      if (master === undefined) return undefined;
      const online = said(master.redis).match(/state=online/g)?.length ?? 0;
      const isKnown = this.#watchers.every(({ sentinel }) => knows.test(sentinel.cli("INFO", "sentinel")));
      return online === others && isKnown ? master : undefined;
    });
  }
}

/** How a master goes, and comes back as what it is then. */
interface Going {
  /** Returns those who will know of the next one. */
  begin(master: Node): readonly Watcher[] | Promise<readonly Watcher[]>;
  end(): void | Promise<void>;
}

function areFor({ place }: Node, watchers: readonly Watcher[]): boolean {
  return watchers.every(({ sentinel }) =>
    sentinel.cli("SENTINEL", "GET-MASTER-ADDR-BY-NAME", NAME).startsWith(`${place.address}\n`),
  );
}

function isMaster(redis: RedisProcess): boolean {
  return redis.isRunning && /role:master/.test(said(redis));
}

/** Nothing of one that is about to end, or to begin. */
function said(redis: RedisProcess): string {
  try {
    return redis.cli("INFO", "replication");
  } catch {
    return "";
  }
}

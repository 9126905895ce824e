// What goes wrong in a storm, and when: after so many operations, never after so much time, so that a slow machine has the same storm.

import { kill, until, type WorkerProcess } from "../../support/processes.ts";
import type { RedisProcess } from "../../support/redis/redis-server.ts";
import type { Random } from "../../support/values/random.ts";
import type { AppHost } from "./app-host.ts";

export interface Fault {
  readonly name: string;
  begin(): void | Promise<void>;
  /** Of what lasts for some operations. */
  end?(): void | Promise<void>;
}

/** How far the load has come. */
export interface Progress {
  /** Operations that have begun. */
  count(): number;
  isOver(): boolean;
}

/** Looks at which nothing has moved: then a fault has stopped all there is, and nobody would come to its end. */
const LOOKS_STILL = 150;

/** Carries out one fault after the other, evenly over the operations. Resolves to how often each was carried out. */
export async function carryOut(plan: readonly Fault[], operations: number, progress: Progress): Promise<Faults> {
  const done: Record<string, number> = {};
  const part = operations / (plan.length + 1);
  for (const [n, fault] of plan.entries()) {
    await until(() => progress.isOver() || progress.count() >= (n + 1) * part);
    if (progress.isOver()) break;
    await fault.begin();
    if (fault.end !== undefined) {
      await pass(part / 2, progress);
      await fault.end();
    }
    done[fault.name] = (done[fault.name] ?? 0) + 1;
  }
  return done;
}

export type Faults = Readonly<Record<string, number>>;

async function pass(operations: number, progress: Progress): Promise<void> {
  const goal = progress.count() + operations;
  let [last, still] = [progress.count(), 0];
  await until(() => {
    const now = progress.count();
    still = now === last ? still + 1 : 0;
    last = now;
    return progress.isOver() || now >= goal || still >= LOOKS_STILL;
  });
}

/** Some of each, in an order of chance. */
export function shuffled(random: Random, some: readonly (readonly [count: number, make: () => Fault])[]): Fault[] {
  const plan = some.flatMap(([count, make]) => Array.from({ length: count }, make));
  for (let n = plan.length - 1; n > 0; n--) {
    const other = random.below(n + 1);
    [plan[n], plan[other]] = [plan[other] as Fault, plan[n] as Fault];
  }
  return plan;
}

export function killDaemon(host: AppHost): Fault {
  return { name: "daemons killed", begin: () => host.killDaemon() };
}

export function stopDaemon(host: AppHost): Fault {
  let stopped: number | undefined;
  return {
    name: "daemons stopped",
    begin() {
      stopped = host.daemon;
      if (stopped !== undefined) kill(stopped, "SIGSTOP");
    },
    end() {
      if (stopped !== undefined) kill(stopped, "SIGCONT");
    },
  };
}

/** Answers of the next calls are thrown away, and their connection broken: what was asked for has been done, and nobody knows. */
interface Status {
  readonly redis?: { readonly isConnected?: boolean };
}

/** A worker of each host that only asks. */
const askers = new WeakMap<AppHost, WorkerProcess>();

/** Ends when the daemon has a connection again: without one for as long as calls wait for it, they would fail as they should. */
export function loseAnswers(host: AppHost): Fault {
  return {
    name: "answers lost",
    async begin() {
      const before = await host.connections();
      await host.makeWay("loses");
      // The daemon connects again as soon as it has lost some: what it says then is lost as well.
      let now = before;
      while (now === before) now = await host.connections();
      await host.makeWay("passes");
      const asking = askers.get(host) ?? host.startWorker();
      askers.set(host, asking);
      while ((await asking.call<Status>("status")).redis?.isConnected !== true);
    },
  };
}

/** With the answer goes who would have looked what became of it: only what stands in Redis tells the next one. */
export function loseAnswersAndDaemon(host: AppHost): Fault {
  return {
    name: "daemons killed behind lost answers",
    async begin() {
      const before = await host.connections();
      await host.makeWay("loses");
      let now = before;
      while (now === before) now = await host.connections();
      await host.killDaemon();
      await host.makeWay("passes");
    },
  };
}

export function killRedis(redis: RedisProcess): Fault {
  return {
    name: "Redis killed",
    async begin() {
      await redis.kill();
      await redis.startAgain();
    },
  };
}

export function stopRedis(redis: RedisProcess): Fault {
  return {
    name: "Redis stopped",
    begin: () => redis.signal("SIGSTOP"),
    end: () => redis.signal("SIGCONT"),
  };
}

export function flushScripts(redis: RedisProcess): Fault {
  return { name: "scripts flushed", begin: () => void redis.cli("SCRIPT", "FLUSH") };
}

export function killClients(redis: RedisProcess): Fault {
  return { name: "connections killed", begin: () => void redis.cli("CLIENT", "KILL", "TYPE", "normal") };
}

/** The link of a host swallows everything. */
export function cutLink(link: { cut(): void; heal(): void }): Fault {
  return { name: "links cut", begin: () => link.cut(), end: () => link.heal() };
}

// Node workers that commit to a session of type sqlite all the time, and Gambas programs that come, change it and go, one after the other, as the requests of
// a CGI site do: what each lost, and how long each waited. Two Gambas programs at once stall each other by themselves, so a session has one at a time.

import { GambasHouse, type SpawnOptions } from "../support/gambas/gambas-house.ts";
import { NodeSide } from "./node-side.ts";

export interface SqliteOutcome {
  /** Programs that have run, the changes that they saved in all, and those of them that are not there in the end. */
  readonly gambasRuns: number;
  readonly gambasSaves: number;
  readonly gambasLost: number;
  /** Of one save inside a program, and of a whole program from its start to its end. */
  readonly longestSaveMs: number;
  readonly longestRunMs: number;
  /** Transactions that were acknowledged, and those that are not in their counter. */
  readonly transactions: number;
  readonly transactionsLost: number;
  /** Plain commits that were acknowledged, and keys of theirs that do not hold their last value. */
  readonly plainCommits: number;
  readonly keysWrong: number;
  readonly longestCommitMs: number;
}

export interface SqliteStorm {
  /** Ends it: so many programs have run, or so long has it taken. */
  readonly runs: number;
  readonly mostMs: number;
  /** Changes of one program, each with a save of its own. */
  readonly savesPerRun: number;
  /** Between two commits of a worker. */
  readonly pauseMs: number;
}

const KEYS = 8;

export class SqliteNeighbours {
  readonly house: GambasHouse;
  readonly #workers: readonly NodeSide[];

  private constructor(house: GambasHouse, workers: readonly NodeSide[]) {
    this.house = house;
    this.#workers = workers;
  }

  /** @param env of the workers and the daemon that they start. */
  static async open(workers: number, env: SpawnOptions["env"] = {}): Promise<SqliteNeighbours> {
    const house = await GambasHouse.open();
    const start = (): NodeSide => NodeSide.start(house, { type: "sqlite", daemon: { lockWaitMs: 60_000 } }, env);
    return new SqliteNeighbours(house, Array.from({ length: workers }, start));
  }

  close(): Promise<void> {
    return this.house.close();
  }

  async storm({ runs, mostMs, savesPerRun, pauseMs }: SqliteStorm): Promise<SqliteOutcome> {
    const [first] = this.#workers;
    if (first === undefined) throw new Error("nobody lives here");
    const [, , read] = await first.run(null, ["set", "g", 0], ["set", "n", 0], ["read", "Id"]);
    const id = String(read);
    let isOver = false;
    const work = this.#workers.map((worker, place) => commitAlways(worker, place));
    const gambas = await this.#programs(id, { runs, mostMs, savesPerRun }).finally(() => {
      isOver = true;
    });
    const done = await Promise.all(work);
    const values = new Map((await first.dump(id)).map(({ key, value }) => [key, value]));
    const transactions = sumOf(done, "transactions");
    return {
      ...gambas,
      gambasLost: gambas.gambasSaves - Number(values.get("g")),
      transactions,
      transactionsLost: transactions - Number(values.get("n")),
      plainCommits: sumOf(done, "plainCommits"),
      keysWrong: this.#wrong(values),
      longestCommitMs: Math.max(...done.map(({ longestMs }) => longestMs)),
    };

    async function commitAlways(worker: NodeSide, place: number): Promise<Work> {
      const sum = { transactions: 0, plainCommits: 0, longestMs: 0 };
      while (!isOver) {
        const beganMs = performance.now();
        sum.transactions += await worker.add(id, "n", 1);
        sum.plainCommits += await worker.setMany(id, `w${place}-`, KEYS);
        sum.longestMs = Math.max(sum.longestMs, Math.round(performance.now() - beganMs));
        if (pauseMs > 0) await new Promise((resolve) => setTimeout(resolve, pauseMs));
      }
      return sum;
    }
  }

  async #programs(
    id: string,
    { runs, mostMs, savesPerRun }: Pick<SqliteStorm, "runs" | "mostMs" | "savesPerRun">,
  ): Promise<Pick<SqliteOutcome, "gambasRuns" | "gambasSaves" | "longestSaveMs" | "longestRunMs">> {
    const sum = { gambasRuns: 0, gambasSaves: 0, longestSaveMs: 0, longestRunMs: 0 };
    const endMs = performance.now() + mostMs;
    while (sum.gambasRuns < runs && performance.now() < endMs) {
      const beganMs = performance.now();
      const [, loop] = await this.house.oracle(
        [
          ["write", "Type", "sqlite"],
          ["increment", { key: "g", times: savesPerRun }],
        ],
        { cookie: id },
      );
      sum.gambasRuns += 1;
      sum.gambasSaves += loop?.done ?? 0;
      sum.longestSaveMs = Math.max(sum.longestSaveMs, loop?.longest ?? 0);
      sum.longestRunMs = Math.max(sum.longestRunMs, Math.round(performance.now() - beganMs));
    }
    return sum;
  }

  #wrong(values: ReadonlyMap<string, unknown>): number {
    let wrong = 0;
    for (const place of this.#workers.keys()) {
      for (let key = 0; key < KEYS; key++) if (values.get(`w${place}-${key}`) !== key) wrong += 1;
    }
    return wrong;
  }
}

interface Work {
  readonly transactions: number;
  readonly plainCommits: number;
  readonly longestMs: number;
}

function sumOf(done: readonly Work[], name: keyof Work): number {
  return done.reduce((sum, work) => sum + work[name], 0);
}

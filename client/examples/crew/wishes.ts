// What a worker of the example asks of the primary, which alone knows every process: a message each way over the channel of node:cluster.

import cluster, { type Worker } from "node:cluster";

export interface Wishes {
  /** Pid of the daemon that serves now. */
  "which daemon": { readonly wish: null; readonly answer: Daemon };
  /** Answered when it is being killed; null where it is not the example's own. */
  "kill the daemon": { readonly wish: null; readonly answer: Daemon | null };
  /** By its number: nothing comes from there to Redis any more, or back. False where it is cut off already. */
  "cut a host off": { readonly wish: number; readonly answer: boolean };
  "heal a host": { readonly wish: number; readonly answer: null };
  /** Answered when its successor listens; null where no such worker is at that place any more. */
  "kill a worker": { readonly wish: Mortal; readonly answer: Succession | null };
}

export interface Daemon {
  readonly pid: number;
  /** Started by the example, and not by somebody else before it. */
  readonly isOurs: boolean;
}

export interface Mortal {
  /** Of the place in the team. */
  readonly number: number;
  readonly pid: number;
}

export interface Succession {
  /** Pid of the worker that took the place. */
  readonly pid: number;
  /** From the death to the moment when the successor listens. */
  readonly ms: number;
}

export type WishName = keyof Wishes;

export type Grants = { readonly [N in WishName]: (wish: Wishes[N]["wish"]) => Promise<Wishes[N]["answer"]> };

interface Question {
  readonly number: number;
  readonly name: WishName;
  readonly wish: never;
}

interface Answer {
  readonly number: number;
  readonly answer?: unknown;
  readonly problem?: string;
}

/** In the primary: answers the wishes of all workers. */
export function grantWishes(grantsOf: (worker: Worker) => Grants): void {
  cluster.on("message", async (worker, question: Question) => {
    const answer = await answerTo(question, () => grantsOf(worker));
    // It may have died meanwhile, and nobody waits any more.
    if (worker.isConnected()) worker.send(answer);
  });
}

async function answerTo({ number, name, wish }: Question, grants: () => Grants): Promise<Answer> {
  try {
    return { number, answer: await grants()[name](wish) };
  } catch (error) {
    return { number, problem: String(error) };
  }
}

const waiting = new Map<number, (answer: Answer) => void>();
let lastNumber = 0;

/** In a worker. */
export function wish<N extends WishName>(name: N, wish: Wishes[N]["wish"]): Promise<Wishes[N]["answer"]> {
  if (lastNumber === 0) process.on("message", receive);
  lastNumber += 1;
  const number = lastNumber;
  return new Promise((resolve, reject) => {
    waiting.set(number, ({ answer, problem }) => {
      if (problem === undefined) resolve(answer as Wishes[N]["answer"]);
      else reject(new Error(problem));
    });
    process.send?.({ number, name, wish });
  });
}

function receive(answer: Answer): void {
  waiting.get(answer.number)?.(answer);
  waiting.delete(answer.number);
}

// The experiments of the page: twenty visits at once, alone or around a worker or a daemon that is killed. What happened is told by the session.

import { Session } from "gambas-session";
import { type Mortal, wish } from "./crew/wishes.ts";
import { Refusal } from "./form.ts";
import { millisecondsText } from "./look/figures.ts";
import { countOf, type Report, tell } from "./shop.ts";

const VISITS = 20;
/** Longer than a daemon takes to be replaced, on a busy machine too. */
const PATIENCE_MS = 60_000;

/** Who visits: the browser of the session, at the address of all workers. */
export interface Visitor {
  readonly url: string;
  readonly cookie: string;
  /** How many they are. */
  readonly workers: number;
}

/** What a worker answers to a visit. */
export interface Visit {
  readonly worker: number;
  readonly visits: number;
}

interface Answer extends Visit {
  readonly ms: number;
}

export async function visitAtOnce(visitor: Visitor): Promise<void> {
  const before = countOf(Session.visits);
  const answers = await twenty(visitor);
  tell({ kind: "visits", facts: await factsOf(answers, before, visitor) });
}

/** Not in the worker that is to die. */
export async function killWorker(visitor: Visitor, mortal: Mortal): Promise<void> {
  const before = countOf(Session.visits);
  const successor = await wish("kill a worker", mortal);
  if (successor === null) throw new Refusal(409, "That worker is not there any more.");
  const answers = await twenty(visitor);
  const facts = await factsOf(answers, before, visitor);
  const followed = `pid ${successor.pid}, ready after ${millisecondsText(successor.ms)}`;
  tell({
    kind: "worker",
    facts: { ...facts, Died: `worker ${mortal.number}, pid ${mortal.pid}`, Successor: followed },
  });
}

export async function killDaemon(visitor: Visitor): Promise<void> {
  const before = countOf(Session.visits);
  const { pid, isOurs } = await wish("which daemon", null);
  if (!isOurs) throw new Refusal(403, "The daemon was there before this example, which leaves it alone.");
  const [answers] = await Promise.all([twenty(visitor), wish("kill the daemon", null)]);
  const successor = await wish("which daemon", null);
  const facts = await factsOf(answers, before, visitor);
  tell({ kind: "daemon", facts: { ...facts, Died: `pid ${pid}`, Successor: `pid ${successor.pid}` } });
}

async function factsOf(answers: readonly Answer[], before: number, { workers }: Visitor): Promise<Report["facts"]> {
  await Session.Load();
  const after = countOf(Session.visits);
  const numbers = new Set(answers.map(({ visits }) => visits));
  // A visit that is lost leaves its number to another one, or is missing in the end.
  const lost = Math.max(0, answers.length - numbers.size, before + answers.length - after);
  const byWorker = Array.from({ length: workers }, (_, index) => answers.filter(({ worker }) => worker === index + 1));
  return {
    Lost: String(lost),
    Answered: `${answers.length} of ${VISITS}`,
    Visits: `${before} before, ${after} after`,
    "By workers 1, 2, …": byWorker.map(({ length }) => length).join(" + "),
    Slowest: millisecondsText(Math.max(0, ...answers.map(({ ms }) => ms))),
  };
}

/** Those that were answered. */
async function twenty(visitor: Visitor): Promise<readonly Answer[]> {
  const visits = await Promise.allSettled(Array.from({ length: VISITS }, () => visit(visitor)));
  return visits.flatMap((settled) => (settled.status === "fulfilled" ? [settled.value] : []));
}

async function visit({ url, cookie }: Visitor): Promise<Answer> {
  const began = performance.now();
  const response = await fetch(new URL("visit", url), {
    headers: { cookie },
    signal: AbortSignal.timeout(PATIENCE_MS),
  });
  if (!response.ok) throw new Error(`A visit was answered with ${response.status}.`);
  const answer = (await response.json()) as Visit;
  return { ...answer, ms: performance.now() - began };
}

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

/** A host beside this one. */
export interface Host {
  readonly number: number;
  readonly url: string;
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

/** The other one: this one is to tell of it. */
export async function cutHost(visitor: Visitor, { number, url }: Host): Promise<void> {
  const before = countOf(Session.visits);
  if (!(await wish("cut a host off", number))) throw new Refusal(409, "That host is cut off already.");
  const [answers, refused] = await Promise.all([twenty(visitor), statusOf({ ...visitor, url })]).finally(() =>
    wish("heal a host", number),
  );
  const healedMs = performance.now();
  const first = await firstAnswer({ ...visitor, url });
  const facts = await factsOf([...answers, first], before, visitor);
  const { Slowest: _ofTheOther, Answered: _ofBoth, ...rest } = facts;
  tell({
    kind: "host",
    facts: {
      ...rest,
      "Here meanwhile": `${answers.length} of ${VISITS}`,
      [`Host ${number}, cut off`]: `${refused.status} after ${millisecondsText(refused.ms)}`,
      "Healed, it answered": `after ${millisecondsText(first.endedMs - healedMs)}`,
    },
  });
}

/** What a visitor there is answered. */
async function statusOf({ url, cookie }: Visitor): Promise<{ readonly status: string; readonly ms: number }> {
  const began = performance.now();
  const signal = AbortSignal.timeout(PATIENCE_MS);
  const { status } = await fetch(new URL("visit", url), { headers: { cookie }, signal });
  return { status: status < 400 ? "answered" : `error ${status}`, ms: performance.now() - began };
}

/** It comes back by itself: its daemon finds Redis again. */
async function firstAnswer(visitor: Visitor): Promise<Answer & { readonly endedMs: number }> {
  const deadlineMs = performance.now() + PATIENCE_MS;
  for (;;) {
    try {
      return { ...(await visit(visitor)), endedMs: performance.now() };
    } catch (error) {
      if (performance.now() > deadlineMs) throw error;
    }
  }
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

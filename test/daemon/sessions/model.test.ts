// Whatever several workers do at once, the answers and what is left are those of some order in which it was done one after the other.
//
// Rounds of random calls are sent together. A model then tries every order: it must find one with just these answers, after which the
// sessions are what all workers read at the end of the round.

import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { Lab, newId } from "../../support/daemon/lab.ts";
import { type RawWorker, valuesOf } from "../../support/daemon/raw-worker.ts";

/** "doomed": its time is over, and whoever looks next may be the one who ends it, or still be in time. */
type Status = "absent" | "alive" | "doomed" | "gone";

interface ModelSession {
  readonly status: Status;
  readonly values: Readonly<Record<string, number>>;
}

/** Of the sessions of one run, by place. */
type Model = readonly ModelSession[];

type Kind = "create" | "create unique" | "commit" | "delete" | "expire" | "abandon" | "increment" | "read";

interface Call {
  readonly kind: Kind;
  /** Place of the session. */
  readonly at: number;
  readonly key: string;
  readonly value: number;
}

/** What a worker was told: an error's code, what it read, or nothing but "done". */
type Answer = string | Readonly<Record<string, number>> | undefined;

const ABSENT: ModelSession = { status: "absent", values: {} };
/** Sessions 0 to 2 have one prefix, 3 and 4 another. */
const PREFIX_OF = [0, 0, 0, 1, 1];

// -- the model: every way in which one call can be carried out

interface Outcome {
  readonly model: Model;
  readonly answer: Answer;
}

function withSession(model: Model, at: number, session: ModelSession): Model {
  return model.map((other, place) => (place === at ? session : other));
}

/** A doomed session counts as alive or as gone; everything else as what it is. */
function looksAt(model: Model, at: number): Model[] {
  const session = model[at] ?? ABSENT;
  if (session.status !== "doomed") return [model];
  return [
    withSession(model, at, { ...session, status: "gone" }),
    withSession(model, at, { ...session, status: "alive" }),
  ];
}

function carryOut(model: Model, call: Call): Outcome[] {
  return looksAt(model, call.at).map((seen) => {
    const session = seen[call.at] ?? ABSENT;
    const wasDoomed = model[call.at]?.status === "doomed";
    const outcome = carryOutOn(session, call);
    const isAlive = outcome.session.status === "alive";
    const after = wasDoomed && isAlive ? { ...outcome.session, status: "doomed" as const } : outcome.session;
    return { model: withSession(seen, call.at, after), answer: outcome.answer };
  });
}

function carryOutOn(session: ModelSession, call: Call): { session: ModelSession; answer: Answer } {
  const { status, values } = session;
  const { kind, key, value } = call;
  if (kind === "create" || kind === "create unique") {
    if (status !== "absent") return { session, answer: "ERR_ID_TAKEN" };
    return { session: { status: "alive", values: { [key]: value } }, answer: undefined };
  }
  if (kind === "abandon") return { session: { status: "gone", values: {} }, answer: undefined };
  if (kind === "read") return { session, answer: status === "alive" ? values : "nothing" };
  if (status !== "alive") return { session, answer: "ERR_SESSION_GONE" };
  if (kind === "expire") return { session: { status: "doomed", values }, answer: undefined };
  return { session: { status, values: changed(values, call) }, answer: undefined };
}

function changed(values: ModelSession["values"], { kind, key, value }: Call): ModelSession["values"] {
  if (kind === "commit") return { ...values, [key]: value };
  if (kind === "increment") return { ...values, count: (values.count ?? 0) + 1 };
  return Object.fromEntries(Object.entries(values).filter(([other]) => other !== key));
}

/** What the second half of a unique creation does. */
function endOthers(model: Model, at: number): Model {
  const prefix = PREFIX_OF[at];
  return model.map((session, place) => {
    if (place === at || PREFIX_OF[place] !== prefix || session.status === "absent") return session;
    return { status: "gone", values: {} };
  });
}

function whenOver(session: ModelSession): ModelSession {
  return session.status === "doomed" ? { status: "gone", values: {} } : session;
}

// -- the search

interface Pending {
  readonly call: Call;
  readonly answer: Answer;
  /** A unique creation that has created and not yet ended the others. */
  readonly isHalfDone: boolean;
}

/** All models that some order of the calls leads to, if every call gets its answer. */
function endsOf(model: Model, pending: readonly Pending[]): Model[] {
  if (pending.length === 0) return [model];
  const ends: Model[] = [];
  for (const [place, one] of pending.entries()) {
    const rest = pending.filter((_, other) => other !== place);
    if (one.isHalfDone) {
      ends.push(...endsOf(endOthers(model, one.call.at), rest));
    } else if (!mustWait(one, rest)) {
      for (const outcome of carryOut(model, one.call)) {
        if (!isSame(outcome.answer, one.answer)) continue;
        const isHalfDone = one.call.kind === "create unique" && outcome.answer === undefined;
        ends.push(...endsOf(outcome.model, isHalfDone ? [...rest, { ...one, isHalfDone }] : rest));
      }
    }
  }
  return distinct(ends);
}

/** Unique creations of one prefix run one after the other. */
function mustWait(one: Pending, others: readonly Pending[]): boolean {
  if (one.call.kind !== "create unique") return false;
  return others.some(({ isHalfDone, call }) => isHalfDone && PREFIX_OF[call.at] === PREFIX_OF[one.call.at]);
}

function isSame(a: Answer, b: Answer): boolean {
  return canonical(a) === canonical(b);
}

function distinct(models: readonly Model[]): Model[] {
  return [...new Map(models.map((model) => [canonical(model), model])).values()];
}

function canonical(what: unknown): string {
  return (
    JSON.stringify(what, (_, value: unknown) =>
      value !== null && typeof value === "object" && !Array.isArray(value)
        ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
        : value,
    ) ?? ""
  );
}

// -- the daemon

async function send(worker: RawWorker, id: string, call: Call): Promise<Answer> {
  const { kind, key, value } = call;
  try {
    if (kind === "create") await worker.create(id, { [key]: value });
    else if (kind === "create unique") await worker.create(id, { [key]: value }, { unique: true });
    else if (kind === "commit") await worker.commit(id, { [key]: value });
    else if (kind === "delete") await worker.commit(id, { [key]: undefined });
    else if (kind === "expire") await worker.commit(id, {}, { options: { timeoutSeconds: 0 } });
    else if (kind === "abandon") await worker.abandon(id);
    else if (kind === "increment") await increment(worker, id);
    else return ((await worker.values(id)) as Record<string, number> | undefined) ?? "nothing";
    return undefined;
  } catch (error) {
    return (error as { code: string }).code;
  }
}

async function increment(worker: RawWorker, id: string): Promise<void> {
  const granted = await worker.lease(id);
  const count = Number(valuesOf(granted)?.count ?? 0);
  await worker.commitLeased(id, { count: count + 1 }, granted.fence);
}

const anyCall = fc.record({
  kind: fc.constantFrom<Kind>(
    "create",
    "create",
    "create unique",
    "commit",
    "commit",
    "delete",
    "expire",
    "abandon",
    "increment",
    "increment",
    "read",
  ),
  at: fc.nat(PREFIX_OF.length - 1),
  key: fc.constantFrom("a", "b"),
  value: fc.nat(1000),
});
const anyRounds = fc.array(fc.array(anyCall, { minLength: 1, maxLength: 4 }), { minLength: 1, maxLength: 8 });

describe.each(["memory", "file"] as const)("with the type %s", (type) => {
  let lab: Lab;
  let workers: RawWorker[];
  let runs = 0;

  beforeEach(async () => {
    lab = await Lab.open({ type });
    workers = await Promise.all(Array.from({ length: 4 }, () => lab.worker()));
  });

  afterEach(() => lab.close());

  async function play(rounds: readonly (readonly Call[])[]): Promise<void> {
    runs += 1;
    const ids = PREFIX_OF.map((prefix) => newId(`${type}${runs}.${prefix}`));
    let models: Model[] = [ids.map(() => ABSENT)];
    for (const calls of rounds) {
      const answers = await Promise.all(
        calls.map((call, place) => send(workers[place] as RawWorker, ids[call.at] as string, call)),
      );
      const pending = calls.map((call, place) => ({ call, answer: answers[place], isHalfDone: false }));
      const reads = await Promise.all(ids.map((id, at) => readBack(id, at)));
      models = distinct(models.flatMap((model) => endsOf(model, pending)).flatMap((model) => readsOf(model, reads)));
      if (models.length === 0) throw new Error(`no order explains ${canonical({ calls, answers, reads })}`);
    }
  }

  async function readBack(id: string, at: number): Promise<Pending> {
    const call: Call = { kind: "read", at, key: "", value: 0 };
    return { call, answer: await send(workers[at % workers.length] as RawWorker, id, call), isHalfDone: false };
  }

  /** The reads behind a round touch different sessions: their order does not matter. Whose time was over before is gone for them. */
  function readsOf(model: Model, reads: readonly Pending[]): Model[] {
    let models: readonly Model[] = [model.map(whenOver)];
    for (const { call, answer } of reads) {
      const outcomes = models.flatMap((one) => carryOut(one, call));
      models = outcomes.filter((outcome) => isSame(outcome.answer, answer)).map((outcome) => outcome.model);
    }
    return [...models];
  }

  test("calls at once are carried out in some order, with creation, expiry, abandon and unique among them", async () => {
    await fc.assert(fc.asyncProperty(anyRounds, play), { numRuns: type === "memory" ? 300 : 100 });
  });
});

test("the model itself would notice a lost commit", () => {
  const start: Model = [{ status: "alive", values: { count: 0 } }, ABSENT, ABSENT, ABSENT, ABSENT];
  const increment: Call = { kind: "increment", at: 0, key: "", value: 0 };
  const pending = [increment, increment].map((call) => ({ call, answer: undefined, isHalfDone: false }));
  const ends = endsOf(start, pending);
  expect(ends.map(([first]) => first?.values)).toEqual([{ count: 2 }]);
});

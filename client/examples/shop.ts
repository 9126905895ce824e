// What the example does with its session. Here is everything an application writes; nothing here knows of HTTP, workers or the daemon.

import { inspect } from "node:util";
import { Session, SessionError } from "gambas-session";
import { timeText } from "./look/figures.ts";
import { type Cart, cartOf, MAX_QUANTITY } from "./menu.ts";

export interface Entry {
  readonly key: string;
  /** The exact Gambas type. */
  readonly type: string;
  /** undefined for a value that cannot be shown. */
  readonly value: unknown;
  /** The value, or why it cannot be shown, for people. */
  readonly text: string;
}

/** What an experiment has shown. */
export interface Report {
  readonly kind: ReportKind;
  /** By their labels. */
  readonly facts: Readonly<Record<string, string>>;
}

const REPORT_KINDS = ["visits", "worker", "daemon", "host"] as const;
export type ReportKind = (typeof REPORT_KINDS)[number];

/** Everything of the session that is shown. */
export interface View {
  readonly id: string | null;
  readonly type: string;
  readonly path: string | null;
  readonly size: number;
  readonly timeoutSeconds: number;
  readonly visits: number;
  /** How many of them each worker answered. */
  readonly answers: readonly number[];
  readonly user: string | undefined;
  readonly cart: Cart;
  /** Of the last experiment. */
  readonly report: Report | undefined;
  readonly entries: readonly Entry[];
}

const MAX_SHOWN = { depth: 4, maxArrayLength: 40, maxStringLength: 400, breakLength: 64 } as const;

/** Counts exactly, however many workers count at once. */
export function countVisit(worker: number, workers: number): Promise<void> {
  return Session.Transaction(() => {
    const answers = countsOf(Session.answers, workers);
    Session.visits = countOf(Session.visits) + 1;
    Session.answers = answers.with(worker - 1, countOf(answers[worker - 1]) + 1);
    const now = new Date();
    Session.firstVisit ??= now;
    Session.lastVisit = now;
  });
}

/** Adds to, or takes from, the quantity of a dish. */
export function order(dish: string, change: number): Promise<void> {
  return Session.Transaction(() => {
    const cart = { ...cartOf(Session.cart) };
    const quantity = Math.min(MAX_QUANTITY, (cart[dish] ?? 0) + change);
    if (quantity > 0) cart[dish] = quantity;
    else delete cart[dish];
    Session.cart = cart;
  });
}

export function signIn(name: string): void {
  Session.user = name;
}

export function signOut(): void {
  delete Session.user;
}

/** For the next page, whichever worker makes it. */
export function tell({ kind, facts }: Report): void {
  Session.report = { kind, ...facts };
}

export function look(workers: number): View {
  return {
    id: Session.Id,
    type: Session.Type,
    path: Session.Path,
    size: Session.Size,
    timeoutSeconds: Session.Timeout,
    visits: countOf(Session.visits),
    answers: countsOf(Session.answers, workers),
    user: typeof Session.user === "string" ? Session.user : undefined,
    cart: cartOf(Session.cart),
    report: reportOf(Session.report),
    entries: Session.Keys.map(entryOf),
  };
}

function entryOf(key: string): Entry {
  try {
    const value = Session.get(key);
    return { key, type: Session.TypeOf(key) ?? "", value, text: textOf(value) };
  } catch (error) {
    if (!(error instanceof SessionError)) throw error;
    return { key, type: "", value: undefined, text: error.message };
  }
}

function textOf(value: unknown): string {
  return value instanceof Date ? timeText(value) : inspect(value, MAX_SHOWN);
}

/** What other programs have left under our key is no report. */
function reportOf(stored: unknown): Report | undefined {
  if (typeof stored !== "object" || stored === null) return undefined;
  const texts = Object.entries(stored).filter((entry): entry is [string, string] => typeof entry[1] === "string");
  const { kind, ...facts } = Object.fromEntries(texts);
  const known = REPORT_KINDS.find((one) => one === kind);
  return known === undefined ? undefined : { kind: known, facts };
}

/** Other programs share the session, and may have left something under our key that is no count. */
export function countOf(stored: unknown): number {
  return typeof stored === "number" && Number.isSafeInteger(stored) && stored >= 0 ? stored : 0;
}

function countsOf(stored: unknown, length: number): number[] {
  const counts: readonly unknown[] = Array.isArray(stored) ? stored : [];
  return Array.from({ length }, (_, index) => countOf(counts[index]));
}

// One HTTP worker of the example: routes, forms, answers. Of sessions it knows `session()` only; what is kept in them is in shop.ts.

import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { inspect } from "node:util";
import { Session, SessionError, session } from "gambas-session";
import { type Mortal, wish } from "./crew/wishes.ts";
import { cutHost, killDaemon, killWorker, type Visit, type Visitor, visitAtOnce } from "./experiments.ts";
import { Refusal, readForm } from "./form.ts";
import { MENU, totalCents } from "./menu.ts";
import { CONTENT_SECURITY_POLICY, type Problem, renderPage, renderProblem } from "./page.ts";
import { printed } from "./printed.ts";
import type { Worker } from "./sections.ts";
import { countVisit, type Entry, look, order, signIn, signOut } from "./shop.ts";
import { checkToken, tokenOf } from "./tokens.ts";

interface Call {
  readonly req: IncomingMessage;
  readonly res: ServerResponse;
  readonly me: Me;
}

interface Me extends Worker {
  readonly workers: number;
}

/** With sessions in Redis: this host, and the other one. */
function hostsOf({ HOST, HOST_URLS }: NodeJS.ProcessEnv): Worker["host"] {
  if (HOST === undefined || HOST_URLS === undefined) return undefined;
  const all = HOST_URLS.split(" ").map((url, index) => ({ number: index + 1, url }));
  const other = all.find(({ number }) => number !== Number(HOST));
  return other && { number: Number(HOST), other };
}

type Action = (call: Call) => Promise<void> | void;

const ROUTES: ReadonlyMap<string, Readonly<Record<string, Action>>> = new Map<string, Record<string, Action>>([
  ["/", { GET: showPage, HEAD: showPage }],
  ["/visit", { GET: answerVisit }],
  ["/session.json", { GET: showJson, HEAD: showJson }],
  ["/session.txt", { GET: printSession }],
  ["/cart", { POST: changeCart }],
  ["/sign-in", { POST: enter }],
  ["/sign-out", { POST: leave }],
  ["/abandon", { POST: abandon }],
  ["/twenty-visits", { POST: experiment(visitAtOnce) }],
  ["/kill-worker", { POST: experiment((visitor, form) => killWorker(visitor, mortalOf(form))) }],
  ["/kill-daemon", { POST: experiment(killDaemon) }],
  ["/cut-host", { POST: experiment((visitor, _form, { host }) => cutHost(visitor, host?.other ?? nowhere())) }],
]);

/** Serves until SIGTERM, then answers what has been accepted and ends. */
export function runWorker(): void {
  const { WORKER, WORKERS, PORT } = process.env;
  const port = Number(PORT);
  const url = `http://127.0.0.1:${port}/`;
  const me = { number: Number(WORKER), workers: Number(WORKERS), pid: process.pid, url, host: hostsOf(process.env) };
  const withSession = session({ onError: (error) => console.error(`Worker ${me.number}: ${error.message}`) });
  const server = createServer((req, res) => {
    withSession(req, res, (problem) => void answer({ req, res, me }, problem));
  });
  leaveWhenAsked(server);
  server.once("error", (error) => {
    console.error(error.message);
    process.exit(1);
  });
  server.listen(port, "127.0.0.1");
}

async function answer(call: Call, problem: unknown): Promise<void> {
  const { res } = call;
  // A browser would keep its connection to one worker; the example shows all of them.
  res.shouldKeepAlive = false;
  try {
    if (problem !== undefined) throw problem;
    await route(call);
  } catch (error) {
    if (res.headersSent) res.destroy();
    else refuse(res, error);
  }
}

async function route(call: Call): Promise<void> {
  const path = call.req.url?.split("?", 1)[0] ?? "";
  const actions = ROUTES.get(path);
  if (actions === undefined) throw new Refusal(404, "There is nothing here.");
  const action = new Map(Object.entries(actions)).get(call.req.method ?? "");
  if (action !== undefined) return action(call);
  call.res.setHeader("Allow", Object.keys(actions).join(", "));
  throw new Refusal(405, `${path} takes ${Object.keys(actions).join(", ")} only.`);
}

function refuse(res: ServerResponse, error: unknown): void {
  if (error instanceof SessionError && error.code === "ERR_SESSION_GONE") {
    // Abandoned while this request was under way: the next one begins a new session.
    redirect(res, "/");
    return;
  }
  if (!(error instanceof Refusal)) console.error(error);
  const problem = problemOf(error);
  sendHtml(res, problem.status, renderProblem(problem));
}

function problemOf(error: unknown): Problem {
  if (error instanceof Refusal) return { status: error.status, message: error.message, isOfSession: false };
  if (!(error instanceof SessionError)) return { status: 500, message: "Something went wrong.", isOfSession: false };
  const status = error.isRetryable ? 503 : 500;
  return { status, message: error.message, isOfSession: error.code === "ERR_UNREADABLE" };
}

// -- actions

async function showPage({ res, me }: Call): Promise<void> {
  await countVisit(me.number, me.workers);
  const daemon = await wish("which daemon", null);
  sendHtml(res, 200, renderPage(look(me.workers), { me, daemon, token: tokenOf(Session.Id) }));
}

/** One of twenty. */
async function answerVisit({ res, me }: Call): Promise<void> {
  await countVisit(me.number, me.workers);
  const visit: Visit = { worker: me.number, visits: look(me.workers).visits };
  res.setHeader("Content-Type", "application/json; charset=utf-8");
  send(res, 200, JSON.stringify(visit));
}

async function printSession({ res }: Call): Promise<void> {
  res.setHeader("Content-Type", "text/plain; charset=utf-8");
  send(res, 200, Session.Id === null ? "There is no session yet.\n" : await printed(Session.Id));
}

function showJson({ res, me }: Call): void {
  const { entries, ...view } = look(me.workers);
  const keys = Object.fromEntries(entries.map((entry) => [entry.key, { type: entry.type, value: jsonOf(entry) }]));
  const shown = { worker: me.number, pid: me.pid, ...view, totalCents: totalCents(view.cart), keys };
  res.setHeader("Content-Type", "application/json; charset=utf-8");
  send(res, 200, `${JSON.stringify(shown, undefined, 2)}\n`);
}

async function changeCart({ req, res }: Call): Promise<void> {
  const form = await readForm(req);
  const [dish, change] = [form.get("dish") ?? "", form.get("change") ?? ""];
  if (!MENU.has(dish)) throw new Refusal(400, "That is not on the menu.");
  if (change !== "1" && change !== "-1") throw new Refusal(400, "A change is 1 or -1.");
  await order(dish, Number(change));
  // There the keyboard goes on where it was.
  redirect(res, `/#${change === "1" ? "add" : "less"}-${dish}`);
}

async function enter({ req, res }: Call): Promise<void> {
  const name = (await readForm(req)).get("name")?.trim() ?? "";
  if (!/^[^\p{Cc}\p{Cs}]{1,40}$/u.test(name)) throw new Refusal(400, "A name has 1 to 40 characters.");
  signIn(name);
  redirect(res, "/#sign");
}

function leave({ req, res }: Call): void {
  req.resume();
  signOut();
  redirect(res, "/#sign");
}

async function abandon({ req, res }: Call): Promise<void> {
  req.resume();
  await Session.Abandon();
  redirect(res, "/");
}

/** What comes from a button of the page, and shows there what happened. */
function experiment(run: (visitor: Visitor, form: URLSearchParams, me: Me) => Promise<void>): Action {
  return async ({ req, res, me }) => {
    const form = await readForm(req);
    checkToken(req, form, Session.Id);
    if (mortalOf(form).pid === me.pid) {
      // No worker tells of its own death: the browser sends the form again, and the next worker gets it.
      redirect(res, req.url ?? "/", 307);
      return;
    }
    await run({ url: me.url, cookie: req.headers.cookie ?? "", workers: me.workers }, form, me);
    redirect(res, `/#${(req.url ?? "").slice(1)}`);
  };
}

function nowhere(): never {
  throw new Refusal(404, "There is one host.");
}

/** The worker that a form names, if it does. */
function mortalOf(form: URLSearchParams): Mortal {
  return { number: Number(form.get("number")), pid: Number(form.get("pid")) };
}

// -- answers

function redirect(res: ServerResponse, location: string, status: 303 | 307 = 303): void {
  res.setHeader("Location", location);
  send(res, status, "");
}

function sendHtml(res: ServerResponse, status: number, page: string): void {
  res.setHeader("Content-Type", "text/html; charset=utf-8");
  res.setHeader("Content-Security-Policy", CONTENT_SECURITY_POLICY);
  send(res, status, page);
}

function send(res: ServerResponse, status: number, body: string): void {
  res.statusCode = status;
  res.setHeader("Cache-Control", "no-store");
  res.setHeader("X-Content-Type-Options", "nosniff");
  res.setHeader("Referrer-Policy", "same-origin");
  res.end(body);
}

/** A value as JSON has it; what JSON has no form for (a Long beyond 2^53, a circle) as text. */
function jsonOf({ value, text }: Entry): unknown {
  if (value === undefined) return text;
  try {
    JSON.stringify(value);
    return value;
  } catch {
    return inspect(value);
  }
}

function leaveWhenAsked(server: Server): void {
  let underWay = 0;
  let isLeaving = false;
  const leaveIfIdle = (): void => {
    if (isLeaving && underWay === 0) server.closeAllConnections();
  };
  server.on("request", (_req, res) => {
    underWay += 1;
    res.once("close", () => {
      underWay -= 1;
      leaveIfIdle();
    });
  });
  // Ctrl-C reaches every process of the terminal, but the primary decides when workers leave.
  for (const signal of ["SIGINT", "SIGHUP"] as const) process.on(signal, () => undefined);
  process.once("SIGTERM", () => {
    isLeaving = true;
    server.close(() => process.exit(0));
    leaveIfIdle();
  });
}

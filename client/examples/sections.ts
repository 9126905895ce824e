// The parts of the page, each from what a session holds and who answers. Pure. `data-say` is what is said aloud when a part has changed.

import { basename, dirname } from "node:path";
import type { Daemon } from "./crew/wishes.ts";
import type { Host } from "./experiments.ts";
import { bytesText, spanText } from "./look/figures.ts";
import { type Html, html } from "./look/html.ts";
import { type Cart, type Dish, formatCents, MENU, totalCents } from "./menu.ts";
import { wordsOf } from "./places.ts";
import type { Entry, Report, ReportKind, View } from "./shop.ts";

/** The worker that answers. */
export interface Worker {
  readonly number: number;
  readonly pid: number;
  /** The address of all workers together, or of those of this host. */
  readonly url: string;
  /** With sessions in Redis: this host, and the other one. Undefined: they are on this machine. */
  readonly host: { readonly number: number; readonly other: Host } | undefined;
}

/** Who is there while the page is made. */
export interface Now {
  readonly me: Worker;
  readonly daemon: Daemon;
  /** For the forms that kill. */
  readonly token: string;
}

export const abandonForm = html`<form method="post" action="/abandon">
  <button id="abandon" class="button danger">Abandon this session</button>
</form>`;

export function whatIsWhat(view: View, now: Now): Html {
  const { me, daemon } = now;
  if (me.host !== undefined) return whatIsOnHosts(view, now, me.host);
  const { size, type } = view;
  return html`<section aria-label="What is what"><ul class="parts">
    <li class="card"><p>A <b>worker</b> is one of four processes that take turns to answer you: if each kept your visits
      and your cart in its own memory, the next one would not know you, and one that dies would take them along.</p>
      <small>You are talking to number ${me.number}, pid ${me.pid}.</small></li>
    <li class="card"><p>The <b>session ${wordsOf(type).holder}</b> is where all of that is kept, and every worker looks there before it answers:
      without it nothing would outlive a process, and no Gambas program could read along or write in it.</p>
      <small>Yours has ${bytesText(size)}.</small></li>
    <li class="card"><p>The <b>daemon</b> is the one process of these that writes there, one change after the other: without it
      two workers that answer at the same moment would overwrite each other’s changes, and visits would be lost.</p>
      <small>It has pid ${daemon.pid}.</small></li>
  </ul></section>`;
}

function whatIsOnHosts({ size }: View, { me, daemon }: Now, { number, other }: NonNullable<Worker["host"]>): Html {
  return html`<section aria-label="What is what"><ul class="parts">
    <li class="card"><p>A <b>host</b> is a machine with workers and a daemon of its own. Here two stand side by side, and you may
      go to either with the same cookie: <a href="${other.url}">host ${other.number} at ${other.url}</a></p>
      <small>You are on host ${number}, talking to worker ${me.number}, pid ${me.pid}.</small></li>
    <li class="card"><p><b>Redis</b> is where the session is: both hosts see what either of them has changed before they
      answer, and one that dies takes nothing along.</p>
      <small>Yours has ${bytesText(size)}.</small></li>
    <li class="card"><p>The <b>daemon</b> of a host has the one connection to Redis: what it has read it need not fetch
      again, and what its workers change is compared there with what other hosts have changed.</p>
      <small>That of host ${number} has pid ${daemon.pid}.</small></li>
  </ul></section>`;
}

export function visits({ visits, answers }: View, me: Worker): Html {
  const most = Math.max(1, ...answers);
  const count = html`<strong>${visits}</strong><span>${visits === 1 ? "visit" : "visits"} in this session</span>`;
  return html`<section class="card hero" id="visits" data-say="${visits} visits, answered by worker ${me.number}">
    <p class="count">${count}</p>
    <div>
      <p class="hint">Who answered them: each time whoever was free, and all count in one place.</p>
      <ol class="workers" aria-label="Answers by worker">
        ${answers.map((count, index) => lane(index + 1, count, { most, me }))}
      </ol>
    </div>
    <div class="answered">
      <span>Answered by <b>worker ${me.number}</b>, pid ${me.pid}</span>
      <form action="/"><button id="again">Ask again</button></form>
    </div>
  </section>`;
}

function lane(number: number, count: number, { most, me }: { most: number; me: Worker }): Html {
  const isCurrent = number === me.number;
  return html`<li ${isCurrent ? html`class="current" aria-current="true"` : undefined}>
    <span>Worker ${number}</span>
    <svg class="bar" aria-hidden="true"><rect width="${(100 * count) / most}%" height="100%" rx="4"/></svg>
    <span class="number">${count}</span>
  </li>`;
}

export function experiments({ report }: View, { me, daemon, token }: Now): Html {
  const secret = html`<input type="hidden" name="token" value="${token}">`;
  return html`<section class="card" id="experiments" data-say="${report && saidOf(report)}">
    <h2>Try to lose something</h2>
    <div class="buttons">
      <form method="post" action="/twenty-visits">${secret}
        <button id="twenty-visits" class="primary" data-doing="Asking twenty times at once…">Twenty visits at once</button>
      </form>
      <form method="post" action="/kill-worker">${secret}
        <input type="hidden" name="number" value="${me.number}"><input type="hidden" name="pid" value="${me.pid}">
        <button id="kill-worker" class="danger" data-doing="Killing worker ${me.number}…">Kill this worker <small>pid ${me.pid}</small></button>
      </form>
      ${
        daemon.isOurs
          ? html`<form method="post" action="/kill-daemon">${secret}
        <button id="kill-daemon" class="danger" data-doing="Killing the daemon…">Kill the daemon <small>pid ${daemon.pid}</small></button>
      </form>`
          : html`<p class="hint">The daemon was there before this example, which leaves it alone.</p>`
      }
      ${
        me.host &&
        html`<form method="post" action="/cut-host">${secret}
        <button id="cut-host" class="danger" data-doing="Host ${me.host.other.number} is cut off. It waits for Redis; this takes some ten seconds…">Cut host ${me.host.other.number} off from Redis <small>about 10 s</small></button>
      </form>`
      }
    </div>
    ${report === undefined ? html`<p class="hint">What happened then will stand here. Killed is what <code>kill -9</code> does: no last word, no clean-up.</p>` : reported(report)}
  </section>`;
}

/** What was done, and what it means that nothing was lost. */
const MEANINGS: Readonly<Record<ReportKind, readonly [title: string, meaning: string]>> = {
  visits: [
    "Twenty visits came at once.",
    "Several workers counted in one session at the same time. Each change was made on top of the one before, so none replaced another.",
  ],
  worker: [
    "A worker was killed, and then twenty visits came at once.",
    "Its memory is gone. The session was in its file, so the others went on, and the worker that took its place knew all of it.",
  ],
  daemon: [
    "The daemon was killed while twenty visits were under way.",
    "What it had answered was in the file. What it had not, the workers sent again to a new daemon, which one of them had started.",
  ],
  host: [
    "The other host was cut off from Redis, and healed again.",
    "Nothing came through, and nobody was told. This host went on. The other one waited, then answered with an error instead of guessing, and came back by itself.",
  ],
};

function reported({ kind, facts }: Report): Html {
  const [title, meaning] = MEANINGS[kind];
  return html`<div class="report">
    <h3>${title}</h3>
    <dl class="facts">${Object.entries(facts).map(([label, text]) => html`<div><dt>${label}</dt><dd>${text}</dd></div>`)}</dl>
    <p>${meaning}</p>
  </div>`;
}

function saidOf({ kind, facts }: Report): string {
  const told = Object.entries(facts).map(([label, text]) => `${label}: ${text}`);
  return `${MEANINGS[kind][0]} ${told.join(". ")}.`;
}

export function menu(cart: Cart): Html {
  const total = formatCents(totalCents(cart));
  const dishes = [...MENU].flatMap(([key, { name }]) => (cart[key] === undefined ? [] : [`${cart[key]} ${name}`]));
  return html`<section class="card" id="cart" data-say="${[...dishes, `Total ${total}`].join(", ")}">
    <h2>Cart</h2>
    <ul class="menu">${[...MENU].map(([key, dish]) => dishRow(key, dish, cart[key] ?? 0))}</ul>
    <p class="total"><span>Total</span><strong>${total}</strong></p>
  </section>`;
}

function dishRow(key: string, dish: Dish, quantity: number): Html {
  const isNone = quantity === 0 ? "disabled" : "";
  return html`<li ${quantity > 0 ? html`class="chosen"` : undefined}>
    <div class="dish"><b>${dish.name}</b><small>${dish.about}</small></div>
    <span class="price">${formatCents(dish.cents)}</span>
    <form class="stepper" method="post" action="/cart">
      <input type="hidden" name="dish" value="${key}">
      <button id="less-${key}" name="change" value="-1" aria-label="One ${dish.name} less" ${isNone}>−</button>
      <output>${quantity}</output>
      <button id="add-${key}" name="change" value="1" aria-label="Add one ${dish.name}">+</button>
    </form>
  </li>`;
}

export function person(user: string | undefined): Html {
  const content =
    user === undefined
      ? html`<form method="post" action="/sign-in" class="row">
          <input name="name" aria-label="Your name" placeholder="Your name" required maxlength="40" autocomplete="off">
          <button id="sign" class="primary">Sign in</button>
        </form>`
      : html`<form method="post" action="/sign-out" class="row">
          <p class="grow">Hola, <b>${user}</b>!</p>
          <button id="sign">Sign out</button>
        </form>`;
  const said = user === undefined ? "Nobody is signed in" : `Hola, ${user}!`;
  return html`<section class="card" id="you" data-say="${said}"><h2>You</h2>${content}</section>`;
}

export function sessionFacts({ id, type, path, size, timeoutSeconds }: View): Html {
  return html`<section class="card" id="session" data-say="A new session">
    <h2>Session</h2>
    <dl class="lines">
      <dt>Id</dt><dd><code>${id ?? "none yet"}</code></dd>
      <dt>Type</dt><dd><code>${type}</code></dd>
      ${keptIn(type, path)}
      <dt>Size</dt><dd>${bytesText(size)}</dd>
      <dt>Ends</dt><dd>${spanText(timeoutSeconds)} after its last use</dd>
    </dl>
    ${abandonForm}
  </section>`;
}

function keptIn(type: string, path: string | null): Html {
  if (type === "redis") return html`<dt>Kept</dt><dd>in Redis, for both hosts</dd>`;
  const folder = path === null ? "no folder yet" : dirname(path);
  if (type === "sqlite" && path !== null)
    return html`<dt>Database</dt><dd><code>${basename(path)}</code> in <code>${folder}</code></dd>`;
  return html`<dt>File</dt><dd>of that name in <code>${folder}</code></dd>`;
}

export function keys({ entries, type }: View): Html {
  return html`<section class="card" id="keys">
    <h2 id="keys-title">What the ${wordsOf(type).holder} holds</h2>
    <div class="scroll" role="region" aria-labelledby="keys-title" tabindex="0"><table>
      <thead><tr><th scope="col">Key</th><th scope="col">Gambas type</th><th scope="col">Value</th></tr></thead>
      <tbody>${entries.map(entryRow)}</tbody>
    </table></div>
  </section>`;
}

function entryRow({ key, type, text }: Entry): Html {
  return html`<tr><td><code>${key}</code></td><td><span class="type">${type}</span></td><td><pre>${text}</pre></td></tr>`;
}

export function elsewhere({ id: named, type }: View, { url }: Worker): Html {
  const id = named ?? undefined;
  const { gambas } = wordsOf(type);
  const flag = type === "file" ? "" : ` --type ${type}`;
  const program = html`<h3>A Gambas program (gb.web) of the same user, whose cookie is <code>GBSESSIONID=${id}</code></h3>
    <pre class="code">${gambas}
Print Session["visits"]
Session["note"] = "written by Gambas"</pre>`;
  return html`<section class="card" id="elsewhere">
    <h2>The same session from elsewhere</h2>
    <h3>An operator, on the command line</h3>
    <div class="code scroll" role="region" aria-label="What the command prints" tabindex="0"><code>$ gambas-sessiond show ${id}${flag}</code>
      <pre id="printed"><a href="/session.txt">Run it</a></pre></div>
    <h3>Another client, whichever worker answers</h3>
    <pre class="code">curl -b 'SESSION=${id}' ${url}session.json</pre>
    ${gambas && program}
  </section>`;
}

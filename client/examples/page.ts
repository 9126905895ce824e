// The page: the view of a session as HTML. Pure; the browser loads nothing else.

import { createHash } from "node:crypto";
import { type Html, html } from "./html.ts";
import { type Cart, type Dish, formatCents, MENU, totalCents } from "./menu.ts";
import { FAVICON, LOGO, STYLE } from "./page-style.ts";
import type { Entry, View } from "./shop.ts";

const abandonForm = html`<form method="post" action="/abandon">
  <button class="button danger">Abandon this session</button>
</form>`;

/** The worker that answers. */
export interface Worker {
  readonly number: number;
  readonly pid: number;
  /** The address of all workers together. */
  readonly url: string;
}

const styleHash = createHash("sha256").update(STYLE.text).digest("base64");

/** Allows nothing but this page's own style, its icon and forms to its own server. */
export const CONTENT_SECURITY_POLICY =
  `default-src 'none'; style-src 'sha256-${styleHash}'; img-src data:; form-action 'self'; ` +
  "base-uri 'none'; frame-ancestors 'none'";

export function renderPage(view: View, worker: Worker): string {
  return frame(
    "Bar Gambas",
    html`${visits(view, worker)}
      <div class="columns">
        ${menu(view.cart)}
        <div class="stack">${person(view.user)} ${sessionFacts(view)}</div>
      </div>
      ${keys(view.entries)} ${elsewhere(view.id ?? "", worker.url)}`,
  );
}

export interface Problem {
  readonly status: number;
  readonly message: string;
  /** The session itself cannot be read: every page would say so. */
  readonly isOfSession: boolean;
}

export function renderProblem({ status, message, isOfSession }: Problem): string {
  const wayOut = isOfSession ? abandonForm : html`<p><a class="button" href="/">Back to the bar</a></p>`;
  return frame(`${status}`, html`<section class="card problem"><h2>${status}</h2><p>${message}</p>${wayOut}</section>`);
}

function frame(title: string, content: Html): string {
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${title} · gambas-session</title>
<link rel="icon" href="${FAVICON}">
<style>${STYLE}</style>
</head>
<body>
<header>
  ${LOGO}
  <div><h1>Bar Gambas</h1><p>Four workers, one session, one file.</p></div>
</header>
<main>${content}</main>
<footer>An example of <strong>gambas-session</strong>. Every worker sees what any other wrote, and so does a Gambas program.</footer>
</body>
</html>
`.text;
}

function visits({ visits, answers }: View, worker: Worker): Html {
  const most = Math.max(1, ...answers);
  return html`<section class="card hero" id="visits">
    <p class="count"><strong>${visits}</strong><span>${visits === 1 ? "visit" : "visits"} in this session</span></p>
    <ol class="workers" aria-label="Answers by worker">
      ${answers.map((count, index) => lane(index + 1, count, { most, worker }))}
    </ol>
    <p class="answered">
      <span>Answered by <b>worker ${worker.number}</b>, pid ${worker.pid}</span>
      <a class="button" href="/">Ask again</a>
    </p>
  </section>`;
}

function lane(number: number, count: number, { most, worker }: { most: number; worker: Worker }): Html {
  const isCurrent = number === worker.number;
  return html`<li ${isCurrent ? html`class="current" aria-current="true"` : undefined}>
    <span>Worker ${number}</span>
    <svg class="bar" aria-hidden="true"><rect width="${(100 * count) / most}%" height="100%" rx="4"/></svg>
    <span class="number">${count}</span>
  </li>`;
}

function menu(cart: Cart): Html {
  return html`<section class="card" id="cart">
    <h2>Cart</h2>
    <ul class="menu">${[...MENU].map(([key, dish]) => dishRow(key, dish, cart[key] ?? 0))}</ul>
    <p class="total"><span>Total</span><strong>${formatCents(totalCents(cart))}</strong></p>
  </section>`;
}

function dishRow(key: string, dish: Dish, quantity: number): Html {
  return html`<li ${quantity > 0 ? html`class="chosen"` : undefined}>
    <div class="dish"><b>${dish.name}</b><small>${dish.about}</small></div>
    <span class="price">${formatCents(dish.cents)}</span>
    <form class="stepper" method="post" action="/cart">
      <input type="hidden" name="dish" value="${key}">
      <button name="change" value="-1" aria-label="One ${dish.name} less" ${quantity === 0 ? "disabled" : ""}>−</button>
      <output>${quantity}</output>
      <button name="change" value="1" aria-label="Add one ${dish.name}">+</button>
    </form>
  </li>`;
}

function person(user: string | undefined): Html {
  const content =
    user === undefined
      ? html`<form method="post" action="/sign-in" class="row">
          <input name="name" aria-label="Your name" placeholder="Your name" required maxlength="40" autocomplete="off">
          <button class="button primary">Sign in</button>
        </form>`
      : html`<form method="post" action="/sign-out" class="row">
          <p class="grow">Hola, <b>${user}</b>!</p>
          <button class="button">Sign out</button>
        </form>`;
  return html`<section class="card" id="you"><h2>You</h2>${content}</section>`;
}

function sessionFacts(view: View): Html {
  return html`<section class="card" id="session">
    <h2>Session</h2>
    <dl>
      <dt>Id</dt><dd><code>${view.id ?? "none yet"}</code></dd>
      <dt>File</dt><dd><code>${view.path ?? "none yet"}</code></dd>
      <dt>Size</dt><dd>${view.size} bytes</dd>
      <dt>Timeout</dt><dd>${view.timeoutSeconds} s after the last use</dd>
    </dl>
    ${abandonForm}
  </section>`;
}

function keys(entries: readonly Entry[]): Html {
  return html`<section class="card" id="keys">
    <h2>What the file holds</h2>
    <div class="scroll"><table>
      <thead><tr><th>Key</th><th>Gambas type</th><th>Value</th></tr></thead>
      <tbody>${entries.map(entryRow)}</tbody>
    </table></div>
  </section>`;
}

function entryRow({ key, type, text }: Entry): Html {
  return html`<tr><td><code>${key}</code></td><td><span class="type">${type}</span></td><td><pre>${text}</pre></td></tr>`;
}

function elsewhere(id: string, url: string): Html {
  return html`<details class="card">
    <summary>The same session from elsewhere</summary>
    <p>From another client, whichever worker answers:</p>
    <pre class="code">curl -b 'SESSION=${id}' ${url}session.json</pre>
    <p>From a Gambas program (gb.web) of the same user that gets <code>GBSESSIONID=${id}</code> as its cookie:</p>
    <pre class="code">Session.Type = "file"
Print Session["visits"]
Session["note"] = "written by Gambas"</pre>
  </details>`;
}

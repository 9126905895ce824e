// The page: the view of a session as HTML, and what the browser may do with it. Pure; the browser loads nothing else.

import { createHash } from "node:crypto";
import { type Html, html } from "./look/html.ts";
import { SCRIPT } from "./look/script.ts";
import { FAVICON, LOGO, STYLE } from "./look/style.ts";
import { type Words, wordsOf } from "./places.ts";
import {
  abandonForm,
  elsewhere,
  experiments,
  keys,
  menu,
  type Now,
  person,
  sessionFacts,
  visits,
  whatIsWhat,
} from "./sections.ts";
import type { View } from "./shop.ts";

/** Allows nothing but this page's own style, script and icon, and forms and questions to its own server. */
export const CONTENT_SECURITY_POLICY: string =
  `default-src 'none'; style-src '${hashOf(STYLE)}'; script-src '${hashOf(SCRIPT)}'; img-src data:; ` +
  "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

export function renderPage(view: View, now: Now): string {
  return frame(
    { title: "Bar Gambas", ...wordsOf(view.type) },
    html`${whatIsWhat(view, now)} ${visits(view, now.me)} ${experiments(view, now)}
      <div class="columns">
        ${menu(view.cart)}
        <div class="stack">${person(view.user)} ${sessionFacts(view)}</div>
      </div>
      ${keys(view)} ${elsewhere(view, now.me)}`,
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
  return frame(
    { title: `${status}`, claim: "", promise: "" },
    html`<section class="card problem" data-say="${status}: ${message}"><h2>${status}</h2><p>${message}</p>${wayOut}</section>`,
  );
}

interface Title extends Pick<Words, "claim" | "promise"> {
  readonly title: string;
}

function hashOf({ text }: Html): string {
  return `sha256-${createHash("sha256").update(text).digest("base64")}`;
}

/** The line that is said aloud stays, whatever the script puts into `main`. */
function frame({ title, claim, promise }: Title, content: Html): string {
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
  <div><h1>Bar Gambas</h1><p>${claim}</p></div>
</header>
<main>${content}</main>
<footer>An example of <strong>gambas-session</strong>. ${promise}</footer>
<p id="said" class="said" role="status"></p>
<script type="module">${SCRIPT}</script>
</body>
</html>
`.text;
}

// How the page looks: one style sheet, light and dark, and the prawn.

import { Html } from "./html.ts";

const PRAWN =
  "M25 9.5C22.4 6 18.3 4.3 14 5.2 8.6 6.3 5 11 5.4 16.4c.4 5 4.6 9 9.7 9.1 3.3 0 5.9-1.2 7.6-3.3" +
  "-1.9.5-3.6.3-5-.5-2.1-1.1-3.2-3.1-2.8-5.3.4-2.2 2.3-3.9 4.7-4.1 1.9-.2 3.7.3 5.4-2.8z";

export const LOGO: Html = new Html(
  `<svg class="logo" viewBox="0 0 32 32" aria-hidden="true"><path d="${PRAWN}"/>` +
    `<path class="line" d="M24 9c1.5-2.5 3-4 5-5M24.5 10.2c2-1.5 3.5-2 5-2.2M9 11l4 3M7 16.5l5 .5M9.5 22l4-2.8M15.5 24.5l1-4"/></svg>`,
);

export const FAVICON: string = `data:image/svg+xml,${encodeURIComponent(
  `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><path fill="#e4572e" d="${PRAWN}"/></svg>`,
)}`;

export const STYLE: Html = new Html(`
:root {
  --ground: #faf5ee; --card: #fffdfa; --ink: #2b211b; --soft: #75675c; --line: #eadfd2;
  --accent: #c8421c; --on-accent: #fff; --tint: #fdebe2; --on-tint: #9a3412; --track: #f1e6da; --danger: #a3261c;
  color-scheme: light dark;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ground: #161210; --card: #201a17; --ink: #f4ebe2; --soft: #ab9c90; --line: #362d27;
    --accent: #ff8a63; --on-accent: #2a0f05; --tint: #3a231a; --on-tint: #ffa383; --track: #2e2621; --danger: #ff8f85;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0 auto; padding: clamp(1rem, 3vw, 2.5rem); max-width: 66rem;
  background: var(--ground); color: var(--ink); font: 16px/1.5 system-ui, "Segoe UI", Roboto, sans-serif;
}
header { display: flex; align-items: center; gap: 1rem; margin-bottom: 1.5rem; }
header p { margin: 0; color: var(--soft); }
h1 { margin: 0; font-size: 1.75rem; line-height: 1.2; letter-spacing: -.02em; }
h2 { margin: 0 0 1rem; font-size: .8rem; letter-spacing: .08em; text-transform: uppercase; color: var(--soft); }
h3 { margin: 1.25rem 0 .5rem; font-size: 1rem; line-height: 1.4; }
h2 + h3 { margin-top: 0; }
.hint { margin: 0; color: var(--soft); font-size: .875rem; }
.logo { width: 3.5rem; height: 3.5rem; flex: none; fill: var(--accent); }
.logo .line { fill: none; stroke: var(--accent); stroke-width: 1.2; stroke-linecap: round; }
main, .stack { display: grid; gap: 1.25rem; }
.stack { align-content: start; }
main > *, .columns > *, .stack > * { min-width: 0; }
.columns { display: grid; gap: 1.25rem; }
.card {
  padding: clamp(1rem, 2.5vw, 1.5rem); background: var(--card); border: 1px solid var(--line); border-radius: 1rem;
  box-shadow: 0 1px 2px rgb(60 30 10 / .05), 0 8px 24px -16px rgb(60 30 10 / .25);
}
.parts { display: grid; gap: 1.25rem; margin: 0; padding: 0; list-style: none; }
.parts .card { display: flex; flex-direction: column; gap: .75rem; padding: 1rem 1.25rem; }
.parts p { margin: 0; }
.parts :is(b, a) { color: var(--on-tint); }
.parts a { overflow-wrap: anywhere; }
.parts small { margin-top: auto; color: var(--soft); }
code, pre { font: .875rem/1.5 ui-monospace, "SF Mono", "DejaVu Sans Mono", monospace; overflow-wrap: anywhere; }
pre { margin: 0; white-space: pre-wrap; }
.hero { display: grid; gap: 1.25rem; align-items: center; }
.count { margin: 0; line-height: 1; }
.count strong {
  display: block; font-size: 4.5rem; letter-spacing: -.04em; color: var(--accent); font-variant-numeric: tabular-nums;
}
.count span { color: var(--soft); }
.workers { display: grid; gap: .25rem; margin: .5rem 0 0; padding: 0; list-style: none; }
.hero .hint { padding: 0 .75rem; }
.workers li {
  display: grid; grid-template-columns: 5.5rem 1fr 3rem; gap: .75rem; align-items: center;
  padding: .35rem .75rem; border-radius: .6rem; color: var(--soft);
}
.workers .current { background: var(--tint); color: var(--ink); font-weight: 600; }
.number { text-align: right; font-variant-numeric: tabular-nums; }
.bar { width: 100%; height: .5rem; border-radius: .25rem; background: var(--track); fill: var(--accent); }
.workers li:not(.current) .bar { fill: color-mix(in srgb, var(--accent) 55%, var(--track)); }
.current .bar { background: color-mix(in srgb, var(--accent) 20%, var(--card)); }
.answered { display: flex; flex-wrap: wrap; gap: .75rem; justify-content: space-between; align-items: center; margin: 0; }
.buttons { display: flex; flex-wrap: wrap; gap: .75rem; align-items: center; margin-bottom: 1rem; }
.buttons small { font-weight: 400; opacity: .85; font-variant-numeric: tabular-nums; }
.report { padding: 1rem 1.25rem; border-radius: .75rem; background: var(--tint); }
.report h3, .report p { margin: 0; }
.facts { display: flex; flex-wrap: wrap; gap: .75rem 2rem; margin: .75rem 0; }
.facts dt { font-size: .8rem; color: var(--on-tint); }
.facts dd { margin: 0; font-weight: 600; font-variant-numeric: tabular-nums; }
.facts div:first-child dd { font-size: 1.75rem; line-height: 1; color: var(--on-tint); }
.facts div { align-self: end; }
.asking .buttons button { opacity: .6; cursor: progress; }
.menu { margin: 0; padding: 0; list-style: none; }
.menu li {
  display: grid; grid-template-columns: 1fr auto auto; gap: 1rem; align-items: center;
  padding: .75rem 0; border-top: 1px solid var(--line);
}
.menu li:first-child { border-top: 0; padding-top: 0; }
.dish b, .dish small { display: block; }
.dish small { color: var(--soft); }
.price, .total strong { font-variant-numeric: tabular-nums; white-space: nowrap; }
.price { color: var(--soft); }
.stepper { display: flex; align-items: center; gap: .25rem; }
.stepper button { width: 2.75rem; height: 2.75rem; padding: 0; border-radius: 50%; font-size: 1.15rem; line-height: 1; }
.stepper output { min-width: 2rem; text-align: center; color: var(--soft); font-variant-numeric: tabular-nums; }
.chosen output { color: var(--ink); font-weight: 700; }
#cart { display: flex; flex-direction: column; }
.total {
  display: flex; justify-content: space-between; align-items: baseline; margin: auto 0 0; padding-top: 1rem;
  border-top: 2px solid var(--line);
}
.total strong { font-size: 1.5rem; letter-spacing: -.02em; }
.row { display: flex; gap: .75rem; align-items: center; }
.row input, .grow { flex: 1; min-width: 0; margin: 0; }
input, button, .button { font: inherit; color: inherit; }
input { min-height: 2.75rem; padding: .55rem .85rem; border: 1px solid var(--soft); border-radius: .6rem; background: var(--ground); }
button, .button {
  display: inline-block; min-height: 2.75rem; padding: .55rem 1rem; scroll-margin-top: 40vh; border: 1px solid var(--line); border-radius: .6rem; background: var(--card);
  font-weight: 600; text-decoration: none; white-space: nowrap; cursor: pointer;
}
button:hover:not(:disabled), .button:hover { border-color: var(--accent); background: var(--tint); }
button:disabled { opacity: .35; cursor: default; }
.primary { border-color: var(--accent); background: var(--accent); color: var(--on-accent); }
.primary:hover:not(:disabled) { background: var(--accent); filter: brightness(1.08); }
.danger { color: var(--danger); }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
.lines { display: grid; grid-template-columns: auto 1fr; gap: .4rem 1rem; margin: 0 0 1.25rem; }
.lines dt { color: var(--soft); }
.lines dd { margin: 0; min-width: 0; overflow-wrap: anywhere; }
.scroll { overflow-x: auto; }
table { width: 100%; border-collapse: collapse; }
th { padding: 0 1rem .5rem 0; text-align: left; font-size: .8rem; font-weight: 500; color: var(--soft); white-space: nowrap; }
td { padding: .55rem 1rem .55rem 0; border-top: 1px solid var(--line); vertical-align: baseline; }
td:first-child code { overflow-wrap: normal; }
.type {
  padding: .1rem .55rem; border-radius: 1rem; background: var(--tint); color: var(--on-tint);
  font-size: .8rem; font-weight: 600; white-space: nowrap;
}
.code { padding: .75rem 1rem; border-radius: .6rem; background: var(--track); }
.code.scroll pre { white-space: pre; }
.said { position: absolute; width: 1px; height: 1px; margin: 0; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
.problem { text-align: center; }
.problem h2 { font-size: 3rem; letter-spacing: 0; color: var(--accent); margin: 0; }
footer { margin-top: 2rem; color: var(--soft); font-size: .875rem; text-align: center; }
@media (min-width: 46rem) {
  .parts { grid-template-columns: repeat(3, 1fr); }
  .columns { grid-template-columns: 7fr 6fr; }
  .hero { grid-template-columns: auto 1fr; column-gap: 3rem; }
  .answered { grid-column: 1 / -1; padding-top: 1rem; border-top: 1px solid var(--line); }
}
@media (max-width: 28rem) {
  thead { display: none; }
  tr { display: grid; grid-template-columns: 1fr auto; border-top: 1px solid var(--line); }
  td { padding: .35rem 0; border: 0; }
  td:last-child { grid-column: 1 / -1; padding-top: 0; }
  .menu li { grid-template-columns: 1fr auto; gap: .5rem 1rem; }
  .price { grid-row: 1; grid-column: 2; text-align: right; }
  .stepper { grid-column: 1 / -1; justify-content: flex-end; }
}
`);

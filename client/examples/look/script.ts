// What the page does in a browser that runs scripts: it answers a button in its place, where without them the whole page is loaded again. The
// keyboard stays where it was, what has changed is said aloud, and the session is printed below.

import { Html } from "./html.ts";

export const SCRIPT: Html = new Html(`
const said = document.getElementById("said");
let isAsking = false;

document.addEventListener("submit", async (event) => {
  event.preventDefault();
  if (isAsking) return;
  isAsking = true;
  document.body.classList.add("asking");
  await submit(event.target, event.submitter);
  document.body.classList.remove("asking");
  isAsking = false;
});

async function submit(form, button) {
  said.textContent = button.dataset.doing ?? "";
  const fields = new URLSearchParams(new FormData(form, button));
  try {
    const answer = await fetch(form.action, form.method === "post" ? { method: "POST", body: fields } : {});
    show(new DOMParser().parseFromString(await answer.text(), "text/html"), button);
  } catch {
    said.textContent = "Nobody has answered. Try again.";
  }
}

function show(page, button) {
  const section = button.closest("section").id;
  const before = document.getElementById("printed");
  const place = page.getElementById("printed");
  if (before && place) place.textContent = before.textContent;
  document.title = page.title;
  document.querySelector("main").replaceWith(page.querySelector("main"));
  focus(document.getElementById(button.id));
  const told = document.getElementById(section) ?? document.querySelector("main section");
  said.textContent = told.dataset.say ?? "";
  print();
}

// The same button; where it does nothing any more its neighbour; where it is gone the way on.
function focus(button) {
  if (button === null) document.querySelector("main :is(a, button)").focus();
  else (button.disabled ? button.form.querySelector("button:enabled") : button).focus({ preventScroll: true });
}

async function print() {
  const place = document.getElementById("printed");
  if (place === null) return;
  try {
    const answer = await fetch("/session.txt");
    place.textContent = await answer.text();
  } catch {
    // What was printed before, or the link, stays.
  }
}

print();
`);

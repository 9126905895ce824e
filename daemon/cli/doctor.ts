// The command `doctor`: prints what an examination has found, for a terminal of 80 columns.

import { VERSION } from "../../protocol/version.ts";
import { examine, type Finding, type State } from "../doctor/doctor.ts";
import type { Errand } from "./terminal/errand.ts";
import { countOf } from "./terminal/figures.ts";
import { type Paint, type Painter, painterFor } from "./terminal/paint.ts";
import { wrapped } from "./terminal/wrapping.ts";

const COLUMNS = 80;
const MARKS: Readonly<Record<State, string>> = { ok: "ok", note: "note", warning: "warning", problem: "PROBLEM" };
const COLOURS: Readonly<Record<State, Paint>> = { ok: "good", note: "plain", warning: "fair", problem: "bad" };
const INDENT = "  ";
const STATE_WIDTH = 9;
const CHECK_WIDTH = 15;

type Counts = Readonly<Record<State, number>>;

/** Resolves to whether there is no problem. */
export async function doctor({ options, form, say }: Errand, around: NodeJS.Process): Promise<boolean> {
  const { root, socket, findings } = await examine(options);
  const counts: Record<State, number> = { ok: 0, note: 0, warning: 0, problem: 0 };
  for (const { state } of findings) counts[state] += 1;
  if (form === "json") await say(`${JSON.stringify({ version: VERSION, root, socket, counts, findings }, null, 2)}\n`);
  else {
    const paint = painterFor(around);
    const head = paint("strong", `gambas-sessiond ${VERSION} looks at ${root}`);
    const blocks = findings.map((finding) => blockOf(finding, paint));
    await say(`${head}\n\n${blocks.join("")}\n${sumOf(counts)}\n`);
  }
  return counts.problem === 0;
}

/** What was seen and what to do beside their state; a command stands alone on its line, to be copied. */
function blockOf({ check, state, seen, remedy }: Finding, paint: Painter): string {
  const left = INDENT.length + STATE_WIDTH + CHECK_WIDTH;
  const head = `${INDENT}${paint(COLOURS[state], MARKS[state].padEnd(STATE_WIDTH))}${check.padEnd(CHECK_WIDTH)}`;
  const said = remedy === null ? seen : `${seen} ${remedy.advice}`;
  const text = wrapped(said, COLUMNS - left).join(`\n${" ".repeat(left)}`);
  const command = remedy?.command === undefined ? "" : `${INDENT}${INDENT}${paint("strong", remedy.command)}\n`;
  return `${head}${text}\n${command}`;
}

function sumOf({ ok, note, warning, problem }: Counts): string {
  const bad = [problem > 0 ? countOf(problem, "problem") : "No problem"];
  if (warning > 0) bad.push(countOf(warning, "warning"));
  if (note > 0) bad.push(countOf(note, "note"));
  return `${bad.join(", ")}; ${countOf(ok, "check is", "checks are")} well. Nothing was changed.`;
}
